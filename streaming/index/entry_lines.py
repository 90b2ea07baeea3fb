"""The entries and forms of a large glossary, parsed when they are asked for.

A million entries as Python objects would take gigabytes and half a minute; a stream asks for a few hundred of them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry, Form, parse_line
from streaming.errors import IndexFolderError
from streaming.index.mapped_arrays import Content

Item = TypeVar("Item")
# Parsed entries that are kept, some kilobytes each; a hop asks for at most a few hundred, mostly those of the last hop.
_KEPT = 4096


class LazySequence(Sequence[Item], Generic[Item]):
    """A sequence whose items are made when they are asked for; iterating makes each in turn and keeps none."""

    def __init__(self, length: int, make: Callable[[int], Item]) -> None:
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """One item, or the items of a slice. Raises IndexError beyond the ends."""
        if isinstance(index, slice):
            return tuple(self._make(i) for i in range(self._length)[index])
        return self._make(range(self._length)[index])


class EntryLines:
    """The lines of `entries.jsonl`, found by their offsets.

    Attributes:
        entries: the glossary.
        forms: spoken forms, grouped by entry.
    """

    def __init__(self, content: Content, offsets: NDArray[np.int64]) -> None:
        """Check the offsets; the lines are parsed later.

        Args:
            content: of `entries.jsonl`.
            offsets: int64[n + 1, 2], where each entry's line begins and the number of its first form; in the last row
                the ends of both.

        Raises:
            ValueError: the offsets do not cover the content, or leave an entry without a line or form.
        """
        first, last = offsets[0].tolist(), offsets[-1].tolist()
        if first != [0, 0] or last[0] != len(content) or not (np.diff(offsets, axis=0) > 0).all():
            raise ValueError("the offsets of the entries do not fit entries.jsonl")
        self._content, self._bytes = content, offsets[:, 0]
        self._first_form = np.ascontiguousarray(offsets[:, 1])
        self._parsed = lru_cache(_KEPT)(self._parse)
        self.entries: Sequence[Entry] = LazySequence(len(offsets) - 1, lambda entry: self._parsed(entry)[0])
        self.forms: Sequence[Form] = LazySequence(last[1], self._form)

    def parse_all(self) -> tuple[tuple[Entry, ...], tuple[Form, ...]]:
        """All entries and forms. Raises IndexFolderError for a line that holds none."""
        parsed = [self._parse(entry) for entry in range(len(self.entries))]
        return tuple(entry for entry, _ in parsed), tuple(form for _, forms in parsed for form in forms)

    def entry_of(self, form_index: int) -> int:
        """The entry that a form belongs to, without parsing either."""
        return int(np.searchsorted(self._first_form, form_index, "right")) - 1

    def _form(self, form_index: int) -> Form:
        entry = self.entry_of(form_index)
        return self._parsed(entry)[1][form_index - int(self._first_form[entry])]

    def _parse(self, entry: int) -> tuple[Entry, tuple[Form, ...]]:
        start, end = self._bytes[entry : entry + 2].tolist()
        try:
            parsed = parse_line(self._content[start:end], entry)
        except (ValueError, KeyError, TypeError, RecursionError) as cause:
            raise _unreadable(entry, str(cause)) from cause
        told = int(self._first_form[entry + 1] - self._first_form[entry])
        if len(parsed[1]) != told:
            raise _unreadable(entry, f"it has {len(parsed[1])} forms, {told} were told")
        return parsed


def _unreadable(entry: int, cause: str) -> IndexFolderError:
    return IndexFolderError(
        f"line {entry + 1} of entries.jsonl is damaged: {cause}; build the index again with `termcue reindex`"
    )
