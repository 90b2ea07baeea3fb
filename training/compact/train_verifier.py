"""Train the verifier to write the words of a crop of the finished encoder's frames, and then the end.

The decoder is pretrained; what it must learn is to begin and to end with its frames, and what these mean. The encoder
and the embeddings of the tokens stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.compact.cache import CachedFrames
from training.compact.crops import (
    LEAST_USEFUL,
    Batch,
    CropWriter,
    Heard,
    Text,
    VerifierInputs,
    VerifierLabels,
    in_groups,
)
from training.compact.learning import part_file, train_part
from training.corpus.manifest import ManifestError
from training.loop.config import OptimiserConfig, RunConfig
from training.loop.ports import Batches, Inputs, Parts
from training.losses.total import Losses
from training.models.verifier import SpanVerifier

# Crops are passed in so many groups of like length: less of them is padding.
_GROUPS = 2


@dataclass(frozen=True, slots=True)
class VerifierSchedule:
    """How long and how fast a verifier learns.

    Attributes:
        batch_windows: of each step.
        rate: of the decoder.
        attention_factor: its attention to the frames, whose meaning is new to it, learns so many times as fast.
        average: decay of the moving average of the weights.
        held_out_windows: judged on, of each length.
        precision: of the forward pass; bf16 is slower where a machine only imitates it.
    """

    steps: int = 1500
    batch_windows: int = 16
    crops_per_window: int = 3
    rate: float = 5e-5
    attention_factor: float = 6.0
    warmup_steps: int = 30
    average: float = 0.99
    checkpoint_every_s: float = 180.0
    held_out_windows: int = 160
    seed: int = 1
    precision: Literal["bf16", "fp32"] = "bf16"


@dataclass(frozen=True, slots=True)
class VerifierTrainingConfig(VerifierSchedule):
    """The first training of the verifier; `tokens` of the pretrained vocabulary are kept."""

    tokens: int = 16_000
    collection_weights: dict[str, float] = field(default_factory=lambda: {"an4": 0.35})


class CropSampler:
    """Batches of crops of windows of one length each, drawn by (seed, epoch, step).

    Args:
        blocks: windows through the lower tower.
        tokenizer: of the verifier.
        positions: that the verifier has; a crop with a longer text is drawn again.
        config: how many, and how often of which collection.

    Raises:
        ManifestError: no window has enough frames between the cut words.
    """

    def __init__(
        self, blocks: Sequence[CachedFrames], tokenizer: Tokenizer, positions: int, config: VerifierTrainingConfig
    ) -> None:
        self._blocks, self._config = blocks, config
        self._write = CropWriter(tokenizer, positions, config.crops_per_window)
        weights: dict[int, dict[tuple[int, int], float]] = {}
        for place, block in enumerate(blocks):
            for row, window in enumerate(block.windows):
                weight = config.collection_weights.get(window.collection, 1.0)
                if block.length - window.left_wildcard - window.right_wildcard >= LEAST_USEFUL and weight > 0:
                    weights.setdefault(block.length, {})[place, row] = weight
        if not weights:
            raise ManifestError(
                f"none of {sum(len(b.windows) for b in blocks)} cached windows can teach: they hold no quarter of a "
                "second free of cut words; bring longer recordings"
            )
        self._pools = [np.array(list(of_length)) for of_length in weights.values()]
        shares = [np.array(list(of_length.values())) for of_length in weights.values()]
        self._rows = [share / share.sum() for share in shares]
        self._shares = np.array([share.sum() for share in shares]) / sum(share.sum() for share in shares)

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Batches from step `skip` on."""
        for step in range(skip, len(self)):
            yield self.drawn(np.random.default_rng([self._config.seed, epoch, step]))

    def drawn(self, rng: np.random.Generator) -> Batch:
        """Crops of windows of one length, by the weights of their collections."""
        batch = None
        while batch is None:
            pool = int(rng.choice(len(self._pools), p=self._shares))
            rows = np.sort(rng.choice(len(self._pools[pool]), self._config.batch_windows, p=self._rows[pool]))
            batch = self.batch(self._pools[pool][rows], rng)
        return batch

    def once(self) -> Iterator[Batch]:
        """Usable windows once, at most `held_out_windows` of each length, always the same crops of the same ones."""
        for pool in self._pools:
            rng = np.random.default_rng(0)
            places = pool[np.sort(rng.permutation(len(pool))[: self._config.held_out_windows])]
            for first in range(0, len(places), self._config.batch_windows):
                batch = self.batch(places[first : first + self._config.batch_windows], rng)
                if batch is not None:
                    yield batch

    def batch(self, places: NDArray[np.int64], rng: np.random.Generator) -> Batch | None:
        """Crops of the windows at the places (block, row), int64[n, 2] and of one length; None where none is usable."""
        found: list[Text] = []
        for window, (block, row) in enumerate(places.tolist()):
            cached = self._blocks[block]
            found += self._write(window, cached.windows[row], cached.length, rng)
        if not found:
            return None
        groups, labels = in_groups(found, _GROUPS)
        hidden = torch.cat([self._blocks[block].batch(np.array([row])) for block, row in places.tolist()])
        return VerifierInputs(hidden, groups), labels


