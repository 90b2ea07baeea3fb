"""A pronouncing dictionary and an ARPA language model -> the lexicon that terms compete with."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import phoneme_sequence
from streaming.words.bigrams import Bigrams
from streaming.words.lexicon import Lexicon
from training.compact.g2p import read_dictionary
from training.corpus.manifest import ManifestError

_NATS = float(np.log(10))
_WORD = re.compile(r"[a-z']+")
# Names of letters are spelled rather than said; in running text "b" is nearly always a fragment.
_ONE_LETTER_WORDS = frozenset("ai")


@dataclass(frozen=True, slots=True)
class LexiconConfig:
    """`words` common ones, `bigrams` of them that tell most, at most `pronunciations` of each word."""

    words: int = 60_000
    bigrams: int = 600_000
    pronunciations: int = 3


def read_arpa(path: Path) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """The unigrams and bigrams of an ARPA file: words, log-probability, backoff weight, in nats.

    What comes after the bigrams is not read. Raises ManifestError with the line for one that is no n-gram.
    """
    order = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text.startswith("\\"):
                order = {"\\1-grams:": 1, "\\2-grams:": 2}.get(text, 0)
                if not order and text != "\\data\\":
                    return
                continue
            if not order or not text:
                continue
            fields = text.split()
            try:
                log_prob, *words = fields[: order + 1]
                backoff = float(fields[order + 1]) if len(fields) > order + 1 else 0.0
                if len(words) < order:
                    raise ValueError("words are missing")
                yield tuple(words), float(log_prob) * _NATS, backoff * _NATS
            except ValueError as error:
                raise ManifestError(
                    f"{path}, line {number}: {text[:60]!r} is no {order}-gram of an ARPA file"
                ) from error


def make_lexicon(dictionary: Path, language_model: Path, config: LexiconConfig) -> Lexicon:
    """The commonest words that the dictionary can pronounce, with the bigrams whose loss would cost most.

    A bigram weighs the probability of the pair times what the backed-off estimate is wrong by (Seymore and Rosenfeld
    1996).
    """
    pronounced: dict[str, list[tuple[str, ...]]] = {}
    for word, phonemes in read_dictionary(dictionary):
        said = pronounced.setdefault(word, [])
        plain = tuple(symbol.rstrip("012") for symbol in phonemes)
        if plain not in said and len(said) < config.pronunciations:
            said.append(plain)
    unigram: dict[str, tuple[float, float]] = {}
    pairs: list[tuple[str, str, float]] = []
    for words, log_prob, backoff in read_arpa(language_model):
        if len(words) == 1:
            if _is_word(words[0]) and words[0] in pronounced:
                unigram[words[0]] = (log_prob, backoff)
        elif words[0] in unigram and words[1] in unigram:
            pairs.append((words[0], words[1], log_prob))
    common = sorted(unigram, key=lambda word: (-unigram[word][0], word))[: config.words]
    if not common:
        raise ManifestError(f"{language_model} and {dictionary} have no word in common")
    ids = {word: index for index, word in enumerate(common)}
    spoken = tuple((ids[w], phoneme_sequence([said])[1:-1]) for w in common for said in pronounced[w])
    return Lexicon(tuple(common), spoken, _prune(pairs, ids, unigram, config.bigrams))


def _is_word(text: str) -> bool:
    return bool(_WORD.fullmatch(text)) and (len(text) > 1 or text in _ONE_LETTER_WORDS)


def _prune(
    pairs: list[tuple[str, str, float]],
    ids: Mapping[str, int],
    unigram: Mapping[str, tuple[float, float]],
    most: int,
) -> Bigrams:
    probability, backoff = (np.array([unigram[word][i] for word in ids], np.float32) for i in (0, 1))
    kept = [(ids[a], ids[b], p) for a, b, p in pairs if a in ids and b in ids]
    first = np.array([a for a, _, _ in kept], np.int64)
    second = np.array([b for _, b, _ in kept], np.int64)
    log_prob: NDArray[np.float32] = np.array([p for _, _, p in kept], np.float32)
    wrong = np.abs(log_prob - backoff[first] - probability[second])
    told = np.exp(probability[first] + log_prob) * wrong
    chosen = np.argsort(-told, kind="stable")[:most]
    chosen = chosen[np.lexsort((second[chosen], first[chosen]))]
    counts = np.bincount(first[chosen], minlength=len(ids))
    return Bigrams(
        probability,
        backoff,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        second[chosen].astype(np.int32),
        log_prob[chosen],
    )
