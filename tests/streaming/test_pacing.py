import pytest

from streaming.pacing import LagMeter, Pace, Pacer, RateBucket


def test_a_pacer_gives_up_step_by_step_and_takes_it_back() -> None:
    """Complaint 1: as the lag grows it decides less often, then leaves windows out; one step for a second of audio."""
    pacer = Pacer()
    lags = [0.0, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    states = [pacer.update(lag, received_s=float(at)) for at, lag in enumerate(lags, start=1)]
    two, four, skipping = Pace(2), Pace(4), Pace(4, skips=True)
    assert states == [Pace(), two, two, four, four, skipping, skipping, four, two, Pace(), Pace(), Pace()]


def test_between_two_steps_there_is_a_second_of_audio() -> None:
    """A hundred frames of one moment are no hundred reasons."""
    pacer = Pacer()
    paces = [pacer.update(9.0, received_s=5.0 + 0.01 * frame) for frame in range(90)]
    assert paces == [Pace(2)] * 90


def test_a_lag_in_between_changes_nothing() -> None:
    """Neither up nor down, so that the pace does not flutter."""
    pacer = Pacer()
    pacer.update(1.5, received_s=1.0)
    assert [pacer.update(0.6, received_s=float(at)) for at in range(2, 6)] == [Pace(2)] * 4
    assert [pacer.update(0.2, received_s=float(at)) for at in range(6, 9)] == [Pace(2)] * 3


def test_who_stays_behind_decides_less_often_before_it_hurts() -> None:
    """A third of a second behind for half a second of audio; what comes a moment later is another wait."""
    pacer = Pacer()
    lags = [0.4, 0.4, 0.4, 0.4, 0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
    paces = [pacer.update(lag, received_s=5 + 0.1 * at) for at, lag in enumerate(lags)]
    assert paces == [Pace()] * 10 + [Pace(2)] * 2


def test_a_short_wait_changes_nothing() -> None:
    """Another process takes the core for most of a second; the audio that waited is worked on within 0.4 s of it."""
    pacer = Pacer()
    paces = [pacer.update(lag, received_s=5 + 0.1 * at) for at, lag in enumerate([0.9, 0.7, 0.5, 0.35, 0.1, 0.0])]
    assert set(paces) == {Pace()}


def test_audio_in_real_time_lags_by_how_long_it_waits() -> None:
    """Chunks of 0.1 s every 0.1 s; the first is worked on half a second after it came."""
    meter = LagMeter()
    for at in range(6):
        meter.received(0.1, now_s=100 + 0.1 * at)
    assert meter.lag_s(now_s=100.5) == pytest.approx(0.5)
    for _ in range(6):
        meter.worked()
    assert meter.lag_s(now_s=200.0) == 0.0


def test_a_burst_is_no_lag() -> None:
    """30 s that come at once are due over 20 s; a server that works at three times the speed of speech is in time."""
    meter = LagMeter(factor=1.5)
    for _ in range(300):
        meter.received(0.1, now_s=10.0)
    lags = []
    for chunk in range(300):
        lags.append(meter.lag_s(now_s=10.0 + 0.1 * chunk / 3))
        meter.worked()
    assert max(lags) == 0.0
    meter.received(0.1, now_s=40.0)
    assert meter.lag_s(now_s=42.0) == pytest.approx(2.0)


def test_a_sender_may_be_faster_for_a_while() -> None:
    """10 s at once, then 1.5 s a second; what is over is refused."""
    bucket = RateBucket(factor=1.5, burst_s=10.0)
    assert bucket.take(10.0, now_s=0.0)
    assert bucket.take(1.5, now_s=1.0)
    assert not bucket.take(1.6, now_s=2.0)


def test_nobody_who_speaks_in_real_time_is_refused() -> None:
    """An hour of frames of 20 ms, some of them late."""
    bucket = RateBucket(factor=1.5, burst_s=1.0)
    assert all(bucket.take(0.02, now_s=0.02 * frame + (0.5 if frame % 7 else 0.0)) for frame in range(180_000))


def test_without_a_factor_all_is_let_in() -> None:
    """As a server may be told to."""
    bucket = RateBucket(factor=None, burst_s=1.0)
    assert all(bucket.take(1000.0, now_s=0.0) for _ in range(10))
