import torch
from torch import nn

from training.loop.averaging import WeightAverage


def walk(weight: nn.Parameter, average: WeightAverage, steps: range) -> None:
    """So many steps, each of which moves the weight to its number."""
    for step in steps:
        with torch.no_grad():
            weight.fill_(float(step))
        average.update(step)


def test_the_average_is_that_of_its_definition() -> None:
    """Each step a <- d a + (1 - d) w with d = min(decay, (step + 1) / (step + 10)), from the first weights on."""
    weight = nn.Parameter(torch.tensor([5.0]))
    average = WeightAverage(nn.ParameterList([weight]), 0.4)
    expected = 5.0
    for step in range(12):
        walk(weight, average, range(step, step + 1))
        decay = min(0.4, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * step
    with average.in_place():
        torch.testing.assert_close(weight.detach(), torch.tensor([expected]))
    assert weight.tolist() == [11.0]


def test_the_weights_come_back_after_an_error() -> None:
    """An evaluation that fails leaves the weights of training."""
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.bfloat16))
    average = WeightAverage(nn.ParameterList([weight]), 0.9)
    walk(weight, average, range(3))
    try:
        with average.in_place():
            assert weight.tolist() != [2.0]
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert weight.tolist() == [2.0]


def test_it_goes_on_from_its_state() -> None:
    """A restored average moves as the first would have."""
    whole, broken = nn.Parameter(torch.tensor([5.0])), nn.Parameter(torch.tensor([5.0]))
    first, second = (WeightAverage(nn.ParameterList([w]), 0.9) for w in (whole, broken))
    walk(whole, first, range(3))
    second.restore([value.clone() for value in first.state()])
    walk(whole, first, range(3, 9))
    walk(broken, second, range(3, 9))
    assert torch.equal(first.state()[0], second.state()[0])


def test_no_decay_is_no_average() -> None:
    """Nothing is kept, and inside stand the weights themselves."""
    weight = nn.Parameter(torch.tensor([5.0]))
    average = WeightAverage(nn.ParameterList([weight]), 0.0)
    walk(weight, average, range(4))
    assert average.state() == []
    with average.in_place():
        assert weight.tolist() == [3.0]
