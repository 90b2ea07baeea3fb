"""Arrays in files of NumPy's format (NEP 1), read where they lie: a mapped file is not copied.

Only numbers: an array of objects, which would run code when it is read, is refused.
"""

import ast
import io
import mmap
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Content: TypeAlias = bytes | mmap.mmap
"""What was hashed: the bytes of a small file, the mapping of a large one."""

_MAGIC = b"\x93NUMPY\x01\x00"


def pack_array(array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """The header and the numbers of a .npy file; the numbers are not copied."""
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), memoryview(array.reshape(-1).view(np.uint8).data)


def view_array(content: Content, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array in the content of a .npy file, read-only.

    Args:
        content: of the file.
        name: the file, for the message.
        dtype: the type that it must have.
        shape: the shape that it must have.

    Raises:
        ValueError: it is no .npy file, or holds another type or shape.
    """
    size = int.from_bytes(content[8:10], "little")
    if content[:8] != _MAGIC or len(content) < 10 + size:
        raise ValueError(f"{name} is not an array")
    try:
        header = ast.literal_eval(content[10 : 10 + size].decode("latin-1").strip())
        found, order, there = np.dtype(header["descr"]), header["fortran_order"], tuple(header["shape"])
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as cause:
        raise ValueError(f"{name} has a garbled header ({cause})") from cause
    if (found, order, there) != (np.dtype(dtype), False, shape):
        raise ValueError(f"{name} holds {found}{list(there)} instead of {np.dtype(dtype)}{list(shape)}")
    count = int(np.prod(shape, dtype=np.int64))
    if len(content) != 10 + size + count * found.itemsize:
        raise ValueError(f"{name} has {len(content)} bytes, its header says {10 + size + count * found.itemsize}")
    # frombuffer refuses a buffer of nothing.
    flat = np.frombuffer(content, found, count, 10 + size) if count else np.zeros(0, found)
    return flat.reshape(shape)
