"""Hard negatives: the terms that are nearest to what was said, found by FAISS, and never another name of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.corpus.keys import key_of, normal_form
from training.models.interfaces import TextTower

Kin: TypeAlias = frozenset[int]
"""What a term is known by, as integers; terms that share one are never negatives of each other."""
Floats: TypeAlias = NDArray[np.float32]

_QUERIES_AT_ONCE = 4096


class Entry(Protocol):
    """An entry of a glossary (`training.corpus.glossary.TrainingTerm`)."""

    @property
    def translations(self) -> Mapping[str, str]:
        """Language -> translation."""
        ...


class TermNames(Protocol):
    """What a glossary knows of names (`training.corpus.glossary.TrainingGlossary`)."""

    def group_of(self, form: str) -> int:
        """The same number for variants, aliases and translations of one entry."""
        ...

    def find(self, text: str) -> Entry | None:
        """The entry that is called so."""
        ...


def kin_of(term: str, names: TermNames) -> Kin:
    """Normal form, group and each translation of a term.

    A translation that two terms share keeps just the two apart, where a group would join all that they have in common
    with others.
    """
    form = normal_form(term)
    entry = names.find(term)
    said = {} if entry is None else entry.translations
    translations = {f"{code}:{normal_form(text)}" for code, text in said.items()}
    return frozenset(map(key_of, {f"form:{form}", f"group:{names.group_of(form)}", *translations}))


class TermBank:
    """Terms that may become negatives; `kin` is what each is known by."""

    def __init__(self, terms: Sequence[str], kin: Sequence[Kin]) -> None:
        self.terms = tuple(terms)
        self._known_by: dict[int, list[int]] = {}
        for number, names in enumerate(kin):
            for name in names:
                self._known_by.setdefault(name, []).append(number)

    @classmethod
    def of(cls, terms: Iterable[str], names: TermNames) -> "TermBank":
        """Each normal form once, as it is first written."""
        first: dict[str, str] = {}
        for term in terms:
            first.setdefault(normal_form(term), term)
        return cls(list(first.values()), [kin_of(term, names) for term in first.values()])

    def kindred(self, kin: Iterable[int]) -> set[int]:
        """Numbers of the terms that share a name with `kin`."""
        return {number for name in kin for number in self._known_by.get(name, ())}


@dataclass(frozen=True, slots=True)
class Mined:
    """The nearest terms of each row, nearest first: int64[n, c] numbers in the bank, -1 fills up; float32[n, c]."""

    numbers: NDArray[np.int64]
    scores: Floats


def mine(
    bank: TermBank, vectors: Floats, queries: Floats, owners: NDArray[np.int64], kin: Sequence[Kin], count: int
) -> Mined:
    """The `count` terms of greatest cosine with any query of a row, without those that are kin to the row.

    The search is exact: a term among the best of a row is among as many best of the query that it owes its score to.

    Args:
        bank: m terms.
        vectors: float32[m, dim], unit vectors of the bank.
        queries: float32[q, dim], unit vectors, such as the spans of terms.
        owners: int64[q], ascending, the row of each query.
        kin: for each of the n rows, the names of all that is said in it.
        count: terms for each row; fewer where the bank has no more.
    """
    numbers = np.full((len(kin), count), -1, np.int64)
    scores = np.full((len(kin), count), -np.inf, np.float32)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    first = 0
    while first < len(queries):
        # Whole rows only: a row's queries are merged with one another.
        last = first + _QUERIES_AT_ONCE
        if last < len(queries):
            last = max(int(np.searchsorted(owners, owners[last])), int(np.searchsorted(owners, owners[first], "right")))
        rows = np.unique(owners[first:last])
        kindred = {int(row): bank.kindred(kin[row]) for row in rows}
        depth = min(index.ntotal, count + max(map(len, kindred.values())))
        found_scores, found = index.search(np.ascontiguousarray(queries[first:last], np.float32), depth)
        for row in rows:
            mine_only = owners[first:last] == row
            kept = _best(found[mine_only], found_scores[mine_only], kindred[int(row)], count)
            numbers[row, : len(kept)] = [number for number, _ in kept]
            scores[row, : len(kept)] = [score for _, score in kept]
        first = last
    return Mined(numbers, scores)


def _best(found: NDArray[np.int64], scores: Floats, kindred: set[int], count: int) -> list[tuple[int, float]]:
    """(number, greatest score) of the best terms of a row that are not kindred."""
    kept: dict[int, float] = {}
    order = np.argsort(-scores, axis=None, kind="stable")
    for number, score in zip(found.ravel()[order].tolist(), scores.ravel()[order].tolist(), strict=True):
        if number >= 0 and number not in kindred:
            kept.setdefault(number, score)
            if len(kept) == count:
                break
    return list(kept.items())


def embed_texts(tower: TextTower, texts: Sequence[str], device: torch.device, batch: int = 256) -> Floats:
    """float32[n, dim] of texts without a gradient; like lengths are run together, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = np.empty((len(texts), tower.dim), np.float32)
    with torch.no_grad():
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            tokens = {name: value.to(device) for name, value in tower.tokenise([texts[i] for i in some]).items()}
            out[some] = tower(tokens).float().cpu().numpy()
    return out


class HardNegatives:
    """For every term that is trained on, the terms of a bank whose texts are nearest to its own.

    Mined from texts alone, so that renewing costs one pass of the text tower over the bank; implements
    `training.loop.ports.Negatives`.

    Args:
        used: the terms of the training rows.
        bank: where negatives come from: the used terms, or a whole glossary.
        names: of both.
        text_of: what the text tower reads for a term.
        count: candidates of a term.
    """

    def __init__(
        self, used: Iterable[str], bank: TermBank, names: TermNames, text_of: Callable[[str], str], count: int
    ) -> None:
        self._used = TermBank.of(used, names)
        self._row = {normal_form(term): row for row, term in enumerate(self._used.terms)}
        self._kin = [kin_of(term, names) for term in self._used.terms]
        self._bank, self._count = bank, count
        self._texts = [text_of(term) for term in (*bank.terms, *self._used.terms)]
        self._candidates = np.full((len(self._used.terms), count), -1, np.int64)

    def renew(self, model: nn.Module) -> None:
        """Mine with the text tower as it is now."""
        tower: Any = model.text
        device = next(tower.parameters()).device
        place = {text: i for i, text in enumerate(dict.fromkeys(self._texts))}
        vectors = embed_texts(tower, list(place), device)[[place[text] for text in self._texts]]
        size = len(self._bank.terms)
        rows = np.arange(len(self._kin))
        self._candidates = mine(self._bank, vectors[:size], vectors[size:], rows, self._kin, self._count).numbers

    def draw(self, terms: Iterable[str], wanted: int, rng: np.random.Generator) -> list[str]:
        """At most `wanted` negatives for the terms of a batch, each term as much in its turn; none before `renew`.

        What is a negative of one row may be said in another one of the batch: the losses tell by keys and groups.
        """
        rows = sorted({self._row[form] for form in map(normal_form, terms) if form in self._row})
        shuffled = rng.permuted(self._candidates[np.array(rows, np.int64)], axis=1)
        # The first choice of every row, then the second of every row, and so on.
        in_turn = dict.fromkeys(shuffled.T.ravel().tolist())
        return [self._bank.terms[number] for number in in_turn if number >= 0][:wanted]

    def state_dict(self) -> dict[str, Any]:
        """What was mined."""
        return {"candidates": torch.from_numpy(self._candidates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what was mined, from the same terms and bank."""
        self._candidates = state["candidates"].numpy()
