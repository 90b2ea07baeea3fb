import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from training.loop.config import LossConfig
from training.losses.contrastive import audio_text_loss, multi_positive_info_nce
from training.losses.covering import term_similarity, wrong_span_losses, wrong_spans
from training.losses.ctc import alignment_losses
from training.losses.hard_negatives import hard_negative_loss
from training.losses.masks import term_masks
from training.losses.no_term import no_term_margin_loss
from training.losses.testing import ToyRetriever, random_batch
from training.losses.total import total_loss
from training.models.interfaces import RetrieverOutputs

NAMES = ["audio_text", "audio_term", "no_term", "hard_negative", "wrong_span", "alignment"]


def test_total_is_the_weighted_sum_of_its_parts() -> None:
    """Every component is the loss of its module, and the total weighs them as the settings say."""
    inputs, labels = random_batch(8, 9)
    model, config = ToyRetriever(), LossConfig()
    out = model(inputs)
    temperature = float((-model.log_scale.detach()).exp())
    similarity, masks = term_similarity(out.spans, out.terms, labels.covering), term_masks(labels)
    assert out.texts is not None
    expected = {
        "audio_text": (0.3, audio_text_loss(out.chunks, out.texts, labels.text_keys, temperature)),
        "audio_term": (0.7, multi_positive_info_nce(similarity, masks.positive, masks.ignored, temperature)),
        "no_term": (0.5, no_term_margin_loss(similarity, labels.no_term, labels.term_keys >= 0, 0.15)),
        "hard_negative": (0.2, hard_negative_loss(similarity, masks, 10, 0.1)),
        "wrong_span": (
            config.wrong_span,
            wrong_span_losses(out.spans, out.terms, labels.covering, wrong_spans(labels), temperature).mean(),
        ),
        "alignment": (0.2, alignment_losses(out.characters, out.phonemes, labels).mean()),
    }
    found = total_loss(out, labels, config, model.log_scale)
    assert list(found.components) == NAMES
    for name, (_, value) in expected.items():
        torch.testing.assert_close(found.components[name], value)
    torch.testing.assert_close(found.total, sum((w * v for w, v in expected.values()), torch.zeros(())))


def test_gradient_of_the_total() -> None:
    """The gradient at every output and at the temperature is that of finite differences."""
    inputs, labels = random_batch(3, 4, spans=4, frames=9, seed=1)
    out = ToyRetriever()(inputs)
    # Spans of the toy may be alike, and a maximum has no gradient where two are: so plain noise.
    torch.manual_seed(0)
    shapes = [getattr(out, f.name).shape for f in fields(RetrieverOutputs)]
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def total(scale: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        # CTC knows its gradient for normalised log-probabilities only.
        spans, chunks, terms, texts, characters, phonemes = values
        heads = (characters.log_softmax(-1), phonemes.log_softmax(-1))
        outputs = RetrieverOutputs(spans, chunks, terms, texts, *heads)
        return total_loss(outputs, labels, LossConfig(), scale).total

    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (scale, *leaves), fast_mode=True)


@pytest.mark.parametrize("left_out", NAMES)
def test_weight_zero_switches_a_loss_off(left_out: str) -> None:
    """A component of weight 0 is 0 and asks nothing of the labels; the others stay as they were."""
    inputs, labels = random_batch(8, 9)
    model = ToyRetriever()
    whole = total_loss(model(inputs), labels, LossConfig(), model.log_scale)
    weights: dict[str, Any] = {left_out: 0.0}
    config = replace(LossConfig(), **weights)
    if left_out == "wrong_span":
        labels = replace(labels, spans=None)
    if left_out == "alignment":
        labels = replace(labels, frames=None)
    found = total_loss(model(inputs), labels, config, model.log_scale)
    assert float(found.components[left_out].detach()) == 0.0
    for name in set(NAMES) - {left_out}:
        torch.testing.assert_close(found.components[name], whole.components[name])


def test_every_parameter_has_a_gradient_where_nothing_is_known() -> None:
    """Rows without term, text or words, and a column that stands for no term: 0, and no gradient is missing."""
    inputs, labels = random_batch(3, 1)
    nothing = torch.zeros(0, dtype=torch.int64)
    labels = replace(
        labels,
        row_terms=torch.full((3, 1), -1),
        row_groups=torch.full((3, 1), -1),
        term_keys=torch.tensor([-1]),
        term_groups=torch.tensor([-1]),
        covering=torch.zeros(0, 3, dtype=torch.int64),
        text_keys=torch.full((3,), -1),
        no_term=torch.ones(3, dtype=torch.bool),
        characters=(nothing,) * 3,
        phonemes=(nothing,) * 3,
    )
    model = ToyRetriever()
    losses = total_loss(model(inputs), labels, LossConfig(), model.log_scale)
    losses.total.backward()
    assert [float(v.detach()) for v in (losses.total, *losses.components.values())] == [0.0] * 7
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_no_columns_and_no_texts() -> None:
    """A batch without any term or transcript is 0 in what needs them."""
    inputs, labels = random_batch(3, 1)
    out = ToyRetriever()(inputs)
    none = torch.zeros(0, dtype=torch.int64)
    labels = replace(labels, term_keys=none, term_groups=none, covering=torch.zeros(0, 3, dtype=torch.int64))
    losses = total_loss(replace(out, terms=out.terms[:0], texts=None), labels, LossConfig(), torch.tensor(1.0))
    assert [name for name, value in losses.components.items() if float(value.detach())] == ["alignment"]


def test_losses_are_never_computed_in_less_than_fp32() -> None:
    """Outputs of bf16, under autocast, give the loss of the same values in fp32."""
    inputs, labels = random_batch(8, 9)
    model = ToyRetriever()
    out = model(inputs)
    rounded = RetrieverOutputs(*(getattr(out, f.name).to(torch.bfloat16) for f in fields(out)))
    expected = total_loss(rounded.float(), labels, LossConfig(), model.log_scale)
    with torch.autocast("cpu", torch.bfloat16):
        found = total_loss(rounded, labels, LossConfig(), model.log_scale)
    assert found.total.dtype == torch.float32
    torch.testing.assert_close(found.total, expected.total, rtol=0, atol=0)


def test_scale_is_bounded() -> None:
    """Cosines are multiplied by 100 at most, however far the scale is driven."""
    inputs, labels = random_batch(4, 5)
    out = ToyRetriever()(inputs)
    at_most, beyond = (total_loss(out, labels, LossConfig(), torch.tensor(s)).total for s in (math.log(100.0), 9.0))
    torch.testing.assert_close(at_most, beyond)


def test_detached_losses_keep_their_values() -> None:
    """What is logged holds no graph."""
    inputs, labels = random_batch(4, 5)
    model = ToyRetriever()
    losses = total_loss(model(inputs), labels, LossConfig(), model.log_scale)
    kept = losses.detach()
    assert float(kept.total) == float(losses.total.detach())
    assert not any(v.requires_grad for v in (kept.total, *kept.components.values()))
