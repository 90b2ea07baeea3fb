"""A moving average of the weights, which is better than the weights it is taken of (Polyak and Juditsky, 1992)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from training.loop.sharding import forget_whole


def _local(parameter: nn.Parameter) -> Tensor:
    """The values that lie on this rank, not a copy of them."""
    values = parameter.detach()
    return values.to_local() if isinstance(values, DTensor) else values


class WeightAverage:
    """Exponential moving average of the parameters that learn, in fp32 and, of sharded ones, of this rank's part.

    Args:
        model: as it is trained, sharded already.
        decay: of the average; in the first steps less, so that it does not stand at the random start. 0: the
            average is the parameters themselves and costs nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self._parameters = [p for p in model.parameters() if p.requires_grad] if decay else []
        self._average = [_local(parameter).float().clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 0."""
        decay = min(self._decay, (step + 1) / (step + 10))
        for average, parameter in zip(self._average, self._parameters, strict=True):
            average.lerp_(_local(parameter).float(), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the parameters hold the average; afterwards what they held."""
        live = [_local(parameter).clone() for parameter in self._parameters]
        self._put(self._average)
        try:
            yield
        finally:
            self._put(live)

    def _put(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            _local(parameter).copy_(value)
        forget_whole(self._model)

    def state(self) -> list[Tensor]:
        """For a checkpoint."""
        return self._average

    def restore(self, state: Sequence[Tensor]) -> None:
        """Go on from a checkpoint."""
        for average, value in zip(self._average, state, strict=True):
            average.copy_(value)
