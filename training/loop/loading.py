"""The batches of an epoch, from any step on, for one rank; rows that cannot be read are skipped, listed and counted."""

import logging
import os
import signal
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from streaming.errors import TermCueError
from training.corpus.audio import AudioError
from training.corpus.examples import Example
from training.loop.batches import Batch, BatchMaker
from training.loop.sampling import RowLengths, SamplingConfig, epoch_batches, share_of_rank

_LOG = logging.getLogger(__name__)
_ROWS_BEFORE_JUDGING = 50


class TooManyBadRowsError(TermCueError):
    """More of the rows cannot be used than the run allows; the message says how many and names the first."""


class _Steps(Dataset[Batch | None]):
    """Step -> its batch; drawn by (seed, epoch, step, rank) alone, so a step is the same whenever it is made."""

    def __init__(
        self,
        rows: Sequence[Example],
        lengths: RowLengths,
        maker: BatchMaker,
        sampling: SamplingConfig,
        rank: int,
        world: int,
        epoch: int,
    ) -> None:
        self._rows, self._lengths, self._maker = rows, lengths, maker
        self._key = [sampling.seed, epoch, rank]
        self._batches = [share_of_rank(batch, rank, world) for batch in epoch_batches(lengths, sampling, epoch)]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Batch | None:
        numbers = self._batches[step]
        return self._maker.make(
            [self._rows[i] for i in numbers],
            [int(self._lengths.samples[i]) for i in numbers],
            np.random.default_rng([*self._key, step]),
        )


def _leave_signals_to_the_trainer(worker: int) -> None:
    """A signal to the whole group must not take the readers away: the trainer saves, then ends them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class Loader:
    """Batches of training rows.

    Args:
        rows: any sequence, such as a file with an index.
        lengths: of the same rows.
        maker: rows -> tensors.
        sampling: its `batch_size` counts the rows of all ranks.
        rank: of this process, of `world`.
        world: number of processes.
        workers: processes that read audio, at most one a core; 0 reads in this one.
        max_bad_share: TooManyBadRowsError above this share.
    """

    def __init__(
        self,
        rows: Sequence[Example],
        lengths: RowLengths,
        maker: BatchMaker,
        sampling: SamplingConfig,
        *,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        max_bad_share: float = 0.05,
    ) -> None:
        self._rows, self._lengths, self.maker, self._sampling = rows, lengths, maker, sampling
        self._rank, self._world, self._max_bad_share = rank, world, max_bad_share
        self._workers = min(workers, os.cpu_count() or 1)
        self._seen = 0
        self.bad: list[AudioError] = []
        self.steps_per_epoch = len(epoch_batches(lengths, sampling, 0))

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `skip` on."""
        steps = _Steps(self._rows, self._lengths, self.maker, self._sampling, self._rank, self._world, epoch)
        loader: DataLoader[Batch | None] = DataLoader(
            steps,
            batch_size=None,
            sampler=range(skip, len(steps)),
            num_workers=self._workers,
            worker_init_fn=_leave_signals_to_the_trainer,
            # Its own generator: the global one is part of the checkpoint and must not be drawn from here.
            generator=torch.Generator().manual_seed(0),
        )
        for batch in loader:
            if batch is None:
                raise TooManyBadRowsError(
                    "no row of a whole batch can be read; list the reasons with: termcue validate-audio ROWS"
                )
            self._count(batch)
            yield batch

    def _count(self, batch: Batch) -> None:
        self._seen += len(batch.inputs.frames) + len(batch.bad)
        for error in batch.bad:
            _LOG.warning("skipped: %s", error)
        self.bad += batch.bad
        if self._seen >= _ROWS_BEFORE_JUDGING and len(self.bad) > self._max_bad_share * self._seen:
            raise TooManyBadRowsError(
                f"{len(self.bad)} of {self._seen} rows cannot be used (more than {self._max_bad_share:.0%}), first: "
                f"{self.bad[0]}; list all with: termcue validate-audio ROWS"
            )
