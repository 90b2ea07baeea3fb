"""Which rows make up which batch: the same for the same seed and epoch, whatever was done before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError

_POOL_BATCHES = 32


@dataclass(frozen=True, slots=True)
class RowLengths:
    """What sampling needs of each row: its length in samples, and whether it holds no term."""

    samples: NDArray[np.int64]
    no_term: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """`batch_size` rows of all ranks together; at most `no_term_share` of a batch holds no term, but one row may."""

    batch_size: int
    no_term_share: float
    seed: int


def epoch_batches(rows: RowLengths, config: SamplingConfig, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers of each batch of an epoch: every row with a term, and as many without as their share allows.

    Rows of like length come together, so that little is padding. All batches are of one size: rows from the front of
    the shuffle fill the last one up.

    Raises:
        SettingError: no row, or a batch larger than all rows.
    """
    size = config.batch_size
    if size < 1:
        raise SettingError(f"a batch of {size} rows teaches nothing; give --batch-size at least 1")
    rng = np.random.default_rng([config.seed, epoch])
    with_term = rng.permutation(np.flatnonzero(~rows.no_term))
    without = rng.permutation(np.flatnonzero(rows.no_term))
    count, without = _apportioned(with_term, without, config)
    if not len(with_term) or len(with_term) + len(without) < size:
        raise SettingError(
            f"{len(with_term) + len(without)} usable rows, {len(with_term)} with a term, are fewer than one batch "
            f"of {size}; bring more rows or lower --batch-size"
        )
    with_term = np.resize(with_term, count * size - len(without))
    quiet = np.full(count, len(without) // count)
    quiet[rng.permutation(count)[: len(without) % count]] += 1
    # A little jitter keeps neighbours in length from always meeting each other.
    lengths = rows.samples * rng.uniform(0.9, 1.1, len(rows.samples))
    batches: list[NDArray[np.int64]] = []
    for first in range(0, count, _POOL_BATCHES):
        pool = quiet[first : first + _POOL_BATCHES]
        spoken = _by_length(with_term, size - quiet, first, len(pool), lengths)
        silent = _by_length(without, quiet, first, len(pool), lengths)
        batches += [np.concatenate(pair) for pair in zip(spoken, silent, strict=True)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _apportioned(
    with_term: NDArray[np.int64], without: NDArray[np.int64], config: SamplingConfig
) -> tuple[int, NDArray[np.int64]]:
    """The number of batches, and the rows without a term that go into them."""
    size, share = config.batch_size, config.no_term_share
    if share >= 1.0:
        return -(-(len(with_term) + len(without)) // size), without
    most = min(size - 1, max(1, int(share * size))) if share > 0.0 else 0
    if most == 0:
        return -(-len(with_term) // size), without[:0]
    count = min(-(-len(with_term) // (size - most)), -(-(len(with_term) + len(without)) // size))
    return count, without[: count * most]


def _by_length(
    rows: NDArray[np.int64], counts: NDArray[np.int64], first: int, batches: int, lengths: NDArray[np.float64]
) -> list[NDArray[np.int64]]:
    """Of the rows of batches `first` to `first + batches`, sorted by length, those of each batch."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    pool = rows[ends[first] : ends[first + batches]]
    pool = pool[np.argsort(lengths[pool], kind="stable")]
    return np.split(pool, ends[first + 1 : first + batches] - ends[first])


def share_of_rank(batch: Sequence[int] | NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """The rows of one rank: every `world`-th, so that lengths are spread evenly."""
    return np.asarray(batch, np.int64)[rank::world]
