import numpy as np
import pytest

from tests.streaming.encoding.block_streams import CONTEXT, HOP, Contexts, FailingSteps, MeanSteps, noise, open_stream


def test_after_a_long_silence_the_stream_begins_anew() -> None:
    """Of what was not asked for only the newest blocks are heard; before them stands silence."""
    steps, audio = MeanSteps(), noise(30 * HOP, 5)
    stream = Contexts(open_stream(steps), audio)
    for _ in range(4):
        stream.hop()
    before = len(steps.steps)
    for _ in range(9):
        stream.hop(asks=False)
    encoded = stream.hop()
    assert encoded is not None
    assert steps.frames[before:] == [12]
    assert (encoded.frames[: CONTEXT - 12] == -7).all()
    assert (encoded.frames[CONTEXT - 12 :] != -7).all()
    assert not (steps.steps[before].unheard == 0).any()


@pytest.mark.parametrize(("missed", "frames"), [(1, [12]), (3, [12, 12]), (4, [12, 12, 8]), (5, [12, 12, 12])])
def test_missed_hops_that_the_context_holds_are_caught_up_with(missed: int, frames: list[int]) -> None:
    """A longer hop is heard whole, two blocks a step: also four hops of a slow machine with what a flush adds."""
    steps, audio = MeanSteps(), noise(30 * HOP, 6)
    stream = Contexts(open_stream(steps), audio)
    for _ in range(5):
        stream.hop()
    before = len(steps.steps)
    for _ in range(missed):
        stream.hop(asks=False)
    encoded = stream.hop()
    assert encoded is not None
    assert steps.frames[before:] == frames
    assert (encoded.frames != -7).all()


def test_after_a_failed_step_the_stream_goes_on_where_it_was() -> None:
    """What was heard meanwhile is caught up with; no frame is lost, doubled or moved."""
    audio, steps = noise(20 * HOP, 10), FailingSteps()
    failing, plain = Contexts(open_stream(steps), audio), Contexts(open_stream(MeanSteps()), audio)
    failed = 0
    for _ in range(20):
        expected = plain.hop()
        assert expected is not None
        try:
            found = failing.hop()
        except RuntimeError:
            failed += 1
            continue
        assert found is not None
        np.testing.assert_array_equal(found.frames[-12:], expected.frames[-12:])
    assert failed > 3
