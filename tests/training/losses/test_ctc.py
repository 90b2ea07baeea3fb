import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from training.losses.ctc import alignment_losses, ctc_with_edges, edge_column
from training.losses.testing import ToyRetriever, random_batch


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """A CTC path without repeats and blanks."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != 0)


def slow_ctc(log_probs: Tensor, target: list[int], left: int, right: int) -> float:
    """Negative log of the summed probability of every path that spells the target between its wildcards."""
    length, vocabulary = log_probs.shape
    wanted = tuple([vocabulary] * (left > 0) + target + [vocabulary] * (right > 0))
    total = 0.0
    for path in itertools.product(range(vocabulary + 1), repeat=length):
        if collapse(path) != wanted:
            continue
        probability = 1.0
        for frame, symbol in enumerate(path):
            if symbol == vocabulary:
                probability *= float(frame < left or frame >= length - right)
            else:
                probability *= math.exp(float(log_probs[frame, symbol]))
        total += probability
    return -math.log(total) / max(1, len(wanted))


@pytest.mark.parametrize(
    ("target", "left", "right"),
    [
        ([1], 0, 0),
        ([1, 2], 0, 0),
        ([2, 2], 0, 0),
        ([1], 2, 0),
        ([1], 0, 1),
        ([1], 1, 2),
        ([], 0, 0),
        ([], 2, 0),
        ([], 1, 2),
    ],
)
def test_edges_equal_all_paths(target: list[int], left: int, right: int) -> None:
    """The loss is the sum over every path that spells the target, with free symbols where words are cut."""
    torch.manual_seed(3)
    log_probs = torch.randn(1, 5, 3, dtype=torch.float64).log_softmax(-1)
    found = ctc_with_edges(
        log_probs, [torch.tensor(target, dtype=torch.int64)], torch.tensor([left]), torch.tensor([right])
    )
    assert float(found[0]) == pytest.approx(slow_ctc(log_probs[0], target, left, right), rel=1e-6)


def test_rows_do_not_meet() -> None:
    """A batch gives each row the loss that it has alone."""
    torch.manual_seed(1)
    log_probs = torch.randn(3, 8, 4).log_softmax(-1)
    targets = [torch.tensor([1, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([3])]
    left, right = torch.tensor([0, 3, 2]), torch.tensor([2, 0, 0])
    together = ctc_with_edges(log_probs, targets, left, right)
    alone = [
        ctc_with_edges(log_probs[i : i + 1], targets[i : i + 1], left[i : i + 1], right[i : i + 1]) for i in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_target_too_long_teaches_nothing() -> None:
    """A target that cannot fit its frames gives a loss of 0 and no gradient, not infinity."""
    logits = torch.randn(1, 2, 4, requires_grad=True)
    zero = torch.tensor([0])
    loss = ctc_with_edges(logits.log_softmax(-1), [torch.tensor([1, 2, 3])], zero, zero).sum()
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize(("left", "right"), [(0, 0), (2, 0), (2, 1)])
def test_edges_gradient(left: int, right: int) -> None:
    """The gradient at the logits is that of finite differences, wildcards included."""
    torch.manual_seed(0)
    logits = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    targets = [torch.tensor([1, 3]), torch.tensor([2])]
    edges = torch.tensor([left, left]), torch.tensor([right, right])
    assert torch.autograd.gradcheck(lambda x: ctc_with_edges(x.log_softmax(-1), targets, *edges), (logits,))


def test_edge_column_marks_the_lost_frames() -> None:
    """The wildcard is free in the first and last frames asked for and ruled out between them."""
    column = edge_column(5, torch.tensor([2, 0]), torch.tensor([1, 0]))
    assert (column == 0.0).tolist() == [[True, True, False, False, True], [False] * 5]
    assert float(column.min()) == -1e4


@pytest.mark.parametrize(("left", "right"), [(0, 0), (1, 0), (0, 2), (2, 1)])
def test_padding_is_not_aligned(left: int, right: int) -> None:
    """A padded row has the loss and gradient that it has at its true length."""
    torch.manual_seed(4)
    logits = torch.randn(1, 9, 5, dtype=torch.float64)
    target, edges = [torch.tensor([1, 3])], (torch.tensor([left]), torch.tensor([right]))
    short = logits[:, :6].clone().requires_grad_()
    long = logits.clone().requires_grad_()
    expected = ctc_with_edges(short.log_softmax(-1), target, *edges)
    found = ctc_with_edges(long.log_softmax(-1), target, *edges, frames=torch.tensor([6]))
    torch.testing.assert_close(found, expected)
    expected.sum().backward()
    found.sum().backward()
    assert short.grad is not None
    assert long.grad is not None
    torch.testing.assert_close(long.grad[:, :6], short.grad)
    assert not long.grad[:, 6:].any()


def test_only_known_targets_are_learnt() -> None:
    """Each head's rows with a target count once, in order; rows without one do not count."""
    model = ToyRetriever()
    inputs, labels = random_batch(5, 4)
    outputs = model(inputs)
    found = alignment_losses(outputs.characters, outputs.phonemes, labels)
    slow = [
        ctc_with_edges(
            values[i : i + 1, : int(inputs.frames[i])],
            [targets[i]],
            labels.left[i : i + 1],
            labels.right[i : i + 1],
        )
        for values, targets in ((outputs.characters, labels.characters), (outputs.phonemes, labels.phonemes))
        for i in range(5)
        if len(targets[i])
    ]
    torch.testing.assert_close(found, torch.cat(slow))


def test_alignment_without_lengths_is_refused() -> None:
    """Labels that do not tell the true lengths would have the padding aligned, so they are an error."""
    inputs, labels = random_batch(2, 3)
    outputs = ToyRetriever()(inputs)
    with pytest.raises(ValueError, match=r"frames=inputs\.frames"):
        alignment_losses(outputs.characters, outputs.phonemes, replace(labels, frames=None))
