"""Where the term that was said stands among all terms of a bank, per occurrence, without ever holding the score matrix.

A row is scored by MaxSim: a term's score is its best cosine over all spans of the row and over all variants of its
entry. Entries, not texts, are ranked; the entries that are audible in a row never count against each other. A tie
counts against the truth, so that an encoder that says the same of everything finds nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.evaluation.banks import Bank

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

DEPTHS: tuple[int, ...] = (1, 3, 5, 10, 20, 100)
"""The k of recall@k and its kin."""
TIE = 1e-6
"""Cosines closer than this are equal: products of the same vectors differ by as much from one blocking to another."""
_SPANS_AT_ONCE = 2048
_COLUMNS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class RowVectors:
    """A row after the audio tower: float32[s, dim] of its spans, and the entry of each occurrence in it."""

    row_id: str
    recording: str
    vectors: Floats
    truth: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What became of each occurrence (o) and each row (n) against the bank of one size.

    Attributes:
        entries: size of the bank.
        row_ids: n names.
        recordings: n recordings, "" where unknown.
        occurrence_row: int64[o].
        occurrence_group: int64[o], the entry that was said.
        score: float32[o], its cosine.
        rank: int64[o], its place, 1 the best.
        best: float32[n], the best cosine of any entry.
        is_right: bool[n], whether that entry was said.
        is_no_term: bool[n], whether nothing was said that should be found.
    """

    entries: int
    row_ids: tuple[str, ...]
    recordings: tuple[str, ...]
    occurrence_row: Integers
    occurrence_group: Integers
    score: Floats
    rank: Integers
    best: Floats
    is_right: NDArray[np.bool_]
    is_no_term: NDArray[np.bool_]

    def of_rows(self, chosen: NDArray[np.bool_]) -> "Ranking":
        """The same of some rows only, bool[n]."""
        kept = chosen[self.occurrence_row]
        return Ranking(
            self.entries,
            tuple(name for name, is_chosen in zip(self.row_ids, chosen, strict=True) if is_chosen),
            tuple(name for name, is_chosen in zip(self.recordings, chosen, strict=True) if is_chosen),
            (np.cumsum(chosen) - 1)[self.occurrence_row[kept]],
            self.occurrence_group[kept],
            self.score[kept],
            self.rank[kept],
            self.best[chosen],
            self.is_right[chosen],
            self.is_no_term[chosen],
        )


class _Block:
    """A few rows with their spans on end, scored against one chunk of the bank after the other."""

    def __init__(self, rows: Sequence[RowVectors], bank: Bank, position: Mapping[int, int]) -> None:
        self.rows, self._bank = rows, bank
        self._spans = np.concatenate([row.vectors for row in rows]).astype(np.float32, copy=False)
        self._firsts = np.cumsum([0, *(len(row.vectors) for row in rows[:-1])])
        said = [(i, position[group]) for i, row in enumerate(rows) for group in row.truth]
        self.occurrence_row, self.position = np.array(said, np.int64).reshape(-1, 2).T
        self.score = self._score_truth()
        self.better = np.zeros(len(said), np.int64)
        self.best = np.full(len(rows), -np.inf, np.float32)
        self.is_right = np.zeros(len(rows), np.bool_)

    def _score_truth(self) -> Floats:
        ends, score = self._bank.ends, np.zeros(len(self.position), np.float32)
        for i, (row, entry) in enumerate(zip(self.occurrence_row, self.position, strict=True)):
            variants = self._bank.vectors[self._bank.starts[entry] : ends[entry]]
            score[i] = (self.rows[row].vectors @ variants.T).max()
        return score

    def meet(self, first: int, last: int) -> None:
        """Score the entries [first, last): count those that beat each occurrence, keep each row's best."""
        starts, end = self._bank.starts[first:last], int(self._bank.ends[last - 1])
        similarity = self._spans @ np.asarray(self._bank.vectors[starts[0] : end], np.float32).T
        by_row = np.maximum.reduceat(similarity, self._firsts, axis=0)
        scores = np.maximum.reduceat(by_row, starts - starts[0], axis=1)  # [rows, entries]
        here = (self.position >= first) & (self.position < last)
        truth = np.zeros(scores.shape, np.bool_)
        truth[self.occurrence_row[here], self.position[here] - first] = True
        winner = scores.argmax(axis=1)
        every = np.arange(len(scores))
        is_better = scores[every, winner] > self.best
        self.best = np.where(is_better, scores[every, winner], self.best)
        self.is_right = np.where(is_better, truth[every, winner], self.is_right)
        scores[truth] = -np.inf
        for i, row in enumerate(self.occurrence_row):
            self.better[i] += np.count_nonzero(scores[row] > self.score[i] - TIE)


