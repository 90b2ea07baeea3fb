import asyncio

import pytest

from streaming.server.doorway import Doorway, household
from streaming.server.http_front import HttpFront


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


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_addresses_of_one_customer_count_together(address: str, counted: str) -> None:
    """Of IPv6 everybody has a whole network; an address of IPv4 is the same however it is written."""
    assert household(address) == counted


class _Transport(asyncio.Transport):
    """A connection from some address, which notes what it is told."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 40_000, 0, 0)})
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        """Closed at once."""


def test_one_network_may_not_take_every_place() -> None:
    """Though each of its connections comes from another address; the next network is served."""

    async def scenario() -> None:
        doorway = Doorway(most_of_address=2, most_undecided=10)

        def told(address: str) -> bytes:
            transport = _Transport(address)
            front = HttpFront(asyncio.Protocol, asyncio.Protocol, 10, 10, doorway)
            front.connection_made(transport)
            return transport.written

        assert [told(f"2001:db8::{number}") for number in (1, 2)] == [b"", b""]
        assert b"429" in told("2001:db8::3")
        assert told("2001:db8:0:1::1") == b""

    asyncio.run(scenario())
