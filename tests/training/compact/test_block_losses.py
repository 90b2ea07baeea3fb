from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from training.compact.block_losses import (
    BlockLossWeights,
    BlockObjective,
    Lesson,
    ctc_losses,
    distances,
    divergence,
    relative_error,
)
from training.compact.block_teacher import Taught
from training.compact.train_alignment import AlignmentLabels, row_losses
from training.models.block_encoder import BlockOutputs

BLOCKS, BLOCK, RIGHT, FRAMES = 6, 4, 3, 24


def taught() -> Taught:
    """Of two rows, all different."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, FRAMES, width, generator=generator) for width in (5, 29, 41, 7)]
    return Taught(parts[0], parts[1].log_softmax(-1), parts[2].log_softmax(-1), parts[3])


def pupil(teacher: Taught) -> BlockOutputs:
    """One that has learnt everything: after each block the first frames of the next one, provisionally."""

    def with_next(part: Tensor) -> Tensor:
        blocks = part.unflatten(1, (BLOCKS, BLOCK))
        following = torch.cat([blocks[:, 1:, :RIGHT], torch.full_like(blocks[:, :1, :RIGHT], 99.0)], dim=1)
        return torch.cat([blocks, following], dim=2)

    hidden = with_next(teacher.hidden)
    return BlockOutputs(
        hidden[:, :, :BLOCK],
        hidden[:, :-1, BLOCK:],
        *(with_next(part) for part in (teacher.characters, teacher.phonemes, teacher.features)),
    )


def labels(*targets: list[int], worst: float = 3.0) -> AlignmentLabels:
    """The same symbols in both alphabets, no cut words."""
    rows = tuple(torch.tensor(target, dtype=torch.int64) for target in targets)
    zeros = torch.zeros(len(rows), dtype=torch.int64)
    return AlignmentLabels(rows, rows, zeros, zeros, worst)


def test_who_does_as_the_teacher_has_nothing_to_learn() -> None:
    """The provisional frames after a block are compared with the teacher's first frames of the next block."""
    found = distances(Lesson(pupil(taught()), taught()))
    assert len(found) == 8
    assert {name: float(value) for name, value in found.items()} == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-6)


@pytest.mark.parametrize("part", [field.name for field in fields(BlockOutputs)])
def test_each_block_that_counts_is_compared(part: str) -> None:
    """A change in any block but the first two and the last one is seen, in the distances that it belongs to."""
    teacher = taught()
    own = {
        "hidden": ("hidden", None),
        "provisional": (None, "provisional_hidden"),
    }.get(part, (part, f"provisional_{part}"))
    for block in range(BLOCKS):
        for provisional, name in enumerate(own):
            if name is None:
                continue
            right = pupil(teacher)
            value = getattr(right, part).clone()
            if block == value.shape[1]:
                continue
            place = slice(BLOCK, None) if provisional and part != "provisional" else slice(0, 1)
            value[:, block, place] += 1
            found = distances(Lesson(replace(right, **{part: value}), teacher))
            changed = {key for key, distance in found.items() if abs(float(distance)) > 1e-4}
            assert changed == ({name} if 2 <= block < BLOCKS - 1 else set())


def test_distances_are_what_they_are_called() -> None:
    """Against the sums that they are."""
    student, teacher = taught().characters, taught().characters.roll(1, 1)
    slow = (teacher.exp() * (teacher - student)).sum(-1).mean()
    assert float(divergence(student, teacher)) == pytest.approx(float(slow), rel=1e-5)
    hidden = taught().hidden
    assert float(relative_error(torch.full_like(hidden, float(hidden.mean())), hidden)) == pytest.approx(1, abs=0.01)


def test_only_trusted_rows_are_taught_by_ctc() -> None:
    """Rows that say nothing, and those whose loss is too great, have no part in the mean; provisional frames neither."""
    outputs = pupil(taught())
    final = (taught().characters, taught().phonemes, taught().features)
    for given, rows in ((labels([1, 5, 1], [1, 6, 7, 1], worst=99), [0, 1]), (labels([1, 5, 1], [], worst=99), [0])):
        for found, slow in zip(ctc_losses(outputs, given), row_losses(final, given), strict=True):
            assert float(found) == pytest.approx(float(slow[rows].mean()), rel=1e-5)
    assert [float(loss) for loss in ctc_losses(outputs, labels([1, 5, 1], [1, 6, 1], worst=0.01))] == [0, 0]


def test_the_total_is_weighted() -> None:
    """Every component times its weight; the provisional ones once more."""
    lesson = Lesson(
        pupil(taught()),
        replace(
            taught(), hidden=taught().hidden + 1, phonemes=taught().characters.new_zeros(2, 24, 41).log_softmax(-1)
        ),
    )
    weights = BlockLossWeights(hidden=2.0, phonemes=0.5, provisional=0.25, ctc=0.125)
    losses = BlockObjective(weights)(lesson, labels([1, 5, 1], [1, 6, 1], worst=99))
    c = {name: float(value) for name, value in losses.components.items()}
    assert min(c["hidden"], c["provisional_hidden"], c["phonemes"], c["provisional_phonemes"], c["ctc_phonemes"]) > 0.1
    expected = 2 * c["hidden"] + 0.5 * c["provisional_hidden"] + 0.5 * c["phonemes"] + 0.125 * c["provisional_phonemes"]
    expected += 0.125 * (c["ctc_characters"] + c["ctc_phonemes"])
    assert float(losses.total) == pytest.approx(expected, rel=1e-5)
