import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from training.losses import covering as module
from training.losses.covering import (
    best_span_similarity,
    spread_covering,
    term_similarity,
    wrong_span_losses,
    wrong_spans,
)
from training.losses.testing import ToyRetriever, random_batch
from training.models.interfaces import RetrieverLabels


def slow_similarity(spans: Tensor, terms: Tensor, covering: Tensor) -> Tensor:
    """With plain loops: the best covering span of a pair that has one, else the best span."""
    n, s, _ = spans.shape
    out = torch.zeros(n, len(terms), dtype=spans.dtype)
    for row in range(n):
        for column in range(len(terms)):
            said = [span for r, c, span in covering.tolist() if (r, c) == (row, column)]
            out[row, column] = max(
                float(spans[row, span].detach() @ terms[column].detach()) for span in said or range(s)
            )
    return out


def slow_wrong(labels: RetrieverLabels) -> list[list[bool]]:
    """With plain loops over occurrences, spans and frames."""
    assert labels.spans is not None

    def frames(row: int, span: int) -> set[int]:
        assert labels.spans is not None
        first, end = labels.spans[row, span].tolist()
        return set(range(first, end))

    occurrences = labels.covering.tolist()
    groups = labels.term_groups.tolist()
    out = []
    for row, column, _ in occurrences:
        flags = []
        for span in range(labels.spans.shape[1]):
            mine = frames(row, span)
            others = [frames(r, o) for r, c, o in occurrences if r == row and groups[c] == groups[column]]
            near = any(len(mine & other) / len(mine | other) >= 0.5 for other in others)
            flags.append(not near and mine != {0})
        out.append(flags)
    return out


@pytest.mark.parametrize("seed", range(4))
def test_similarity_equals_loops(seed: int) -> None:
    """Positives have their covering span and the best of several; all others the best span of the row."""
    inputs, labels = random_batch(6, 7, seed=seed)
    outputs = ToyRetriever()(inputs)
    covering = torch.cat([labels.covering, labels.covering + torch.tensor([0, 0, 1])])
    found = term_similarity(outputs.spans, outputs.terms, covering)
    torch.testing.assert_close(found, slow_similarity(outputs.spans, outputs.terms, covering))


def test_groups_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The similarity is the same however few products fit into memory at once."""
    torch.manual_seed(0)
    spans, terms = torch.randn(7, 3, 4), torch.randn(5, 4)
    whole = best_span_similarity(spans, terms)
    monkeypatch.setattr(module, "_PRODUCTS_AT_ONCE", 31)
    # Products of another shape may be summed in another order.
    torch.testing.assert_close(best_span_similarity(spans, terms), whole)


def test_no_covering_span_leaves_the_maximum() -> None:
    """Rows whose times are unknown are scored by their best span."""
    torch.manual_seed(1)
    spans, terms = torch.randn(2, 3, 4), torch.randn(5, 4)
    none = torch.zeros(0, 3, dtype=torch.int64)
    assert torch.equal(term_similarity(spans, terms, none), best_span_similarity(spans, terms))


def test_similarity_gradient() -> None:
    """Only the span that gave the score learns, and as finite differences say."""
    torch.manual_seed(2)
    spans = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    terms = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    covering = torch.tensor([[0, 1, 2], [0, 1, 3], [2, 0, 0]])
    assert torch.autograd.gradcheck(lambda s, t: term_similarity(s, t, covering), (spans, terms))


def test_covering_holds_for_every_column_of_a_key() -> None:
    """A term that two ranks bring is scored on the same span in both columns."""
    covering = torch.tensor([[0, 1, 4], [2, 0, 3]])
    spread = spread_covering(covering, torch.tensor([8, 9, 9, 7]))
    assert sorted(spread.tolist()) == [[0, 1, 4], [0, 2, 4], [2, 0, 3]]


@pytest.mark.parametrize("seed", range(4))
def test_wrong_spans_equal_loops(seed: int) -> None:
    """A span is wrong that shares less than half with each place of the term or its variants, fillers left out."""
    _, labels = random_batch(6, 7, spans=8, seed=seed)
    assert wrong_spans(labels).tolist() == slow_wrong(labels)


def test_half_a_term_is_wrong_and_its_neighbour_frame_is_not() -> None:
    """The first third of a term is wrong for it, the same span a frame later is not, a second saying is not."""
    _, labels = random_batch(1, 2)
    spans = torch.tensor([[[10, 40], [10, 20], [11, 41], [60, 90], [0, 1]]])
    labels = replace(
        labels, spans=spans, covering=torch.tensor([[0, 1, 0], [0, 1, 3]]), term_groups=torch.tensor([5, 6])
    )
    assert wrong_spans(labels)[0].tolist() == [False, True, False, False, False]


def test_wrong_spans_need_bounds() -> None:
    """Labels without bounds of spans are refused with what to give."""
    _, labels = random_batch(2, 3)
    with pytest.raises(ValueError, match=r"spans=inputs\.spans"):
        wrong_spans(replace(labels, spans=None))


@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_wrong_span_loss_equals_loops(temperature: float) -> None:
    """Minus the log share of the covering span among itself and the wrong ones, an occurrence each."""
    inputs, labels = random_batch(6, 7, spans=8, seed=3)
    with torch.no_grad():
        outputs = ToyRetriever().double()(replace(inputs, mel=inputs.mel.double()))
    wrong = wrong_spans(labels)
    found = wrong_span_losses(outputs.spans, outputs.terms, labels.covering, wrong, temperature)
    for occurrence, (row, column, span) in enumerate(labels.covering.tolist()):
        scores = [math.exp(float(v @ outputs.terms[column]) / temperature) for v in outputs.spans[row]]
        others = sum(score for score, is_wrong in zip(scores, wrong[occurrence].tolist(), strict=True) if is_wrong)
        slow = -math.log(scores[span] / (scores[span] + others))
        assert float(found[occurrence]) == pytest.approx(slow, rel=1e-9, abs=1e-12)


def test_wrong_span_gradient() -> None:
    """The gradient is that of finite differences, for both towers and the temperature."""
    torch.manual_seed(2)
    spans = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    terms = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    covering = torch.tensor([[0, 1, 2], [2, 0, 0]])
    wrong = torch.tensor([[True, True, False, False], [False, False, False, False]])
    assert torch.autograd.gradcheck(
        lambda s, t, u: wrong_span_losses(s, t, covering, wrong, u), (spans, terms, temperature)
    )
