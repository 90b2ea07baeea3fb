"""Tests of the losses with a margin, and of the masks that they share."""

import pytest
import torch
from torch import Tensor

from training.losses.hard_negatives import hard_negative_loss
from training.losses.masks import TermMasks, term_masks
from training.losses.no_term import no_term_margin_loss
from training.losses.testing import random_batch


def some_masks(n: int, m: int) -> TermMasks:
    """Random masks; the last row has no positive."""
    kind = torch.randint(0, 3, (n, m))
    kind[-1] = kind[-1].clamp(min=1)
    return TermMasks(kind == 0, kind == 1, kind == 2)


def slow_hard_negative(similarity: Tensor, masks: TermMasks, hardest: int, margin: float) -> float:
    """With plain loops over positives and the sorted negatives of their row."""
    costs = []
    for row, scores in enumerate(similarity.tolist()):
        negatives = sorted((s for s, wrong in zip(scores, masks.negative[row], strict=True) if wrong), reverse=True)
        for score, right in zip(scores, masks.positive[row], strict=True):
            if right:
                costs += [max(0.0, negative - score + margin) for negative in negatives[:hardest]]
    return sum(costs) / len(costs) if costs else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_masks_equal_loops(seed: int) -> None:
    """Equal keys are positives, equal groups or no term are ignored, the rest is negative."""
    _, labels = random_batch(6, 9, seed=seed)
    labels.term_keys[3] = labels.term_groups[3] = -1
    masks = term_masks(labels)
    for row in range(6):
        keys = {k for k in labels.row_terms[row].tolist() if k >= 0}
        groups = {g for g in labels.row_groups[row].tolist() if g >= 0}
        for column, (key, group) in enumerate(zip(labels.term_keys.tolist(), labels.term_groups.tolist(), strict=True)):
            right = key in keys
            neither = not right and (key < 0 or group in groups)
            found = [bool(mask[row, column]) for mask in (masks.positive, masks.ignored, masks.negative)]
            assert found == [right, neither, not right and not neither]


@pytest.mark.parametrize("hardest", [1, 3, 50])
@pytest.mark.parametrize("seed", range(3))
def test_hard_negatives_equal_loops(seed: int, hardest: int) -> None:
    """Each positive of a row against the hardest negatives of the same row, variants left out."""
    torch.manual_seed(seed)
    similarity, masks = torch.rand(5, 8, dtype=torch.float64), some_masks(5, 8)
    found = hard_negative_loss(similarity, masks, hardest, 0.1)
    assert float(found) == pytest.approx(slow_hard_negative(similarity, masks, hardest, 0.1), rel=1e-9)


def test_rows_without_negatives_cost_nothing() -> None:
    """Where every column is right, nothing is compared; the loss is 0 and keeps its path to the similarity."""
    similarity = torch.rand(2, 3, requires_grad=True)
    right = torch.ones(2, 3, dtype=torch.bool)
    loss = hard_negative_loss(similarity, TermMasks(right, ~right, ~right), 10, 0.1)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert similarity.grad is not None


def test_hard_negative_gradient() -> None:
    """The gradient is that of finite differences."""
    torch.manual_seed(7)
    similarity, masks = torch.rand(4, 6, dtype=torch.float64, requires_grad=True), some_masks(4, 6)
    assert torch.autograd.gradcheck(lambda s: hard_negative_loss(s, masks, 2, 0.1), (similarity,))


def test_no_term_margin_equals_loops() -> None:
    """Each no-term row pays for its best term above the margin; columns that stand for no term do not count."""
    torch.manual_seed(5)
    similarity = torch.rand(6, 5, dtype=torch.float64) * 2 - 1
    no_term, is_term = torch.rand(6) < 0.6, torch.tensor([True, True, False, True, True])
    costs = [
        max(0.0, max(s for s, real in zip(row, is_term, strict=True) if real) - 0.15)
        for row, silent in zip(similarity.tolist(), no_term, strict=True)
        if silent
    ]
    found = no_term_margin_loss(similarity, no_term, is_term, 0.15)
    assert float(found) == pytest.approx(sum(costs) / len(costs), rel=1e-9)


@pytest.mark.parametrize("is_term", [True, False])
def test_no_term_without_rows_or_terms_costs_nothing(is_term: bool) -> None:
    """Without a no-term row, or without a term to stay away from, the loss is 0."""
    similarity = torch.rand(2, 3)
    rows = torch.full((2,), not is_term)
    assert float(no_term_margin_loss(similarity, rows, torch.full((3,), is_term), 0.15)) == 0.0


def test_no_term_gradient() -> None:
    """The gradient reaches the hardest term of each no-term row, and is that of finite differences."""
    torch.manual_seed(6)
    similarity = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)
    no_term, is_term = torch.tensor([True, False, True, True]), torch.ones(5, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda s: no_term_margin_loss(s, no_term, is_term, 0.15), (similarity,))
