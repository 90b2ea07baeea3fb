import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.errors import SettingError
from streaming.spans import PARTS, SpanGrid, pool_spans


def slow_pool(frames: NDArray[np.float32], start: int, end: int) -> NDArray[np.float64]:
    """Mean of each sixth of a span: every frame counts by the share of it that lies in the part."""
    part = (end - start) / PARTS
    means = []
    for k in range(PARTS):
        low, high = start + k * part, start + (k + 1) * part
        shares = [max(0.0, min(high, t + 1) - max(low, t)) for t in range(len(frames))]
        means.append(sum(share * frame.astype(np.float64) for share, frame in zip(shares, frames, strict=True)) / part)
    return np.concatenate(means)


@given(n_frames=st.integers(1, 60), seed=st.integers(0, 99))
def test_pooled_parts_are_means_of_shares(n_frames: int, seed: int) -> None:
    """Pooling by one matrix product equals the plain mean of each part, spans shorter than six frames included."""
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((n_frames, 3)).astype(np.float32)
    bounds = np.sort(rng.integers(0, n_frames + 1, (8, 2)), axis=1).astype(np.int32)
    spans = np.concatenate((bounds[bounds[:, 0] < bounds[:, 1]], np.array([[0, n_frames]], np.int32)))
    pooled = pool_spans(frames, spans)
    assert pooled.dtype == np.float32
    expected = np.array([slow_pool(frames, start, end) for start, end in spans.tolist()])
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_twelve_frames_are_six_pairs() -> None:
    """A span of twelve frames gives the means of its pairs, in their order."""
    frames = np.arange(12, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        pool_spans(frames, np.array([[0, 12]], np.int32)), [[0.5, 2.5, 4.5, 6.5, 8.5, 10.5]], atol=1e-6
    )


def test_long_contexts_keep_their_digits() -> None:
    """A large offset in a long context does not blur its last frames."""
    frames = np.full((1_500, 2), 1_000.0, np.float32)
    frames[-6:] += np.arange(6, dtype=np.float32)[:, None] / 100
    pooled = pool_spans(frames, np.array([[1_494, 1_500]], np.int32))
    np.testing.assert_allclose(pooled.reshape(6, 2), frames[-6:], rtol=1e-6)


def test_no_spans_give_no_vectors() -> None:
    """An empty grid is pooled to an empty matrix of the right width."""
    spans = SpanGrid().grid(4, 0)
    assert spans.shape == (0, 2)
    assert pool_spans(np.zeros((4, 5), np.float32), spans).shape == (0, 30)


@given(n_frames=st.integers(0, 200), new_from=st.integers(-5, 205), stride=st.integers(1, 7))
def test_grid_is_every_span_that_fits_and_is_new(n_frames: int, new_from: int, stride: int) -> None:
    """The grid holds exactly the spans of its lengths that fit the context, end on the stride and end in new audio."""
    grid = SpanGrid(lengths=(3, 8, 40), stride=stride)
    spans = grid.grid(n_frames, new_from)
    assert spans.dtype == np.int32
    expected = [
        [end - length, end]
        for end in range(1, n_frames + 1)
        for length in (3, 8, 40)
        if (n_frames - end) % stride == 0 and end > new_from and end >= length
    ]
    assert spans.tolist() == expected


def test_grids_of_successive_hops_join() -> None:
    """The ends of one hop's grid follow on those of the hop before, one stride apart, none twice."""
    ends = np.unique(SpanGrid().grid(150, 134)[:, 1])
    assert ends.tolist() == [138, 142, 146, 150]
    assert ((ends - 16) <= 134).all()


@pytest.mark.parametrize(("lengths", "stride"), [((), 4), ((8, 0), 4), ((8,), 0)])
def test_unusable_grid_is_refused(lengths: tuple[int, ...], stride: int) -> None:
    """Lengths and stride are at least one frame."""
    with pytest.raises(SettingError, match="give"):
        SpanGrid(lengths, stride)
