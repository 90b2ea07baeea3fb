import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import SettingError
from streaming.framing import Framer


@given(sizes=st.lists(st.integers(0, 40), max_size=12), frame_samples=st.integers(1, 17))
def test_frames_are_slices_of_the_stream(sizes: list[int], frame_samples: int) -> None:
    """However the samples arrive, frame k is slice k of the stream and the last one is filled up with zeros."""
    stream = np.arange(1, sum(sizes) + 1, dtype=np.float32)
    framer = Framer(frame_samples)
    chunks = np.split(stream, np.cumsum(sizes)[:-1]) if sizes else []
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    assert len(framer.pending) == len(stream) % frame_samples
    frames += framer.finish()
    padded = np.zeros(-(-len(stream) // frame_samples) * frame_samples, np.float32)
    padded[: len(stream)] = stream
    assert [frame.tolist() for frame in frames] == padded.reshape(-1, frame_samples).tolist()


def test_finish_and_reset_leave_nothing() -> None:
    """After finish, and after reset, the next sample is the first of a frame."""
    framer = Framer(3)
    framer.feed(np.ones(2, np.float32))
    assert framer.finish()[0].tolist() == [1, 1, 0]
    assert framer.finish() == []
    framer.feed(np.ones(2, np.float32))
    framer.reset()
    assert framer.feed(np.full(3, 2, np.float32))[0].tolist() == [2, 2, 2]


def test_rest_does_not_keep_a_long_chunk_alive() -> None:
    """The rest owns its few samples."""
    framer = Framer(320)
    framer.feed(np.zeros(320 * 100 + 1, np.float32))
    assert framer.pending.base is None


def test_frames_of_nothing_are_refused() -> None:
    """A frame has at least one sample."""
    with pytest.raises(SettingError, match="frames of 0 samples"):
        Framer(0)
