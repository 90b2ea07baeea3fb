"""Candidate terms that no glossary knows: named entities and noun phrases of transcripts, by spaCy where installed."""

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from streaming.errors import TermCueError
from training.corpus.lines import json_bytes, whole_file
from training.corpus.matching import LONGEST, is_usable_term

_UNSAID = frozenset("a an the this that these those my your his her its our their some any each every no".split())
_NUMBER_LIKE = frozenset({"CARDINAL", "ORDINAL", "DATE", "TIME", "PERCENT", "MONEY", "QUANTITY"})


class MiningError(TermCueError):
    """Mining that cannot begin; the message names what to install."""


class PhraseTagger(Protocol):
    """Finds phrases that may be terms."""

    def phrases(self, texts: Iterable[str]) -> Iterator[Sequence[str]]:
        """For each text its named entities and noun phrases, as they stand there."""
        ...


class SpacyTagger:
    """A spaCy pipeline.

    Args:
        model: an installed package such as en_core_web_sm.

    Raises:
        MiningError: spaCy or the model is not installed.
    """

    def __init__(self, model: str = "en_core_web_sm") -> None:
        try:
            spacy = importlib.import_module("spacy")
        except ImportError as error:
            raise MiningError("mining needs spaCy; install it, in a checkout: pip install '.[mining]'") from error
        try:
            self._pipeline: Any = spacy.load(model)
        except OSError as error:
            raise MiningError(
                f"the spaCy model {model!r} is not installed; install it: python -m spacy download {model}"
            ) from error

    def phrases(self, texts: Iterable[str]) -> Iterator[Sequence[str]]:
        """Entities that are no numbers or dates, and base noun phrases where the pipeline has a parser."""
        for document in self._pipeline.pipe(texts):
            entities = [entity.text for entity in document.ents if entity.label_ not in _NUMBER_LIKE]
            is_parsed = document.has_annotation("DEP")
            yield entities + ([chunk.text for chunk in document.noun_chunks] if is_parsed else [])


def mine_terms(texts: Iterable[str], tagger: PhraseTagger, least: int = 2) -> Counter[str]:
    """Phrases of one to five words without their articles and pronouns, found at least `least` times, in lower case."""
    counts: Counter[str] = Counter()
    for phrases in tagger.phrases(texts):
        counts.update({bare for phrase in phrases if is_usable_term(bare := _bare(phrase))})
    return Counter({term: count for term, count in counts.items() if count >= least})


def _bare(phrase: str) -> str:
    words = phrase.lower().split()
    while words and words[0] in _UNSAID:
        words.pop(0)
    return " ".join(words) if 0 < len(words) <= LONGEST else ""


def write_mined(path: Path, counts: Counter[str]) -> None:
    """Write the terms, most frequent first, as a glossary that `read_training_glossary` and `termcue reindex` read."""
    with whole_file(path) as stream:
        rows = [json_bytes({"term": term}) for term, _ in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))]
        stream.write(b"[\n" + b",\n".join(rows) + b"\n]\n")
