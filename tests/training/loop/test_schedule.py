from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.loop.config import OptimiserConfig
from training.loop.early_stopping import EarlyStopping
from training.loop.schedule import WarmupCosine, WarmupPlateau, schedule_for, set_rates


def optimiser(rate: float = 1.0) -> torch.optim.Optimizer:
    """Two groups at different rates."""
    one, other = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    return torch.optim.AdamW([{"params": [one], "lr": rate}, {"params": [other], "lr": 10 * rate}])


@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.20001, 0.3, 0.5]), max_size=20),
    st.integers(0, 3),
    st.sampled_from([0.1, 0.5]),
    st.sampled_from([1, -1]),
)
def test_the_plateau_is_that_of_torch(values: list[float], patience: int, factor: float, sign: int) -> None:
    """After the warm-up every rate is what ReduceLROnPlateau gives for the same recalls, or for losses to be small."""
    theirs, ours = optimiser(), optimiser()
    mode: Literal["min", "max"] = "max" if sign > 0 else "min"
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode, factor, patience, eps=0.0)
    schedule = WarmupPlateau(0, factor, patience)
    for value in values:
        oracle.step(value)
        schedule.evaluated(sign * value)
        set_rates(ours, schedule.factor(5))
        for one, other in zip(theirs.param_groups, ours.param_groups, strict=True):
            assert one["lr"] == pytest.approx(other["lr"])


def test_the_warm_up_is_linear_and_never_zero() -> None:
    """The first step has 1/n of the rate, step n and all later ones the whole."""
    schedule = WarmupPlateau(4, 0.5, 1)
    assert [schedule.factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_cosine_is_that_of_torch() -> None:
    """After the warm-up every rate is what CosineAnnealingLR gives for a least rate of a fiftieth; groups keep theirs."""
    theirs, ours = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=50.0), optimiser(50.0)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 30, eta_min=1.0)
    schedule = WarmupCosine(4, 30)
    for step in range(31):
        set_rates(ours, schedule.factor(step))
        rate = theirs.param_groups[0]["lr"] * min(1.0, (step + 1) / 4)
        assert ours.param_groups[0]["lr"] == pytest.approx(rate)
        assert ours.param_groups[1]["lr"] == pytest.approx(10 * rate)
        theirs.step()
        oracle.step()
    assert schedule.factor(30) == pytest.approx(0.02)
    assert WarmupCosine(0, 30).factor(0) == 1.0


def test_the_settings_choose_the_schedule() -> None:
    """A plateau unless a cosine is asked for; no evaluation moves the cosine."""
    assert schedule_for(OptimiserConfig(warmup_steps=3), 9) == WarmupPlateau(3, 0.5, 1)
    cosine = schedule_for(OptimiserConfig(warmup_steps=3, schedule="cosine"), 9)
    assert cosine == WarmupCosine(3, 9)
    for _ in range(9):
        cosine.evaluated(0.0)
    cosine.restore(cosine.state())
    assert cosine.factor(3) == WarmupCosine(3, 9).factor(3)


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
    assert stop.step == 3


def test_without_patience_no_run_ends_early() -> None:
    """0 waits for ever and still knows the best."""
    stop = EarlyStopping(0)
    assert [stop.is_better(value, step) for step, value in enumerate((0.3, 0.2, 0.2, 0.4))] == [
        True,
        False,
        False,
        True,
    ]
    assert not stop.is_over
