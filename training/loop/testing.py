"""A toy run for tests: the dual encoder of `training.losses.testing`, batches of random numbers, no files read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from training.loop.config import LossConfig, ModelConfig, OptimiserConfig, RunConfig, TrainConfig
from training.loop.ports import Parts
from training.losses.grad_cache import cached_step
from training.losses.testing import ToyRetriever, random_batch
from training.losses.total import Losses, total_loss
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs, Tokens

ROWS, TERMS = 6, 5
ToyBatch: TypeAlias = tuple[RetrieverInputs, RetrieverLabels]


class ToyLearner(ToyRetriever):
    """A retriever whose audio tower counts as pretrained."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """`towers` is the audio tower, `new` the rest."""
        towers = list(self.audio.parameters())
        return {
            "towers": [p for p in towers if p.requires_grad],
            "new": [p for p in self.parameters() if p.requires_grad and not any(p is t for t in towers)],
        }


@dataclass(frozen=True, slots=True)
class ToyBatches:
    """Each rank's batch is drawn by (epoch, step, rank); one process with `joined_ranks` sees those of all ranks."""

    steps: int = 4
    rank: int = 0
    joined_ranks: int = 1

    def __len__(self) -> int:
        return self.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[ToyBatch]:
        """The batches of an epoch from step `skip` on."""
        for step in range(skip, self.steps):
            seed = 1000 * epoch + 10 * step + self.rank
            yield joined([random_batch(ROWS, TERMS, seed=seed + part) for part in range(self.joined_ranks)])


def joined(batches: Sequence[ToyBatch]) -> ToyBatch:
    """Batches of equal shape as one: rows after rows, columns after columns."""
    inputs, labels = zip(*batches, strict=True)
    return _joined_inputs(inputs), _joined_labels(labels)


def _joined_inputs(parts: Sequence[RetrieverInputs]) -> RetrieverInputs:
    def tokens(of: Sequence[Tokens]) -> Tokens:
        return {name: torch.cat([part[name] for part in of]) for name in of[0]}

    return RetrieverInputs(
        torch.cat([part.mel for part in parts]),
        torch.cat([part.frames for part in parts]),
        torch.cat([part.spans for part in parts]),
        tokens([part.terms for part in parts]),
        tokens([part.texts for part in parts if part.texts is not None]),
    )


def _joined_labels(parts: Sequence[RetrieverLabels]) -> RetrieverLabels:
    def cat(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    names = "row_terms term_keys term_groups row_groups text_keys no_term left right frames spans".split()
    shifted = [part.covering + torch.tensor([i * ROWS, i * TERMS, 0]) for i, part in enumerate(parts)]
    return replace(
        parts[0],
        **{name: cat(name) for name in names},
        covering=torch.cat(shifted),
        characters=tuple(t for part in parts for t in part.characters),
        phonemes=tuple(t for part in parts for t in part.phonemes),
    )


@dataclass(frozen=True, slots=True)
class ToyObjective:
    """The real losses with the toy's temperature."""

    model: ToyLearner

    def __call__(self, outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        """Over the rows of all ranks."""
        return total_loss(outputs, labels, LossConfig(), self.model.log_scale, across_ranks=True)


@dataclass(frozen=True, slots=True)
class ToyEvaluate:
    """Judges by the loss of one batch, and by a recall that rises from 0 to 1 as it falls."""

    objective: ToyObjective

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Both figures."""
        inputs, labels = random_batch(ROWS, TERMS, seed=99)
        # Draws, as a careless evaluation would: the run must not notice.
        torch.rand(3)
        loss = float(self.objective(model(inputs), labels).total)
        return {"recall@10": 1.0 / (1.0 + loss), "loss": loss}


class ToyNegatives:
    """Mines the terms' own vectors, and counts how often."""

    def __init__(self) -> None:
        self.renewed = 0
        self.mined = torch.zeros(0)

    def renew(self, model: nn.Module) -> None:
        """Mine with the model as it is now."""
        self.renewed += 1
        self.mined = next(iter(model.parameters())).detach().clone()

    def state_dict(self) -> dict[str, Any]:
        """What was mined."""
        return {"mined": self.mined, "renewed": self.renewed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with it."""
        self.mined, self.renewed = state["mined"], state["renewed"]


def toy_config(folder: Path, **run: Any) -> TrainConfig:  # noqa: ANN401 - any field of RunConfig
    """Settings of a toy run that writes into a folder."""
    values = {"batch_size": ROWS, "epochs": 3, "log_every": 2, "checkpoint_every_s": 0.0, **run}
    return TrainConfig(
        model=ModelConfig(audio_tower="whisper", model_name="", text_tower="characters"),
        optimiser=OptimiserConfig(rate=1e-3, warmup_steps=3),
        run=RunConfig(save_path=folder / "toy_full.pt", logs=folder / "logs", **values),
    )


def toy_parts(dropout: float = 0.3, steps: int = 4, rank: int = 0, joined_ranks: int = 1) -> Parts:
    """A model that learns, the same each time."""
    torch.manual_seed(5)
    model = ToyLearner(dropout)
    objective = ToyObjective(model)
    batches = ToyBatches(steps, rank, joined_ranks)
    return Parts(model, batches, objective, ToyEvaluate(objective), ToyNegatives(), cached_step)
