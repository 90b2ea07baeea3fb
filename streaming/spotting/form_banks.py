"""The alignment banks of indexes, shared by the streams of many threads."""

import threading
from weakref import WeakKeyDictionary

from streaming.index.searched_index import SearchedIndex
from streaming.spotting.form_bank import FormBank


class FormBanks:
    """The banks of indexes, each laid out once for all streams, for as long as its index lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._banks: WeakKeyDictionary[SearchedIndex, FormBank] = WeakKeyDictionary()

    def of(self, index: SearchedIndex) -> FormBank:
        """The bank of all forms of an index."""
        with self._lock:
            if index not in self._banks:
                self._banks[index] = FormBank(index.forms)
            return self._banks[index]
