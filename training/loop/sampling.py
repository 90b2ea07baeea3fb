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
    """`batch_size` rows of all ranks together; at most `no_term_share` of an epoch's rows hold no term."""

    batch_size: int
    no_term_share: float
    seed: int


def epoch_batches(rows: RowLengths, config: SamplingConfig, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers of each batch of an epoch; rows of like length come together, so that little is padding.

    The last batch is filled up with rows from the front of the shuffle, so that all are of one size.

    Raises:
        SettingError: no row, or a batch larger than all rows.
    """
    rng = np.random.default_rng([config.seed, epoch])
    with_term = np.flatnonzero(~rows.no_term)
    without = rng.permutation(np.flatnonzero(rows.no_term))
    if len(with_term) and config.no_term_share < 1.0:
        most = int(len(with_term) * config.no_term_share / (1.0 - config.no_term_share))
        without = without[:most]
    chosen = rng.permutation(np.concatenate([with_term, without]))
    size = config.batch_size
    if size < 1:
        raise SettingError(f"a batch of {size} rows teaches nothing; give --batch-size at least 1")
    if len(chosen) < size:
        raise SettingError(
            f"{len(chosen)} usable rows are fewer than one batch of {size}; bring more rows or lower --batch-size"
        )
    missing = -len(chosen) % size
    chosen = np.concatenate([chosen, chosen[:missing]])
    # A little jitter keeps neighbours in length from always meeting each other.
    jitter = rows.samples * rng.uniform(0.9, 1.1, len(rows.samples))
    batches: list[NDArray[np.int64]] = []
    for first in range(0, len(chosen), size * _POOL_BATCHES):
        pool = chosen[first : first + size * _POOL_BATCHES]
        pool = pool[np.argsort(jitter[pool], kind="stable")]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def share_of_rank(batch: Sequence[int] | NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """The rows of one rank: every `world`-th, so that lengths are spread evenly."""
    return np.asarray(batch, np.int64)[rank::world]
