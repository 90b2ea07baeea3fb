from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.compact.block_features import scaled_alone
from training.compact.block_teacher import TeacherWindows, teach
from training.models.block_encoder import BlockEncoder


@given(st.integers(150, 2000))
def test_every_frame_is_kept_once(frames: int) -> None:
    """In its order, from a window that it lies in, after 25 frames of it at least but at the start of the stretch."""
    places = TeacherWindows().over(frames)
    kept = [frame for _, first, last in places for frame in range(first, last)]
    assert kept == list(range(frames))
    for start, first, last in places:
        assert 0 <= start <= first < last <= start + 150 <= frames
        assert first - start >= 25 or first == 0


def test_the_windows_of_eight_seconds() -> None:
    """Four, the last one against the end."""
    places = [(0, 0, 125), (100, 125, 225), (200, 225, 275), (250, 275, 400)]
    assert TeacherWindows().over(400) == places


def test_a_frame_is_that_of_its_window(tiny_encoder: Callable[[int], BlockEncoder]) -> None:
    """The slow twin hears each window of each row by itself, scaled by itself."""
    teacher, windows = tiny_encoder(3), TeacherWindows(12, 8, 3)
    raw = torch.randn(2, 80, 60, generator=torch.Generator().manual_seed(0)) * 3
    taught = teach(teacher, raw, windows)
    parts = (taught.hidden, taught.characters, taught.phonemes, taught.features)
    assert [part.shape[:2] for part in parts] == [(2, 30)] * 4
    for start, first, last in windows.over(30):
        for row in range(2):
            with torch.no_grad():
                alone = teacher.whole(scaled_alone(raw[row : row + 1, :, 2 * start : 2 * start + 24]))
            for part, slow in zip(parts, alone, strict=True):
                torch.testing.assert_close(part[row, first:last], slow[0, first - start : last - start])
    assert not taught.hidden.requires_grad


def test_a_stretch_of_one_window(tiny_encoder: Callable[[int], BlockEncoder]) -> None:
    """Is heard whole."""
    assert TeacherWindows(12, 8, 3).over(12) == [(0, 0, 12)]
    raw = torch.randn(1, 80, 24)
    taught = teach(tiny_encoder(3), raw, TeacherWindows(12, 8, 3))
    assert taught.hidden.shape == (1, 12, 16)
    assert float(taught.characters.exp().sum(-1).mean()) == pytest.approx(1, abs=1e-5)
