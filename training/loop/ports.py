"""What the training loop asks of others, and what it gives back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias

import torch
from torch import Tensor, nn

from streaming.errors import TermCueError
from training.losses.total import Losses

JUDGED_BY = "recall@10"

Ended: TypeAlias = Literal["epochs", "steps", "early"]


class Inputs(Protocol):
    """What a model is called with: the rows of one step."""

    def __len__(self) -> int:
        """Rows."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        ...


class Labels(Protocol):
    """What is true of the rows."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        ...


Batch: TypeAlias = tuple[Inputs, Labels]
Progress: TypeAlias = Callable[[int, int], None]


class TrainingError(TermCueError):
    """A run that cannot go on."""


class Learner(Protocol):
    """A model that knows how fast its parts should learn."""

    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """What learns: `towers` are pretrained weights, `new` is all else."""
        ...


class Batches(Protocol):
    """The batches of this rank; the same number on every rank."""

    def __len__(self) -> int:
        """Steps of an epoch."""
        ...

    def __call__(self, epoch: int, skip: int) -> Iterable[Batch]:
        """The batches of an epoch from step `skip` on, each made when asked for, from (seed, epoch, step) alone."""
        ...


class Objective(Protocol):
    """What is minimised; called once a step on every rank, over the rows of all ranks."""

    # Any: outputs and labels are of the kinds that the model and the batches of the same run give.
    def __call__(self, outputs: Any, labels: Any, /) -> Losses:  # noqa: ANN401
        """The losses of a whole batch."""
        ...


class CachedStep(Protocol):
    """The gradients of a batch that is passed in parts (`training.losses.grad_cache.cached_step`)."""

    def __call__(
        self,
        model: Any,  # noqa: ANN401 - of the kinds of one run, as above
        inputs: Any,  # noqa: ANN401
        labels: Any,  # noqa: ANN401
        loss: Objective,
        micro_batch: int,
        backward: Callable[[Tensor], None],
        /,
    ) -> Losses:
        """The losses, with their gradients in the parameters."""
        ...


class Evaluate(Protocol):
    """Judges the model; called on every rank, the figures of rank 0 count."""

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Figures, among them that of `RunConfig.judged_by`; `epoch` counts from 1."""
        ...


class Negatives(Protocol):
    """Mined hard negatives, which the batches use; renewed every `refresh_steps`."""

    def renew(self, model: nn.Module) -> None:
        """Mine with the model as it is now, the same on every rank."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What was mined, of tensors and plain values: a resumed run must use the same."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what was mined."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of.

    Attributes:
        model: takes the inputs of the batches and gives the outputs of the objective; also a `Learner`.
        batches: of training.
        objective: the losses.
        evaluate: None: no best checkpoint, no plateau, no early stop.
        negatives: None where none are mined.
        cached_step: None where inputs cannot be cut into parts: each batch is passed whole.
        rows: names the state of what the batches are made of; a run goes on with the same only.
    """

    model: nn.Module
    batches: Batches
    objective: Objective
    evaluate: Evaluate | None = None
    negatives: Negatives | None = None
    cached_step: CachedStep | None = None
    rows: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        checkpoint: the last weights.
        best: the weights that were judged best, if any were judged.
        steps: done in all.
        epochs: done in all, the last perhaps not to its end.
        figures: of the last evaluation.
        ended: why.
    """

    checkpoint: Path
    best: Path | None
    steps: int
    epochs: int
    figures: Mapping[str, float]
    ended: Ended
