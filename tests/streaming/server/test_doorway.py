from streaming.server.doorway import Doorway


class _Caller:
    def __init__(self) -> None:
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


def test_one_address_has_a_bounded_number_of_connections() -> None:
    """The next one is not let in, others are, and a place is given back once."""
    doorway = Doorway(most_of_address=2, most_undecided=10)
    first, second, third, other = (_Caller() for _ in range(4))
    assert doorway.enter(first, "a")
    assert doorway.enter(second, "a")
    assert not doorway.enter(third, "a")
    assert doorway.enter(other, "b")
    # The one that was not let in has no place to give back.
    doorway.leave(third)
    assert not doorway.enter(third, "a")
    doorway.leave(first)
    doorway.leave(first)
    assert doorway.enter(third, "a")
    assert not doorway.enter(first, "a")


def test_the_oldest_of_too_many_silent_connections_is_cut() -> None:
    """One that has said what it wants is left alone."""
    doorway = Doorway(most_of_address=10, most_undecided=2)
    callers = [_Caller() for _ in range(4)]
    doorway.enter(callers[0], "a")
    doorway.decided(callers[0])
    for caller in callers[1:]:
        assert doorway.enter(caller, "a")
    assert [caller.is_cut for caller in callers] == [False, True, False, False]
    doorway.clear()
    assert [caller.is_cut for caller in callers] == [False, True, True, True]
