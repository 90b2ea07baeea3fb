"""Rows and terms of all ranks on every rank, with a gradient: the negatives of one rank are those of all."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, distributed

from training.models.interfaces import RetrieverLabels, RetrieverOutputs

_FILL = -1


def is_distributed() -> bool:
    """Whether there is more than one rank."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def gather_rows(values: Tensor, fill: float = 0.0) -> Tensor:
    """Every rank's rows, one rank after the other: [n_rank, ...] -> [sum of n, ...]; the same tensor without ranks.

    Sizes may differ in every dimension: rows are appended, what else is shorter is filled up. All ranks must call it.

    Every rank must compute the same scalar of the whole, since the backward pass asks no one: it takes a rank's own
    part of the gradient, times the number of ranks, which is what a sum over the ranks would bring. The mean over the
    ranks that DistributedDataParallel takes then makes it the gradient of one process with all rows.
    """
    if not is_distributed():
        return values
    gathered: Tensor = _GatherRows.apply(values, fill)  # type: ignore[no-untyped-call]
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, fill: float) -> Tensor:  # noqa: ANN401 - torch names no type for it
        shapes = _all_shapes(values)
        rank = distributed.get_rank()
        counts = shapes[:, 0].tolist()
        context.own = values.shape
        context.first = sum(counts[:rank])
        context.world = len(counts)
        largest = shapes.amax(0).tolist()
        padded = values.new_full(largest, fill)
        padded[tuple(slice(size) for size in values.shape)] = values
        parts = [torch.empty_like(padded) for _ in counts]
        if padded.numel():
            distributed.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        own = gradients[0][context.first : context.first + context.own[0]]
        return own[tuple(slice(size) for size in context.own)] * context.world, None


def _all_shapes(values: Tensor) -> Tensor:
    """int64[ranks, dimensions]."""
    shape = torch.tensor(values.shape, device=values.device)
    shapes = [torch.empty_like(shape) for _ in range(distributed.get_world_size())]
    distributed.all_gather(shapes, shape)
    return torch.stack(shapes)


def gather_batch(outputs: RetrieverOutputs, labels: RetrieverLabels) -> tuple[RetrieverOutputs, RetrieverLabels]:
    """What losses between rows need, of all ranks.

    The alignment head's outputs and targets, lengths and bounds of spans stay this rank's: they are large, and no
    other row has a part in their losses.
    """
    if not is_distributed():
        return outputs, labels
    # A rank without transcripts still takes part in the collective calls of those with some.
    texts = torch.zeros_like(outputs.chunks) if outputs.texts is None else outputs.texts
    text_keys = torch.full_like(labels.text_keys, _FILL) if outputs.texts is None else labels.text_keys
    shapes = _all_shapes(outputs.spans), _all_shapes(outputs.terms)
    rank = distributed.get_rank()
    first_row, first_term = (int(shape[:rank, 0].sum()) for shape in shapes)
    # Spans are filled up with one that the row has already, which changes no maximum.
    spans = outputs.spans
    missing = int(shapes[0][:, 1].max()) - spans.shape[1]
    spans = torch.cat([spans, spans[:, -1:].expand(-1, missing, -1)], 1)
    return replace(
        outputs,
        spans=gather_rows(spans),
        chunks=gather_rows(outputs.chunks),
        terms=gather_rows(outputs.terms),
        texts=gather_rows(texts),
    ), replace(
        labels,
        row_terms=gather_rows(labels.row_terms, _FILL),
        term_keys=gather_rows(labels.term_keys),
        term_groups=gather_rows(labels.term_groups),
        row_groups=gather_rows(labels.row_groups, _FILL),
        covering=gather_rows(labels.covering + labels.covering.new_tensor([first_row, first_term, 0])),
        text_keys=gather_rows(text_keys),
        no_term=gather_rows(labels.no_term),
    )
