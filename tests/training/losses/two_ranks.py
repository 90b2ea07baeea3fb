"""One of two processes: a plain and a cached step across ranks; run by test_gather.py as `two_ranks.py RANK FOLDER`."""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from training.loop.config import LossConfig
from training.losses.gather import gather_rows
from training.losses.grad_cache import cached_step
from training.losses.testing import ToyRetriever, random_batch
from training.losses.total import Losses, total_loss
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs

WORLD = 2


def batch_of(rank: int) -> tuple[RetrieverInputs, RetrieverLabels]:
    """Ranks differ in rows, terms, spans and frames."""
    return random_batch(5 + 2 * rank, 6 + rank, spans=4 + rank, frames=10 + rank, seed=rank)


def model_of(dropout: float = 0.0) -> ToyRetriever:
    """The same weights on every rank."""
    torch.manual_seed(9)
    return ToyRetriever(dropout)


def _step(rank: int, micro_batch: int | None, has_texts: bool) -> dict[str, Tensor]:
    model = model_of()
    ranks = DistributedDataParallel(model)
    inputs, labels = batch_of(rank)
    if not has_texts and rank == 0:
        inputs = RetrieverInputs(inputs.mel, inputs.frames, inputs.spans, inputs.terms, None)

    def loss(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        return total_loss(outputs, labels, LossConfig(), model.log_scale, across_ranks=True)

    losses = cached_step(ranks, inputs, labels, loss, micro_batch, no_sync=ranks.no_sync)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found | {"total": losses.total, **{f"loss {name}": v for name, v in losses.components.items()}}


def _gathered(rank: int) -> dict[str, Tensor]:
    """Ragged rows, nothing at all from rank 1, nothing from either, and truth values."""
    own = torch.arange(6.0).reshape(2, 3) + 10 * rank if rank == 0 else torch.full((1, 2), 7.0)
    return {
        "ragged": gather_rows(own, -1),
        "one": gather_rows(torch.ones(3 * (1 - rank), 2)),
        "none": gather_rows(torch.ones(0, 2)),
        "truth": gather_rows(torch.tensor([True, rank == 1])),
    }


def main(rank: int, folder: Path) -> None:
    """Write what this rank found to `folder`."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=WORLD)
    found = {
        "plain": _step(rank, None, True),
        "cached": _step(rank, 2, True),
        "textless": _step(rank, None, False),
        "gathered": _gathered(rank),
    }
    torch.save(found, folder / f"rank{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
