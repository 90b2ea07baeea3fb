"""What the training loop asks of others, and what it gives back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from torch import nn

from streaming.errors import TermCueError
from training.losses.total import Losses
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs

JUDGED_BY = "recall@10"

Ended: TypeAlias = Literal["epochs", "steps", "early"]

Batch: TypeAlias = tuple[RetrieverInputs, RetrieverLabels]
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

    def __call__(self, outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        """The losses of a whole batch."""
        ...


class Evaluate(Protocol):
    """Judges the model after an epoch; called on every rank, the figures of rank 0 count."""

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Figures, among them `recall@10`; `epoch` counts from 1."""
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
        model: RetrieverInputs -> RetrieverOutputs; also a `Learner`.
        batches: of training.
        objective: the losses.
        evaluate: None: no best checkpoint, no plateau, no early stop.
        negatives: None where none are mined.
    """

    model: nn.Module
    batches: Batches
    objective: Objective
    evaluate: Evaluate | None = None
    negatives: Negatives | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        checkpoint: the last weights.
        best: the weights of the best epoch, if any was judged.
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
