import pytest

from streaming.protocol import MarkerReached
from streaming.sessions.event_ring import EventRing


def _markers(*numbers: int) -> list[MarkerReached]:
    return [MarkerReached(seq=number, id=f"m{number}", audio_processed_s=0.0) for number in numbers]


@pytest.mark.parametrize(("seq", "missed"), [(-1, [0, 1, 2]), (0, [1, 2]), (2, [])])
def test_what_came_after_a_message_is_known(seq: int, missed: list[int]) -> None:
    """The messages after the one that the client has, in their order."""
    ring = EventRing()
    ring.add(_markers(0, 1, 2))
    assert [message.seq for message in ring.after(seq) or []] == missed
    assert ring.after(seq) is not None


@pytest.mark.parametrize("seq", [-2, 3, 10])
def test_a_message_that_was_never_sent_is_no_place_to_go_on_from(seq: int) -> None:
    """Neither from before the first nor from the future."""
    ring = EventRing()
    ring.add(_markers(0, 1, 2))
    assert ring.after(seq) is None


def test_memory_is_bounded_and_what_is_forgotten_is_not_made_up() -> None:
    """With room for three, the message after number 0 is gone as soon as number 4 is there."""
    ring = EventRing(most=3)
    ring.add(_markers(0, 1, 2, 3))
    assert [message.seq for message in ring.after(0) or []] == [1, 2, 3]
    ring.add(_markers(4))
    assert ring.after(0) is None
    assert [message.seq for message in ring.after(1) or []] == [2, 3, 4]
    assert ring.last_seq == 4
