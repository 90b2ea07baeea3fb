"""Every finite half-precision number is widened to itself."""

import numpy as np

from streaming.index.half_precision import widened


def test_every_finite_number_stays_what_it_is() -> None:
    """Zeros of both signs and the smallest numbers too, bit by bit."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    np.testing.assert_array_equal(widened(finite).view(np.uint32), finite.astype(np.float32).view(np.uint32))


def test_shape_stays_and_nothing_is_changed_in_place() -> None:
    """Rows that do not lie one after the other are read as they are."""
    halves = np.arange(24, dtype=np.float16).reshape(4, 6)
    found = widened(halves[::2])
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1, 2, 3, 4, 5], [12, 13, 14, 15, 16, 17]]
    assert halves[0, 1] == 1
