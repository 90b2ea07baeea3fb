"""How many connections there may be before anybody knows what they want, and of one address."""

import ipaddress
from collections import Counter
from typing import Protocol

# What one customer of a provider gets; within it he takes addresses as he likes.
_CUSTOMER_BITS = 64


def household(address: str) -> str:
    """Whose connections count together: an address of IPv4, also where it is mapped into IPv6, or a /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), _CUSTOMER_BITS), strict=False))


class Caller(Protocol):
    """A connection that has just been made."""

    def abort(self) -> None:
        """Cut it."""
        ...


class Doorway:
    """The connections of a server by address; call it from one thread.

    Args:
        most_of_address: connections of one address.
        most_undecided: connections that have not said yet what they want.
    """

    def __init__(self, most_of_address: int, most_undecided: int) -> None:
        self._most_of_address, self._most_undecided = most_of_address, most_undecided
        self._addresses: dict[Caller, str] = {}
        self._counts: Counter[str] = Counter()
        # In the order in which they came.
        self._undecided: dict[Caller, None] = {}

    def enter(self, caller: Caller, address: str) -> bool:
        """Whether one more of that address may come in; where too many stand undecided, the oldest is cut."""
        if self._counts[address] >= self._most_of_address:
            return False
        if len(self._undecided) >= self._most_undecided:
            # The one that has waited longest is the least likely to be honest.
            oldest = next(iter(self._undecided))
            self.decided(oldest)
            oldest.abort()
        self._addresses[caller] = address
        self._counts[address] += 1
        self._undecided[caller] = None
        return True

    def decided(self, caller: Caller) -> None:
        """It has said what it wants, or never will; further calls do nothing."""
        self._undecided.pop(caller, None)

    def leave(self, caller: Caller) -> None:
        """It is gone; further calls do nothing."""
        self.decided(caller)
        address = self._addresses.pop(caller, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def clear(self) -> None:
        """Cut all that stand undecided."""
        for caller in list(self._undecided):
            caller.abort()

    def clear_all(self) -> None:
        """Cut all."""
        for caller in list(self._addresses):
            caller.abort()