class VerifierModel(nn.Module):
    """What is heard and crops of it -> log-probability of each token, float32[k, l] for each group of crops.

    Args:
        tower: the finished encoder, what is heard -> frames float32[n, t, width].
        verifier: reads them.
    """

    def __init__(self, tower: nn.Module, verifier: SpanVerifier) -> None:
        super().__init__()
        self.tower, self.verifier = tower.requires_grad_(False).eval(), verifier
        self.verifier.embed_tokens.requires_grad_(False)

    def train(self, mode: bool = True) -> "VerifierModel":
        """Like every module; the finished encoder stays as it is served."""
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, inputs: VerifierInputs[Heard]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            frames = self.tower(inputs.heard)
        return tuple(self.verifier(*group.cut(frames), group.tokens) for group in inputs.groups)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """`new` is the attention to frames that the decoder does not know yet, `towers` all else that learns."""
        groups: dict[str, list[nn.Parameter]] = {"towers": [], "new": []}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups["new" if "encoder_attn" in name else "towers"].append(parameter)
        return groups


def nats(outputs: Sequence[Tensor], labels: VerifierLabels) -> tuple[Tensor, int]:
    """Minus the log-probability of all that is said, float32[], and the number of tokens that it is of."""
    pairs = list(zip(outputs, labels.is_said, strict=True))
    return -torch.stack([(log.float() * said).sum() for log, said in pairs]).sum(), sum(int(s.sum()) for _, s in pairs)


def verifier_objective(outputs: Sequence[Tensor], labels: VerifierLabels) -> Losses:
    """Mean nats a token; an end counts as one."""
    total, tokens = nats(outputs, labels)
    return Losses(total / tokens, {"nats_per_token": total / tokens})


class HeldOutCrops(Protocol):
    """Crops to judge by."""

    def once(self) -> Iterator[tuple[Inputs, VerifierLabels]]:
        """Always the same ones."""
        ...


class HeldOutNats:
    """Judges by the mean nats a token of held-out crops."""

    def __init__(self, sampler: HeldOutCrops) -> None:
        self._sampler = sampler

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """As `loss`."""
        device = next(model.parameters()).device
        found = [nats(model(inputs.to(device)), labels.to(device)) for inputs, labels in self._sampler.once()]
        return {"loss": sum(float(total) for total, _ in found) / sum(tokens for _, tokens in found)}


def train_verifier(
    model: VerifierModel, sampler: Batches, held_out: HeldOutCrops, out: Path, config: VerifierSchedule
) -> Mapping[str, Tensor]:
    """Run (or resume) the training in `out`; returns the averaged weights, which its checkpoint holds."""
    optimiser = OptimiserConfig(
        rate=config.rate,
        projection_factor=config.attention_factor,
        second_moment=0.98,
        warmup_steps=config.warmup_steps,
    )
    run = RunConfig(
        epochs=1,
        precision=config.precision,
        seed=config.seed,
        save_path=part_file(out, "verifier"),
        average=config.average,
        judged_by="loss",
        evaluate_every_s=config.checkpoint_every_s,
        checkpoint_every_s=config.checkpoint_every_s,
    )
    parts = Parts(model, sampler, verifier_objective, HeldOutNats(held_out))
    return train_part("verifier", parts, optimiser, run).weights
