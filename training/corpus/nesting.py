"""JSON nested so deeply that no row or term means it: told while it is read, before a parser spends memory on it."""

from typing import BinaryIO

import numpy as np

MOST_LEVELS = 64
_SIGNS = b"[{]}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _SIGNS)
_STEPS = bytes.maketrans(_SIGNS, b"\x01\x01\xff\xff")
TOO_DEEP = f"it is nested deeper than {MOST_LEVELS} levels"


def is_deep(value: object) -> bool:
    """Whether lists and objects stand more than `MOST_LEVELS` deep in each other."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


class ShallowStream:
    """A binary stream of JSON that refuses to pass on what is nested too deeply."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._depth = 0
        self._in_string = False
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises ValueError where brackets in them stand too deep."""
        chunk = self._stream.read(size)
        # Without escapes every quotation mark opens or closes a string; only every other part is outside.
        text = (self._held + chunk).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._held = b"\\" if text.endswith(b"\\") else b""
        parts = text.split(b'"')
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        steps = np.frombuffer(outside.translate(_STEPS, _OTHERS), np.int8)
        if len(steps):
            depths = self._depth + np.cumsum(steps, dtype=np.int64)
            self._depth = int(depths[-1])
            if depths.max() > MOST_LEVELS:
                raise ValueError(TOO_DEEP)
        return chunk
