"""What is made of an index once for all streams over it, be they of many threads."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from streaming.index.searched_index import SearchedIndex
from streaming.spotting.form_search import IndexTables

Made = TypeVar("Made")


class _Place(Generic[Made]):
    """Where what is made of one index will stand."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: Made | None = None


class PerIndex(Generic[Made]):
    """What `make` makes of each index, made when it is first asked for, kept for as long as its index lives.

    Who asks for another index does not wait for it.
    """

    def __init__(self, make: Callable[[SearchedIndex], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._places: WeakKeyDictionary[SearchedIndex, _Place[Made]] = WeakKeyDictionary()

    def of(self, index: SearchedIndex) -> Made:
        """The same for all who ask; must not refer to the index, which would then live for ever."""
        with self._lock:
            place = self._places.get(index)
            if place is None:
                place = self._places[index] = _Place()
        with place.lock:
            if place.made is None:
                place.made = self._make(index)
            return place.made


def made_once(tables: IndexTables) -> IndexTables:
    """The same tables, each made once for all who ask."""
    return IndexTables(PerIndex(tables.bank_of).of, PerIndex(tables.proposals_of).of)
