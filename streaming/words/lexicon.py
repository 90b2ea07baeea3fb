"""The common words of the language: how they are said, and how often and after which others.

In the model folder as ``lexicon.npz``: `words` and `phonemes` as UTF-8 text, one word and one pronunciation a line, and
the arrays of the language model, probabilities in steps of 1/8 nat.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.entries import arpabet
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder
from streaming.symbols import phoneme_sequence
from streaming.words.bigrams import Bigrams
from streaming.words.word_tree import WordTree, word_tree

LEXICON_FILE = "lexicon.npz"
UNKNOWN = -2
_STEPS_PER_NAT = 8.0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`words` with `pronunciations` (word, int16[n] phonemes without bounds) and their language model."""

    words: tuple[str, ...]
    pronunciations: tuple[tuple[int, NDArray[np.int16]], ...]
    bigrams: Bigrams

    def trees(self) -> tuple[WordTree, WordTree]:
        """The words in phonemes, read forwards and backwards."""
        owners = [word for word, _ in self.pronunciations]
        spoken = [ids.tolist() for _, ids in self.pronunciations]
        log_probs = self.bigrams.unigram
        return word_tree(spoken, owners, log_probs), word_tree([s[::-1] for s in spoken], owners, log_probs)


def pack_lexicon(lexicon: Lexicon) -> bytes:
    """The content of ``lexicon.npz``; the same bytes for the same lexicon."""
    model = lexicon.bigrams
    text = "\n".join(lexicon.words)
    said = "\n".join(f"{word} {arpabet(np.concatenate([[1], ids, [1]]))}" for word, ids in lexicon.pronunciations)
    counts = np.diff(model.first)
    arrays: Mapping[str, NDArray[np.generic]] = {
        "words": np.frombuffer(text.encode(), np.uint8),
        "phonemes": np.frombuffer(said.encode(), np.uint8),
        "unigram": _steps(model.unigram),
        "backoff": _steps(model.backoff),
        "followers": counts.astype(np.uint16),
        "follower": model.follower.astype(np.uint16),
        "log_prob": _steps(model.log_prob),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            # A fixed date, so that equal lexicons have equal hashes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _steps(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.round(-values * _STEPS_PER_NAT), 0, 255).astype(np.uint8)


def _nats(steps: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(steps.astype(np.float32) / -np.float32(_STEPS_PER_NAT))


def unpack_lexicon(content: bytes) -> Lexicon:
    """The reverse of `pack_lexicon`, probabilities rounded. Raises ValueError for anything else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        words = tuple(arrays["words"].tobytes().decode().split("\n"))
        known = {word: index for index, word in enumerate(words)}
        said = [line.split(" ") for line in arrays["phonemes"].tobytes().decode().split("\n")]
        pronunciations = tuple((int(line[0]), phoneme_sequence([tuple(line[1:])])[1:-1]) for line in said)
        first = np.concatenate([[0], np.cumsum(arrays["followers"], dtype=np.int64)]).astype(np.int32)
        bigrams = Bigrams(
            _nats(arrays["unigram"]),
            _nats(arrays["backoff"]),
            first,
            arrays["follower"].astype(np.int32),
            _nats(arrays["log_prob"]),
        )
    except (KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"no lexicon: {error}") from error
    _check(words, known, pronunciations, bigrams)
    return Lexicon(words, pronunciations, bigrams)


def _check(
    words: Sequence[str],
    known: Mapping[str, int],
    pronunciations: Sequence[tuple[int, NDArray[np.int16]]],
    bigrams: Bigrams,
) -> None:
    """Compiled code reads the arrays without looking at their bounds."""
    count = len(words)
    if len(known) != count or not all(words):
        raise ValueError("a lexicon with an empty or a repeated word")
    if {len(bigrams.unigram), len(bigrams.backoff), len(bigrams.first) - 1} != {count}:
        raise ValueError(f"a language model of another size than its {count} words")
    if len({len(bigrams.follower), len(bigrams.log_prob), int(bigrams.first[-1])}) != 1:
        raise ValueError("a language model with more or fewer followers than it counts")
    if len(bigrams.follower) and not 0 <= bigrams.follower.min() <= bigrams.follower.max() < count:
        raise ValueError("a language model with followers that are no words")
    if not all(0 <= word < count and len(ids) for word, ids in pronunciations):
        raise ValueError("a pronunciation without a word, or a word pronounced as nothing")


def lexicon_of(folder: ModelFolder) -> Lexicon | None:
    """The folder's lexicon, None where it has none. Raises ModelError where it cannot be read."""
    content = folder.contents.get(LEXICON_FILE)
    if content is None:
        return None
    try:
        return unpack_lexicon(content)
    except (ValueError, KeyError) as error:
        raise ModelError(f"the model folder {folder.path} has no usable {LEXICON_FILE} ({error})") from error
