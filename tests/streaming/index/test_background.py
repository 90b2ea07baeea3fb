"""Background speech keeps its log-probabilities through packing, and its statistics are those of plain loops."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.calibration import FEATURES, Calibration
from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form, make_form
from streaming.errors import ModelError
from streaming.index.background import background_scores, pack_background, statistics_of, unpack_background
from streaming.model_folder import ModelFolder, ModelSpec
from streaming.spotting.alignment import AlignmentBank
from streaming.symbols import CHARACTERS, PHONEMES

FORMS = (
    make_form(0, "a", []),
    make_form(1, "ion", [[("AY", "AH", "N")]]),
    make_form(2, "lead", [[("L", "IY", "D")], [("L", "EH", "D")]]),
    make_form(3, "old man", [[("OW", "L", "D"), ("M", "AE", "N")]]),
    make_form(4, "it", []),
)


def _contexts(seed: int, n: int, frames: int = 12) -> list[EncodedContext]:
    numbers = np.random.default_rng(seed)

    def head(symbols: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        logits = 4 * numbers.standard_normal((frames, symbols))
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)

    return [
        EncodedContext(head(len(CHARACTERS)), head(len(PHONEMES)), np.ones((frames, 3), np.float32)) for _ in range(n)
    ]


def _folder(contents: dict[str, bytes]) -> ModelFolder:
    size = len(FEATURES)
    ones = np.ones(size)
    calibration = Calibration(ones, ones, ones, 0.0, (1,), np.array([0.5]), np.ones((1, 1)))
    return ModelFolder(Path("model"), ModelSpec("m", 48_000, 320, 3, 4, "x", ()), "m-1", calibration, contents)


@given(seed=st.integers(0, 9999), n=st.integers(1, 4))
def test_packing_keeps_log_probabilities_to_a_thirty_second_of_a_nat(seed: int, n: int) -> None:
    """Half a step of 1/16 nat is the error; what lies below the 255 steps of a byte is held at their end."""
    contexts = _contexts(seed, n)
    back = unpack_background(pack_background(contexts))
    assert len(back) == n
    for before, after in zip(contexts, back, strict=True):
        for name in ("characters", "phonemes"):
            expected = np.maximum(getattr(before, name), -255 / 16)
            np.testing.assert_allclose(getattr(after, name), expected, atol=1 / 32 + 1e-6)
        assert after.frames.shape == (12, 0)


@pytest.mark.parametrize("batch", [1, 2, 300])
def test_statistics_are_those_of_plain_loops(batch: int) -> None:
    """Mean and 97th percentile of the best score of each form over the contexts, for any size of the batches."""
    contexts = _contexts(7, 9)
    found = statistics_of(contexts, FORMS, batch=batch)
    assert (found.shape, found.dtype) == ((len(FORMS), 4), np.dtype(np.float32))
    for row, form in enumerate(FORMS):
        letters, sounds = [], []
        for context in contexts:
            letters.append(_best(form.characters, context.characters))
            sounds.append(max((_best(p, context.phonemes) for p in form.pronunciations), default=letters[-1]))
        expected = [np.mean(letters), np.quantile(letters, 0.97), np.mean(sounds), np.quantile(sounds, 0.97)]
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def _best(
    sequence: np.ndarray[tuple[int, ...], np.dtype[np.int16]],
    log_probs: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> float:
    return float(AlignmentBank([sequence], log_probs.shape[1]).score(log_probs, 0).score[0])


def test_progress_is_told_after_each_batch() -> None:
    """The numbers told rise to that of all forms."""
    told: list[int] = []
    statistics_of(_contexts(1, 2), FORMS, batch=2, progress=told.append)
    assert told == [2, 4, 5]


def test_no_forms_have_no_statistics() -> None:
    """An empty list of forms gives no rows."""
    assert statistics_of(_contexts(1, 2), []).shape == (0, 4)


def test_form_too_long_for_a_context_has_finite_statistics() -> None:
    """A form with more symbols than frames fits nowhere, and an index with it can still be built."""
    found = statistics_of(_contexts(1, 2), [*FORMS, make_form(5, "stochastic gradient descent", [])])
    assert np.isfinite(found).all()
    assert (found[-1] == -255 / 16).all()
    assert (found[:-1] > -255 / 16).all()


def test_scores_of_a_folder_are_those_of_its_background() -> None:
    """The function that indexing gets reads the folder's file and tells its progress."""
    told: list[int] = []
    packed = pack_background(_contexts(3, 4))
    forms: list[Form] = list(FORMS)
    score = background_scores(_folder({"background.npy": packed}), told.append)
    np.testing.assert_array_equal(score(forms), statistics_of(unpack_background(packed), forms))
    assert told == [len(forms)]


def _damaged() -> dict[str, dict[str, bytes]]:
    good = pack_background(_contexts(3, 2))
    return {
        "missing": {},
        "empty": {"background.npy": b""},
        "no array": {"background.npy": b"not numpy"},
        "an archive": {"background.npy": b"PK\x03\x04"},
        "cut off": {"background.npy": good[:-10]},
        "garbled header": {"background.npy": good.replace(b"descr", b"DESCR")},
        "other type": {"background.npy": good.replace(b"|u1", b"|i1")},
        "other width": {"background.npy": good.replace(b"(2, 12, 70)", b"(2, 12, 69)")},
        "other rank": {"background.npy": good.replace(b"(2, 12, 70)", b"(2, 840)   ")},
        "pickled": {"background.npy": good.replace(b"'|u1'", b"'|O' ")},
    }


@pytest.mark.parametrize("kind", _damaged())
def test_unusable_background_is_told(kind: str) -> None:
    """Whatever stands in the file, the error is of ours and names it."""
    with pytest.raises(ModelError, match=r"the model folder model has no usable background\.npy"):
        background_scores(_folder(_damaged()[kind]))
