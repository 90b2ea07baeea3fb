"""Blocks of rows, as the cache of forms keeps them, and where in them the keys lie that somebody asks for.

A row of its own for each form would take a million looks, copies and checksums for a large glossary; a block of
hundreds is one of each, and its keys are compared all at once.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

KEY_BYTES = 16
# The first half sorts keys, the second tells apart those that begin alike.
_KEY = np.dtype([("head", "<u8"), ("tail", "<u8")])
_SIZE = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that were kept together: their keys, the sizes of their values, and the values, one after the other."""

    keys: bytes
    sizes: bytes
    values: bytes

    @classmethod
    def of(cls, rows: Sequence[tuple[bytes, bytes]]) -> "Block":
        """Of keys, each `KEY_BYTES` long, with their values."""
        values = [value for _, value in rows]
        sizes = np.array([len(value) for value in values], _SIZE)
        return cls(b"".join([key for key, _ in rows]), sizes.tobytes(), b"".join(values))

    @property
    def checksum(self) -> int:
        """Over all of it."""
        return zlib.crc32(self.values, zlib.crc32(self.sizes, zlib.crc32(self.keys)))


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Rows of one block that were asked for.

    `places` int64[m] are their positions among the keys asked for; `rows` int64[m] which rows of the block they are.
    """

    places: Ids
    rows: Ids
    block: Block

    def values(self) -> list[tuple[int, bytes]]:
        """Each position with its value."""
        sizes = np.frombuffer(self.block.sizes, _SIZE).astype(np.int64)
        ends = np.cumsum(sizes)
        bounds = zip(self.places.tolist(), (ends - sizes)[self.rows].tolist(), ends[self.rows].tolist(), strict=True)
        content = self.block.values
        return [(place, content[start:end]) for place, start, end in bounds]

    def fill(self, rows: NDArray[np.generic]) -> Ids:
        """Write the values into an array's rows of their positions; gives those positions.

        A value of another size than that of a row is none of theirs.
        """
        sizes = np.frombuffer(self.block.sizes, _SIZE)
        if not (sizes == rows.strides[0]).all():
            return np.zeros(0, np.int64)
        rows[self.places] = np.frombuffer(self.block.values, rows.dtype).reshape(len(sizes), -1)[self.rows]
        return self.places


class AskedKeys:
    """Keys in order, so that a block's keys find themselves among them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        asked = np.frombuffer(b"".join(keys), _KEY)
        self._order = np.argsort(asked["head"], kind="stable")
        self._tails = asked["tail"][self._order]
        # One key may be asked for several times: each head once, where its keys begin, and how many there are.
        self._heads, self._first, self._counts = np.unique(
            asked["head"][self._order], return_index=True, return_counts=True
        )

    def among(self, keys: bytes) -> tuple[Ids, Ids]:
        """Positions of the asked keys that are among some keys, and which of these they are, in order."""
        stored = np.frombuffer(keys, _KEY)
        if not len(self._heads):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self._heads, stored["head"]), len(self._heads) - 1)
        counts = np.where(self._heads[at] == stored["head"], self._counts[at], 0)
        rows = np.repeat(np.arange(len(stored)), counts)
        in_order = np.arange(len(rows)) + np.repeat(self._first[at] - np.cumsum(counts) + counts, counts)
        same = self._tails[in_order] == stored["tail"][rows]
        return self._order[in_order[same]], rows[same]
