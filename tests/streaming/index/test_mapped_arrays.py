"""Arrays are written as NumPy writes them, and read in place, whatever lies in the file."""

import io
import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.index.mapped_arrays import pack_array, view_array


@given(st.sampled_from([np.float32, np.float16, np.int64]), st.integers(0, 5), st.integers(1, 4))
def test_array_comes_back_and_numpy_reads_it(dtype: type[np.generic], rows: int, columns: int) -> None:
    """The same numbers through ours and through `numpy.load`; ours are read-only."""
    array = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
    content = b"".join(pack_array(array))
    np.testing.assert_array_equal(np.load(io.BytesIO(content), allow_pickle=False), array)
    back = view_array(content, "a.npy", dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert rows == 0 or not back.flags.writeable


def test_mapping_is_not_copied_and_outlives_its_file(tmp_path: Path) -> None:
    """The array lies in the mapping, which stays when the file is removed."""
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6, dtype=np.float32).reshape(3, 2))
    with path.open("rb") as stream:
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    array = view_array(mapping, "a.npy", np.float32, (3, 2))
    path.unlink()
    assert array[2].tolist() == [4, 5]
    with pytest.raises(BufferError):
        mapping.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an array"),
        (b"\x93NUMPY\x01\x00\xff\xff{}", "not an array"),
        (b"\x93NUMPY\x01\x00\x02\x00{}", "garbled header"),
        (b"\x93NUMPY\x01\x00\x06\x00exit()", "garbled header"),
        (b"".join(pack_array(np.zeros((3, 2), np.float64))), "holds float64"),
        (b"".join(pack_array(np.zeros((2, 3), np.float32))), r"holds float32\[2, 3\]"),
        (b"".join(pack_array(np.zeros((3, 2), np.float32)))[:-1], "its header says"),
    ],
)
def test_what_is_no_such_array_is_refused(content: bytes, message: str) -> None:
    """A wrong file is told, and nothing in its header is run."""
    with pytest.raises(ValueError, match=message):
        view_array(content, "a.npy", np.float32, (3, 2))


def test_objects_are_refused() -> None:
    """An array of objects would be unpickled; it is another type than asked for."""
    out = io.BytesIO()
    np.save(out, np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds object"):
        view_array(out.getvalue(), "a.npy", np.float32, (1, 1))
