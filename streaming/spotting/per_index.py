"""What is made of an index once for all streams over it, be they of many threads."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from streaming.index.searched_index import SearchedIndex
from streaming.spotting.form_search import IndexTables

Made = TypeVar("Made")


class PerIndex(Generic[Made]):
    """What `make` makes of each index, made when it is first asked for, kept for as long as its index lives."""

    def __init__(self, make: Callable[[SearchedIndex], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: WeakKeyDictionary[SearchedIndex, Made] = WeakKeyDictionary()

    def of(self, index: SearchedIndex) -> Made:
        """The same for all who ask; must not refer to the index, which would then live for ever."""
        with self._lock:
            if index not in self._made:
                self._made[index] = self._make(index)
            return self._made[index]


def made_once(tables: IndexTables) -> IndexTables:
    """The same tables, each made once for all who ask."""
    return IndexTables(PerIndex(tables.bank_of).of, PerIndex(tables.proposals_of).of)
