"""The lexicon survives its packing, and a damaged one is refused before compiled code reads it."""

import io
import zipfile

import numpy as np
import pytest

from streaming.symbols import phoneme_sequence
from streaming.words.bigrams import Bigrams
from streaming.words.lexicon import Lexicon, pack_lexicon, unpack_lexicon

LEXICON = Lexicon(
    ("plague", "plan", "a"),
    tuple(
        (w, phoneme_sequence([p])[1:-1])
        for w, p in ((0, ("P", "L", "EY", "G")), (1, ("P", "L", "AE", "N")), (2, ("AH",)))
    ),
    Bigrams(
        np.array([-9.0, -7.5, -2.0], np.float32),
        np.array([-0.5, 0.0, -1.0], np.float32),
        np.array([0, 0, 1, 2], np.int32),
        np.array([2, 0], np.int32),
        np.array([-1.0, -6.25], np.float32),
    ),
)


def _with(name: str, array: np.ndarray) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pack_lexicon(LEXICON))) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.namelist():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=True)
            new.writestr(member, content.getvalue() if member == f"{name}.npy" else old.read(member))
    return out.getvalue()


def test_packing_keeps_everything() -> None:
    """Words, pronunciations and the language model come back; packing twice gives the same bytes."""
    content = pack_lexicon(LEXICON)
    back = unpack_lexicon(content)
    assert pack_lexicon(back) == content
    assert back.words == LEXICON.words
    assert [(w, s.tolist()) for w, s in back.pronunciations] == [(w, s.tolist()) for w, s in LEXICON.pronunciations]
    for found, given in zip(back.bigrams, LEXICON.bigrams, strict=True):
        assert np.abs(found - given).max() <= 1 / 16


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("follower", np.array([2, 3], np.uint16)),
        ("followers", np.array([0, 1, 2], np.uint16)),
        ("followers", np.array([0, 1], np.uint16)),
        ("unigram", np.zeros(2, np.uint8)),
        ("log_prob", np.zeros(1, np.uint8)),
        ("words", np.frombuffer(b"plague\nplan\nplan", np.uint8)),
        ("phonemes", np.frombuffer(b"3 AH", np.uint8)),
        ("phonemes", np.frombuffer(b"0 XX", np.uint8)),
        ("words", np.array([{}], object)),
    ],
)
def test_a_damaged_lexicon_is_refused(name: str, array: np.ndarray) -> None:
    """Indices beyond the words, lengths that do not fit and pickles end in an error that says so."""
    with pytest.raises((ValueError, KeyError)):
        unpack_lexicon(_with(name, array))


def test_what_is_no_archive_is_refused() -> None:
    """Any other bytes are no lexicon."""
    with pytest.raises(ValueError, match=r"lexicon|pickle"):
        unpack_lexicon(b"nothing of the kind")
