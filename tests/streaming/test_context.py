import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.context import RollingContext
from streaming.errors import SettingError


@given(sizes=st.lists(st.integers(0, 50), max_size=20), context_samples=st.integers(1, 20))
def test_latest_is_the_end_of_the_stream(sizes: list[int], context_samples: int) -> None:
    """After every chunk the context is the last stretch of the stream, with zeros before its start."""
    context = RollingContext(context_samples)
    stream = np.zeros(0, np.float32)
    for size in sizes:
        chunk = np.arange(len(stream) + 1, len(stream) + size + 1, dtype=np.float32)
        context.append(chunk)
        stream = np.concatenate((stream, chunk))
        samples, start = context.latest()
        assert context.end_sample == len(stream)
        assert start == len(stream) - context_samples
        expected = np.concatenate((np.zeros(context_samples, np.float32), stream))[-context_samples:]
        np.testing.assert_array_equal(samples, expected)


def test_context_given_out_is_not_written_to() -> None:
    """What was handed out stays what it was when the stream goes on."""
    context = RollingContext(4)
    context.append(np.ones(4, np.float32))
    samples, _ = context.latest()
    for _ in range(5):
        context.append(np.full(3, 2, np.float32))
    assert samples.tolist() == [1, 1, 1, 1]


def test_reset_starts_a_new_stream() -> None:
    """After reset the context is empty and its clock at zero."""
    context = RollingContext(4)
    context.append(np.ones(3, np.float32))
    context.reset()
    context.append(np.full(1, 5, np.float32))
    samples, start = context.latest()
    assert samples.tolist() == [0, 0, 0, 5]
    assert start == -3


def test_context_of_nothing_is_refused() -> None:
    """A context has at least one sample."""
    with pytest.raises(SettingError, match="context of 0 samples"):
        RollingContext(0)