def rank_rows(rows: Iterable[RowVectors], bank: Bank) -> list[Ranking]:
    """Rank the truth of every row in the bank of each size, in one pass over the rows.

    Memory is that of the bank and of one block of scores (some 2,000 spans by some 8,000 vectors at most).

    Args:
        rows: any number, one pass, each with at least one span.
        bank: its smallest size holds every entry that a row names.

    Returns:
        One ranking a size, smallest first.

    Raises:
        SettingError: a row names an entry that the smallest bank lacks.
    """
    position = {int(group): i for i, group in enumerate(bank.groups[: bank.sizes[0]])}
    tally = _Tally(len(bank.sizes))
    for block in _blocks(rows):
        for row in block:
            if missing := [group for group in row.truth if group not in position]:
                raise SettingError(
                    f"row {row.row_id!r} names entry {missing[0]}, which the bank of {bank.sizes[0]} entries lacks; "
                    "put every spoken term into the smallest bank"
                )
        scored = _Block(block, bank, position)
        snapshots, sizes = [], iter(bank.sizes)
        size = next(sizes)
        for first, last in bank.chunks(_COLUMNS_AT_ONCE):
            scored.meet(first, last)
            if last == size:
                snapshots.append((scored.better + 1, scored.best, scored.is_right))
                size = next(sizes, 0)
        tally.add(scored, snapshots)
    return tally.rankings(bank)


def _blocks(rows: Iterable[RowVectors]) -> Iterator[list[RowVectors]]:
    block: list[RowVectors] = []
    spans = 0
    for row in rows:
        if block and spans + len(row.vectors) > _SPANS_AT_ONCE:
            yield block
            block, spans = [], 0
        block.append(row)
        spans += len(row.vectors)
    if block:
        yield block


class _Tally:
    """Finished blocks, put together at the end."""

    def __init__(self, sizes: int) -> None:
        self._rows: list[RowVectors] = []
        self._where: list[Integers] = []
        self._position: list[Integers] = []
        self._score: list[Floats] = []
        self._rank: list[list[Integers]] = [[] for _ in range(sizes)]
        self._best: list[list[Floats]] = [[] for _ in range(sizes)]
        self._is_right: list[list[NDArray[np.bool_]]] = [[] for _ in range(sizes)]

    def add(self, block: _Block, snapshots: Sequence[tuple[Integers, Floats, NDArray[np.bool_]]]) -> None:
        """A block after its last chunk; one snapshot a size."""
        self._where.append(block.occurrence_row + len(self._rows))
        nothing = np.zeros((0, 0), np.float32)
        self._rows += [replace(row, vectors=nothing) for row in block.rows]
        self._position.append(block.position)
        self._score.append(block.score)
        for i, (rank, best, is_right) in enumerate(snapshots):
            self._rank[i].append(rank)
            self._best[i].append(best)
            self._is_right[i].append(is_right)

    def rankings(self, bank: Bank) -> list[Ranking]:
        """One a size."""
        none, nothing, nowhere = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.bool_)
        where = np.concatenate([none, *self._where])
        said = bank.groups[np.concatenate([none, *self._position])]
        score = np.concatenate([nothing, *self._score])
        no_term = np.array([not row.truth for row in self._rows], np.bool_)
        return [
            Ranking(
                size,
                tuple(row.row_id for row in self._rows),
                tuple(row.recording for row in self._rows),
                where,
                said,
                score,
                np.concatenate([none, *self._rank[i]]),
                np.concatenate([nothing, *self._best[i]]),
                np.concatenate([nowhere, *self._is_right[i]]),
                no_term,
            )
            for i, size in enumerate(bank.sizes)
        ]


def retrieval_scores(rank: Integers, depths: Sequence[int] = DEPTHS) -> dict[str, float]:
    """MTEB's figures where one occurrence is a query with one right answer, at `rank` int64[o]; empty for none.

    With one right answer, recall is the share found, and MAP is MRR (Manning et al., 2008, chapter 8).
    """
    if not len(rank):
        return {}
    scores = {}
    for k in depths:
        found = rank <= k
        recall, reciprocal = float(found.mean()), float(np.where(found, 1 / rank, 0.0).mean())
        scores[f"recall_at_{k}"] = recall
        scores[f"precision_at_{k}"] = recall / k
        scores[f"mrr_at_{k}"] = scores[f"map_at_{k}"] = reciprocal
        scores[f"ndcg_at_{k}"] = float(np.where(found, 1 / np.log2(1 + rank), 0.0).mean())
    scores["mrr"] = float((1 / rank).mean())
    return scores
