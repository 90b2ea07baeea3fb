from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from training.loop.config import LossConfig
from training.losses.grad_cache import Loss, cached_step
from training.losses.testing import ToyRetriever, random_batch
from training.losses.total import Losses, total_loss
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs


def objective(model: ToyRetriever) -> Loss:
    """The total loss with the model's own temperature."""
    return lambda outputs, labels: total_loss(outputs, labels, LossConfig(), model.log_scale)


def gradients(model: ToyRetriever) -> dict[str, Tensor]:
    """By name; every parameter must have one."""
    found = {name: p.grad for name, p in model.named_parameters()}
    assert all(value is not None for value in found.values())
    return {name: value.clone() for name, value in found.items() if value is not None}


def double_batch(rows: int, terms: int) -> tuple[RetrieverInputs, RetrieverLabels]:
    """A batch for a model of doubles."""
    inputs, labels = random_batch(rows, terms)
    return replace(inputs, mel=inputs.mel.double()), labels


@pytest.mark.parametrize(("rows", "terms", "micro_batch"), [(8, 9, 2), (7, 9, 3), (8, 2, 1), (5, 1, 2), (4, 9, 4)])
def test_parts_give_the_gradients_of_the_whole(rows: int, terms: int, micro_batch: int) -> None:
    """Whatever the sizes, losses and gradients, that of the temperature too, are those of one plain step."""
    inputs, labels = double_batch(rows, terms)
    model = ToyRetriever().double()
    plain = objective(model)(model(inputs), labels)
    plain.total.backward()
    expected = gradients(model)
    model.zero_grad()
    losses = cached_step(model, inputs, labels, objective(model), micro_batch)
    torch.testing.assert_close(losses.total, plain.total.detach(), rtol=0, atol=1e-9)
    assert not losses.total.requires_grad
    for name, found in gradients(model).items():
        torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-9)


def test_fp32_is_within_a_millionth() -> None:
    """In fp32 the gradients differ by rounding alone."""
    inputs, labels = random_batch(8, 9)
    model = ToyRetriever()
    cached_step(model, inputs, labels, objective(model))
    expected = gradients(model)
    model.zero_grad()
    cached_step(model, inputs, labels, objective(model), 3)
    for name, found in gradients(model).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-5, atol=1e-6)


def test_dropout_is_replayed() -> None:
    """The second pass drops what the first dropped, and random numbers go on as after one pass."""
    inputs, labels = double_batch(6, 9)
    model = ToyRetriever(dropout=0.5).double()
    torch.manual_seed(3)
    outputs = [model(inputs.part(slice(i, i + 2), slice(3 * i // 2, 3 * (i // 2 + 1)))) for i in (0, 2, 4)]
    after = torch.rand(())
    joined = RetrieverOutputs(*(torch.cat([getattr(o, f.name) for o in outputs]) for f in fields(RetrieverOutputs)))
    objective(model)(joined, labels).total.backward()
    expected = gradients(model)
    model.zero_grad()
    torch.manual_seed(3)
    cached_step(model, inputs, labels, objective(model), 2)
    assert torch.equal(torch.rand(()), after)
    for name, found in gradients(model).items():
        torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-9)


def test_all_parts_but_the_last_are_within_no_sync() -> None:
    """Gradients are averaged over the ranks once a step, and each part is carried back by what was given."""
    inputs, labels = random_batch(6, 9)
    model = ToyRetriever()
    is_within, seen = [False], []

    @contextmanager
    def no_sync() -> Iterator[None]:
        is_within[0] = True
        yield
        is_within[0] = False

    def backward(scalar: Tensor) -> None:
        seen.append(is_within[0])
        (scalar * 4.0).backward()

    cached_step(model, inputs, labels, objective(model), 2, backward, no_sync)
    assert seen == [True, True, False]
    scaled = gradients(model)
    model.zero_grad()
    cached_step(model, inputs, labels, objective(model), 2)
    for name, found in gradients(model).items():
        torch.testing.assert_close(scaled[name], 4.0 * found)


def test_only_one_part_at_a_time_is_kept() -> None:
    """The tensors that are saved for the backward pass of the towers shrink with the micro-batch."""
    inputs, labels = random_batch(16, 4, frames=200)
    model = ToyRetriever()

    def most_saved(micro_batch: int | None) -> int:
        sizes: list[int] = []

        def saved(value: Tensor) -> Tensor:
            sizes.append(value.shape[0] if value.ndim == 3 else 0)
            return value

        def counting(part: RetrieverInputs) -> RetrieverOutputs:
            with torch.autograd.graph.saved_tensors_hooks(saved, lambda value: value):
                outputs: RetrieverOutputs = model(part)
            return outputs

        cached_step(counting, inputs, labels, objective(model), micro_batch)
        return max(sizes)

    assert (most_saved(None), most_saved(2)) == (16, 2)


def test_outer_autocast_keeps_the_gradients() -> None:
    """Weights that autocast copied in the first pass, without a gradient, are not used in the second."""
    inputs, labels = random_batch(4, 5)
    model = ToyRetriever()
    with torch.autocast("cpu", torch.bfloat16):
        cached_step(model, inputs, labels, objective(model), 2)
    assert all(bool(value.any()) for value in gradients(model).values())


def test_outputs_that_no_loss_reads_have_a_gradient() -> None:
    """A loss of the chunks alone leaves the other parameters with a gradient of 0, not without one."""
    inputs, labels = random_batch(4, 5)
    model = ToyRetriever()
    unread = {"characters.weight", "phonemes.weight", "text.words.weight"}

    def of_chunks(outputs: RetrieverOutputs, _: RetrieverLabels) -> Losses:
        return Losses((outputs.chunks.sum() * model.log_scale).sum(), {})

    cached_step(model, inputs, labels, of_chunks, 2)
    found = gradients(model)
    assert {name for name, value in found.items() if name.endswith("weight") and not value.any()} == unread


def test_micro_batch_of_nothing_is_refused() -> None:
    """A part must hold a row."""
    inputs, labels = random_batch(2, 3)
    model = ToyRetriever()
    with pytest.raises(ValueError, match="micro-batch of 0"):
        cached_step(model, inputs, labels, objective(model), 0)
