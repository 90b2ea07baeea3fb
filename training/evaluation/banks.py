"""The terms that what was said is searched among: those spoken, the rest of the glossary, then distractors.

Banks are nested: that of 1,000 entries is the beginning of that of 10,000, so that a curve over sizes shows the size
and nothing else. The vectors of a large bank lie in a temporary file, mapped rather than held.
"""

import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.corpus.keys import key_of, normal_form

TextField: TypeAlias = Literal["term", "short_description"]
"""What the text tower reads for a term."""
_BATCH = 256
_MAPPED_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class Bank:
    """Term vectors, entry by entry.

    Attributes:
        vectors: float32[m, dim], unit norm; may be memory-mapped.
        starts: int64[g], the first vector of each entry; its variants follow it.
        groups: int64[g], the entries' ids, each once.
        sizes: the bank of size n is the first n entries; rising, the last is g.

    Raises:
        ValueError: the parts do not fit together.
    """

    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    groups: NDArray[np.int64]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.starts) != len(self.groups) or len(np.unique(self.groups)) != len(self.groups):
            raise ValueError(f"{len(self.starts)} entries go with {len(self.groups)} ids, which must be distinct")
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[-1] != len(self.groups):
            raise ValueError(f"sizes {self.sizes} do not rise to the {len(self.groups)} entries of the bank")

    @property
    def ends(self) -> NDArray[np.int64]:
        """int64[g], the last vector + 1 of each entry."""
        return np.append(self.starts[1:], len(self.vectors)).astype(np.int64)

    def chunks(self, columns: int) -> Iterator[tuple[int, int]]:
        """Ranges of entries with about `columns` vectors that also end at every size: (first, last + 1)."""
        ends, first = self.ends, 0
        for size in self.sizes:
            while first < size:
                last = int(np.searchsorted(ends, self.starts[first] + columns, side="right"))
                last = min(max(last, first + 1), size)
                yield first, last
                first = last


class TermTexts(Protocol):
    """What a glossary knows of terms (`training.corpus.glossary.TrainingGlossary`)."""

    def group_of(self, form: str, /) -> int:
        """The same non-negative number for variants, aliases and translations of one entry."""
        ...

    def text_of(self, term: str, text_field: TextField, /) -> str:
        """What the text tower reads for a term."""
        ...


class PlainTerms:
    """Terms without a glossary: each normal form is an entry of its own, and reads as it is written."""

    def group_of(self, form: str, /) -> int:
        """`key_of` the normal form."""
        return key_of(form)

    def text_of(self, term: str, text_field: TextField, /) -> str:
        """The term itself."""
        return term


@dataclass(frozen=True, slots=True)
class BankTerms:
    """Entries before they are embedded: `texts[i]` are the variants of the entry `groups[i]`."""

    groups: tuple[int, ...]
    texts: tuple[tuple[str, ...], ...]
    sizes: tuple[int, ...]
    glossary_size: int

    @property
    def variants(self) -> int:
        """Texts of all entries."""
        return sum(map(len, self.texts))


@dataclass(frozen=True, slots=True)
class BankConfig:
    """Which banks are made.

    Attributes:
        sizes: of banks beside that of the glossary.
        text_field: what the text tower reads for a term.
        seed: draws the order of glossary and distractors.
    """

    sizes: tuple[int, ...] = ()
    text_field: TextField = "term"
    seed: int = 0

    def __post_init__(self) -> None:
        if any(size < 1 for size in self.sizes):
            raise SettingError(f"bank sizes {self.sizes}: give numbers of terms above 0, such as 1000,10000")


def choose_terms(
    spoken: Iterable[str], glossary: Iterable[str], distractors: Iterable[str], texts: TermTexts, config: BankConfig
) -> BankTerms:
    """Put the entries in the order in which banks grow; a distractor of an entry's own group joins no bank.

    Args:
        spoken: every term that a row names; all of them are in every bank.
        glossary: all of its terms, in any spelling; may be empty.
        distractors: terms of nobody's glossary.
        texts: groups and readings of terms.
        config: sizes and seed.

    Raises:
        SettingError: a bank is asked for that is smaller than what is spoken or larger than all terms there are.
    """
    variants: dict[int, dict[str, None]] = {}

    def add(terms: Iterable[str], closed: Container[int] = ()) -> list[int]:
        """Entries that were not there before; those in `closed` take no more variants."""
        new = []
        for term in terms:
            group = texts.group_of(normal_form(term))
            if group in closed:
                continue
            if group not in variants:
                variants[group] = {}
                new.append(group)
            variants[group].setdefault(texts.text_of(term, config.text_field))
        return new

    said, others = add(spoken), add(glossary)
    rng = np.random.default_rng(config.seed)
    order = said + [others[i] for i in rng.permutation(len(others))]
    glossary_size = len(order)
    strangers = add(distractors, frozenset(order))
    order += [strangers[i] for i in rng.permutation(len(strangers))]
    sizes = tuple(sorted({*config.sizes, glossary_size}))
    if sizes[0] < len(said) or not order:
        raise SettingError(
            f"a bank of {sizes[0]} terms cannot hold the {len(said)} entries that the rows name; ask for larger banks"
        )
    if sizes[-1] > len(order):
        raise SettingError(
            f"a bank of {sizes[-1]} terms is asked for and there are {len(order)} (glossary and distractors); "
            "give more with --distractors, or smaller --bank-sizes"
        )
    kept = order[: sizes[-1]]
    return BankTerms(tuple(kept), tuple(tuple(variants[group]) for group in kept), sizes, glossary_size)


def embed_bank(
    terms: BankTerms,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    dim: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bank:
    """Embed every variant, in batches of like length.

    Args:
        terms: what `choose_terms` gave.
        embed: texts -> float32[n, dim], unit norm.
        dim: width of the vectors.
        progress: told how many texts are done, and of how many.
    """
    texts = [text for variants in terms.texts for text in variants]
    starts = np.cumsum([0, *map(len, terms.texts[:-1])]).astype(np.int64)
    vectors = _allocate(len(texts), dim)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for first in range(0, len(order), _BATCH):
        batch = order[first : first + _BATCH]
        vectors[batch] = embed([texts[i] for i in batch])
        progress(first + len(batch), len(order))
    return Bank(vectors, starts, np.array(terms.groups, np.int64), terms.sizes)


def _allocate(rows: int, dim: int) -> NDArray[np.float32]:
    """float32[rows, dim] in memory, or in a file without a name that goes with the array."""
    if rows * dim * 4 <= _MAPPED_BYTES:
        return np.empty((rows, dim), np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(rows, dim))
