"""How far a block encoder is from its teacher, for frames that are final and for those that are provisional."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.compact.block_teacher import Taught
from training.compact.train_alignment import AlignmentLabels, row_losses
from training.losses.total import Losses
from training.models.block_encoder import BlockOutputs

# A stretch begins and ends where no stream does: these blocks do not count, and after the last one nothing is heard.
_FIRST, _UNHEARD = 2, 1


@dataclass(frozen=True, slots=True)
class BlockLossWeights:
    """Weights of the alphabets' divergences, of hidden frames and features, of CTC; of all that is provisional."""

    characters: float = 1.0
    phonemes: float = 1.0
    hidden: float = 2.0
    features: float = 2.0
    provisional: float = 0.3
    ctc: float = 0.1


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the student made of stretches and what the teacher did."""

    outputs: BlockOutputs
    taught: Taught


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of log-probabilities [..., v] from those of the teacher, float32[]."""
    total = functional.kl_div(student.float(), teacher, log_target=True, reduction="sum")
    return total / teacher[..., 0].numel()


def relative_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference, in variances of the teacher's, float32[]."""
    return (student.float() - teacher).square().mean() / teacher.var()


def distances(lesson: Lesson) -> dict[str, Tensor]:
    """Of final frames and, under names that begin with provisional, of the frames after each block as heard with it."""
    outputs, taught = lesson.outputs, lesson.taught
    blocks, block = outputs.hidden.shape[1:3]
    right = outputs.provisional.shape[2]
    counted, following = slice(_FIRST, blocks - _UNHEARD), slice(_FIRST + 1, blocks - _UNHEARD + 1)

    def final(teacher: Tensor) -> Tensor:
        parted: Tensor = teacher.unflatten(1, (blocks, block))
        return parted[:, counted]

    def next_ones(teacher: Tensor) -> Tensor:
        parted: Tensor = teacher.unflatten(1, (blocks, block))
        return parted[:, following, :right]

    measures = {
        "characters": (divergence, outputs.characters, taught.characters),
        "phonemes": (divergence, outputs.phonemes, taught.phonemes),
        "features": (relative_error, outputs.features, taught.features),
    }
    found = {
        "hidden": relative_error(outputs.hidden[:, counted], final(taught.hidden)),
        "provisional_hidden": relative_error(outputs.provisional[:, counted], next_ones(taught.hidden)),
    }
    for name, (measure, student, teacher) in measures.items():
        found[name] = measure(student[:, counted, :block], final(teacher))
        found[f"provisional_{name}"] = measure(student[:, counted, block:], next_ones(teacher))
    return found


def ctc_losses(outputs: BlockOutputs, labels: AlignmentLabels) -> tuple[Tensor, Tensor]:
    """CTC of both alphabets over the final frames.

    Rows in which nothing whole is heard, or whose loss is too great to be of what is said, teach nothing.
    """
    block = outputs.hidden.shape[2]
    final = [part[:, :, :block].flatten(1, 2) for part in (outputs.characters, outputs.phonemes, outputs.features)]
    says = torch.tensor([len(target) > 0 for target in labels.characters], device=final[0].device)
    characters, phonemes = row_losses((final[0], final[1], final[2]), labels)
    return _trusted_mean(characters, says, labels.worst), _trusted_mean(phonemes, says, labels.worst)


def _trusted_mean(losses: Tensor, says: Tensor, worst: float) -> Tensor:
    trusted = says & (losses.detach() < worst)
    return (losses * trusted).sum() / trusted.sum().clamp(min=1)


class BlockObjective:
    """The weighted sum of all distances and of CTC."""

    def __init__(self, weights: BlockLossWeights) -> None:
        self._weights = {name: getattr(weights, name) for name in ("characters", "phonemes", "hidden", "features")}
        self._weights |= {f"provisional_{name}": w * weights.provisional for name, w in self._weights.items()}
        self._weights |= {"ctc_characters": weights.ctc, "ctc_phonemes": weights.ctc}

    def __call__(self, lesson: Lesson, labels: AlignmentLabels) -> Losses:
        """Of a batch, in full precision."""
        characters, phonemes = ctc_losses(lesson.outputs, labels)
        found: Mapping[str, Tensor] = {
            **distances(lesson),
            "ctc_characters": characters,
            "ctc_phonemes": phonemes,
        }
        total = torch.stack([self._weights[name] * value for name, value in found.items()]).sum()
        return Losses(total, dict(found))
