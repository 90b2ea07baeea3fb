"""What the ranks of one run do together: the mean of their gradients, its norm, and decisions that all must take alike.

The gradients are averaged here, once a step after all micro-batches, and not by DistributedDataParallel: its overlap
with the backward pass is worth nothing there, and its wrapper cannot stand around a text tower that is itself sharded.
The result is the one it defines, the mean.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

_BUCKET_BYTES = 32 * 2**20


def world_size() -> int:
    """Number of ranks; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def same_start(parameters: Iterable[Tensor]) -> None:
    """Give every rank the values of rank 0; sharded parameters are alike already."""
    if world_size() == 1:
        return
    with torch.no_grad():
        for value in parameters:
            if not isinstance(value, DTensor):
                dist.broadcast(value, 0)


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks.

    A parameter without a gradient counts as 0 where another rank has one, and stays without where none has.
    Sharded parameters were averaged by their own backward pass.
    """
    plain = [p for p in parameters if not isinstance(p, DTensor)]
    if world_size() == 1 or not plain:
        return
    used = torch.tensor([p.grad is not None for p in plain], dtype=torch.int32, device=plain[0].device)
    dist.all_reduce(used, dist.ReduceOp.MAX)
    gradients = []
    for parameter, is_used in zip(plain, used.tolist(), strict=True):
        if is_used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        whole = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(whole)
        whole /= world_size()
        for gradient, mean in zip(bucket, whole.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def _buckets(gradients: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients of one type and together about 32 MiB: one message each."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (size > _BUCKET_BYTES or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel() * gradient.element_size()
    if bucket:
        yield bucket


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float) -> float:
    """Scale all gradients so that their common norm is at most `longest`; returns the norm before."""
    sharded = [p for p in parameters if isinstance(p, DTensor) and p.grad is not None]
    plain = [p for p in parameters if not isinstance(p, DTensor) and p.grad is not None]
    norms = [nn.utils.get_total_norm([p.grad for p in part if p.grad is not None]) for part in (sharded, plain) if part]
    if not norms:
        return 0.0
    norm = torch.stack([n.full_tensor() if isinstance(n, DTensor) else n for n in norms]).norm()
    for part in (sharded, plain):
        if part:
            nn.utils.clip_grads_with_norm_(part, longest, norm)
    return float(norm)  # CPU-GPU sync point


def any_rank(flags: Sequence[bool], device: torch.device) -> tuple[bool, ...]:
    """Each flag: whether it is up on any rank."""
    if world_size() == 1:
        return tuple(flags)
    raised = torch.tensor(flags, dtype=torch.int32, device=device)
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return tuple(bool(flag) for flag in raised.tolist())


def of_first_rank(figures: dict[str, float], device: torch.device) -> dict[str, float]:
    """The figures of rank 0 on every rank, so that all decide alike; every rank has the same names."""
    if world_size() == 1:
        return figures
    values = torch.tensor([figures[name] for name in sorted(figures)], dtype=torch.float64, device=device)
    dist.broadcast(values, 0)
    return dict(zip(sorted(figures), values.tolist(), strict=True))
