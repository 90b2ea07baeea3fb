"""Large batches on small cards by gradient caching.

Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021). The loss sees the outputs
of the whole batch, while only one micro-batch at a time holds its activations: a first pass without a gradient gives
the outputs, the loss gives their gradients, and a second pass with the same random numbers carries these into the
parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch
from torch import Tensor

from training.losses.total import Losses
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs

Model: TypeAlias = Callable[[RetrieverInputs], RetrieverOutputs]
Loss: TypeAlias = Callable[[RetrieverOutputs, RetrieverLabels], Losses]
Columns: TypeAlias = Mapping[str, Tensor]
"""Fields of `RetrieverOutputs` that are not None."""


def cached_step(
    model: Model,
    inputs: RetrieverInputs,
    labels: RetrieverLabels,
    loss: Loss,
    micro_batch: int | None = None,
    backward: Callable[[Tensor], None] = torch.Tensor.backward,
    no_sync: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Losses:
    """Forward and backward of one batch; gradients are added to those of the parameters.

    Args:
        model: called once with the whole batch, or twice with each of its parts.
        inputs: n rows and m terms.
        labels: of the same.
        loss: of the outputs of the whole batch; parameters that it reads itself, such as a temperature, get their
            gradient too.
        micro_batch: rows of a part; the terms are spread over the parts evenly. None, or n and more: a plain step.
            Where the forward pass itself talks to other ranks, as under FSDP, all must have the same number of parts.
        backward: carries a scalar into the parameters, such as `Accelerator.backward` with its scaling.
        no_sync: keeps DistributedDataParallel from averaging over the ranks; all parts but the last are within.

    Returns:
        The losses, without a gradient. A loss that is not finite is returned as well and its gradients are in place:
        whether to step is for the caller to decide.

    Raises:
        ValueError: a micro-batch below one row.
    """
    parts = _parts(inputs, micro_batch)
    if len(parts) == 1:
        losses = loss(model(inputs), labels)
        backward(losses.total)
        return losses.detach()
    device = inputs.mel.device
    states, columns = [], []
    with torch.no_grad(), no_sync():
        for part in parts:
            states.append(_RandomState.now(device))
            columns.append(part.used(model(part.inputs)))
    # Autocast would go on with the copies of the weights that it made here, and these lead to no gradient.
    torch.clear_autocast_cache()
    cached = {name: _whole([c[name] for c in columns]) for name in columns[0]}
    losses, gradients, of_loss = _gradients(loss, cached, labels)
    begun = dict.fromkeys(cached, 0)
    for number, (part, state) in enumerate(zip(parts, states, strict=True), 1):
        is_last = number == len(parts)
        with nullcontext() if is_last else no_sync():
            with state.replayed(device):
                outputs = model(part.inputs)
            scalar = _carrier(part.all(outputs), part.used(outputs), gradients, begun)
            if is_last:
                scalar = sum(((p * g).sum() for p, g in of_loss), scalar)
            backward(scalar)
    return losses.detach()


def _whole(parts: Sequence[Tensor]) -> Tensor:
    """Parts of an output -> a leaf of at least fp32, so that the gradients between the passes are not rounded."""
    joined = torch.cat(list(parts))
    return (joined.float() if joined.dtype.itemsize < 4 else joined).requires_grad_()


def _gradients(
    loss: Loss, cached: dict[str, Tensor], labels: RetrieverLabels
) -> tuple[Losses, dict[str, Tensor], list[tuple[Tensor, Tensor]]]:
    """The losses, their gradients at the outputs, and at the parameters that only the loss reads."""
    losses = loss(RetrieverOutputs(**{f.name: cached.get(f.name) for f in fields(RetrieverOutputs)}), labels)  # type: ignore[arg-type]
    known = {id(value) for value in cached.values()}
    parameters = [leaf for leaf in _leaves(losses.total) if id(leaf) not in known]
    found = torch.autograd.grad(
        losses.total, [*cached.values(), *parameters], allow_unused=True, materialize_grads=True
    )
    return (
        losses,
        dict(zip(cached, found[: len(cached)], strict=True)),
        list(zip(parameters, found[len(cached) :], strict=True)),
    )


def _leaves(scalar: Tensor) -> list[Tensor]:
    """Every tensor that requires a gradient and that `scalar` was computed from."""
    found, seen, waiting = [], set(), [scalar.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [following for following, _ in node.next_functions]
    return found


def _carrier(every: Columns, used: Columns, gradients: Columns, begun: dict[str, int]) -> Tensor:
    """A scalar whose gradient at the outputs of a part is that of the loss; moves `begun` on by what was used.

    What is computed and not used counts with 0, so that each parameter takes part in every backward pass.
    """
    scalar = sum((value.float().sum() for value in every.values()), torch.zeros((), device=every["spans"].device)) * 0.0
    for name, value in used.items():
        first, begun[name] = begun[name], begun[name] + len(value)
        gradient = gradients[name][first : begun[name]]
        scalar = scalar + (value.to(gradient.dtype) * gradient).sum()
    return scalar


@dataclass(frozen=True, slots=True)
class _Part:
    """A micro-batch; `has_terms` is false where a term of another part fills its place."""

    inputs: RetrieverInputs
    has_terms: bool

    def all(self, outputs: RetrieverOutputs) -> Columns:
        values = {f.name: getattr(outputs, f.name) for f in fields(outputs)}
        return {name: value for name, value in values.items() if value is not None}

    def used(self, outputs: RetrieverOutputs) -> Columns:
        return {n: v if n != "terms" or self.has_terms else v[:0] for n, v in self.all(outputs).items()}


def _parts(inputs: RetrieverInputs, micro_batch: int | None) -> list[_Part]:
    rows = len(inputs.mel)
    if micro_batch is not None and micro_batch < 1:
        raise ValueError(f"a micro-batch of {micro_batch} rows holds nothing; give at least 1")
    size = rows if micro_batch is None else micro_batch
    count = max(1, -(-rows // max(1, size)))
    terms = len(next(iter(inputs.terms.values())))
    bounds = [terms * i // count for i in range(count + 1)]
    parts = []
    for i in range(count):
        has_terms = bounds[i] < bounds[i + 1]
        of_terms = slice(bounds[i], bounds[i + 1]) if has_terms else slice(0, 1)
        parts.append(_Part(inputs.part(slice(i * size, (i + 1) * size), of_terms), has_terms))
    return parts


@dataclass(frozen=True, slots=True)
class _RandomState:
    """Where torch's generators stand, of the CPU and of the device in use."""

    cpu: Tensor
    device: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "_RandomState":
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None)

    @contextmanager
    def replayed(self, device: torch.device) -> Iterator[None]:
        """Random numbers as they were then; afterwards as they are now."""
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.set_rng_state(self.cpu)
            if self.device is not None:
                torch.cuda.set_rng_state(self.device, device)
            yield
