import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.loop.early_stopping import EarlyStopping
from training.loop.schedule import WarmupPlateau


def optimiser(rate: float = 1.0) -> torch.optim.Optimizer:
    """Two groups at different rates."""
    one, other = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    return torch.optim.AdamW([{"params": [one], "lr": rate}, {"params": [other], "lr": 10 * rate}])


@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.20001, 0.3, 0.5]), max_size=20),
    st.integers(0, 3),
    st.sampled_from([0.1, 0.5]),
)
def test_the_plateau_is_that_of_torch(values: list[float], patience: int, factor: float) -> None:
    """After the warm-up every rate is what ReduceLROnPlateau gives for the same evaluations."""
    theirs, ours = optimiser(), optimiser()
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode="max", factor=factor, patience=patience)
    schedule = WarmupPlateau(0, factor, patience)
    for value in values:
        oracle.step(value)
        schedule.evaluated(value)
        schedule.set_rates(ours, 5)
        for one, other in zip(theirs.param_groups, ours.param_groups, strict=True):
            assert one["lr"] == pytest.approx(other["lr"])


def test_the_warm_up_is_linear_and_never_zero() -> None:
    """The first step has 1/n of the rate, step n and all later ones the whole."""
    schedule = WarmupPlateau(4, 0.5, 1)
    assert [schedule.factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_schedule_and_stopping_go_on_from_their_states() -> None:
    """A restored one does what the first would have done."""
    first, stop = WarmupPlateau(2, 0.5, 1), EarlyStopping(3)
    for epoch, value in enumerate((0.3, 0.2, 0.2), 1):
        first.evaluated(value)
        stop.is_better(value, epoch)
    second, again = WarmupPlateau(2, 0.5, 1), EarlyStopping(3)
    second.restore(first.state())
    again.restore(stop.state())
    assert (second, again) == (first, stop)
    assert second.factor(9) == 0.5


def test_stopping_waits_for_its_patience() -> None:
    """Equal is not better; a better one begins the count anew."""
    stop = EarlyStopping(2)
    seen = []
    for epoch, value in enumerate((0.1, 0.1, 0.2, 0.2, 0.1), 1):
        seen.append((stop.is_better(value, epoch), stop.is_over))
    assert seen == [(True, False), (False, False), (True, False), (False, False), (False, True)]
    assert stop.epoch == 3
