from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from streaming.features import LogMel
from training.compact.cache import CachedWindow, read_cache, write_cache, write_features
from training.compact.windows import Window
from training.corpus.manifest import Word
from training.models.whisper import LowerTower, split_whisper_encoder

Tiny = tuple[Path, WhisperEncoder]


@pytest.fixture
def lower(tiny_whisper: Tiny) -> LowerTower:
    """The first layer of the tiny encoder."""
    return split_whisper_encoder(tiny_whisper[0], 1)[0]


def windows() -> list[Window]:
    """Seven windows of two lengths, mixed."""
    rng = np.random.default_rng(6)
    found = []
    for i in range(7):
        frames = (20, 35)[i % 2]
        audio = rng.standard_normal(frames * 320).astype(np.float32) * np.float32(0.1)
        words = (Word(f"w{'abcdefg'[i]}", 800, 2_400),) * (i % 3)
        found.append(Window(audio, words, i, 6 - i, f"c{i % 2}"))
    return found


def test_round_trip(tmp_path: Path, lower: LowerTower) -> None:
    """What is read is what was written, by length and in order; words are in frames."""
    made = windows()
    assert write_cache(tmp_path, lower, made) == 7
    blocks = {block.length: block for block in read_cache([tmp_path], 32)}
    assert blocks.keys() == {20, 35}
    for length, block in blocks.items():
        some = [w for w in made if len(w.audio) == length * 320]
        assert isinstance(block.frames, np.memmap)
        assert block.frames.shape == (len(some), length, 32)
        assert block.windows == tuple(
            CachedWindow(
                tuple((w.text, 2.5, 7.5) for w in window.words),
                window.left_wildcard,
                window.right_wildcard,
                window.collection,
            )
            for window in some
        )


def test_frames_are_the_tower_s(tmp_path: Path, lower: LowerTower) -> None:
    """Each cached window holds its own pass through the tower, within the digits of bfloat16."""
    made = windows()
    write_cache(tmp_path, lower, made)
    log_mel = LogMel()
    for block in read_cache([tmp_path], 32):
        some = [w for w in made if len(w.audio) == block.length * 320]
        with torch.no_grad():
            expected = torch.cat([lower(torch.from_numpy(log_mel(w.audio)[None])) for w in some])
        found = block.batch(np.arange(len(some)))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=0.05, rtol=0.02)


def test_small_and_large_batches_are_one(tmp_path: Path, lower: LowerTower) -> None:
    """A second call appends; rows may be asked for in any order."""
    write_cache(tmp_path, lower, windows()[:3])
    write_cache(tmp_path, lower, windows()[3:])
    block = next(b for b in read_cache([tmp_path], 32) if b.length == 20)
    assert [w.left_wildcard for w in block.windows] == [0, 2, 4, 6]
    both = block.batch(np.array([3, 0]))
    torch.testing.assert_close(both[1], torch.from_numpy(np.asarray(block.frames[0], np.float32)))


def test_failure_closes_the_files(tmp_path: Path, lower: LowerTower) -> None:
    """A source that fails in the middle is told as it is, and no file stays open."""

    def failing() -> Iterator[Window]:
        yield windows()[0]
        raise ValueError("lost the disk")

    with pytest.raises(ValueError, match="lost the disk"):
        write_cache(tmp_path, lower, failing())


class Doubling(nn.Module):
    """Stands for an alignment model: its third output is twice its input."""

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Only the features matter."""
        return hidden, hidden, 2 * hidden


def test_features_are_cached_in_the_same_form(tmp_path: Path, lower: LowerTower) -> None:
    """The features of a model over cached frames are read like frames, with the same windows."""
    write_cache(tmp_path / "frames", lower, windows())
    blocks = list(read_cache([tmp_path / "frames"], 32))
    write_features(tmp_path / "features", blocks, Doubling(), 32, rows=3)
    for before, after in zip(blocks, read_cache([tmp_path / "features"], 32), strict=True):
        assert after.windows == before.windows
        np.testing.assert_allclose(after.frames, 2 * before.frames, rtol=1e-3)


def test_features_of_another_width_are_refused(tmp_path: Path, lower: LowerTower) -> None:
    """A model whose features are not as wide as said would make a cache that cannot be read."""
    write_cache(tmp_path / "frames", lower, windows())
    with pytest.raises(ValueError, match="32 wide, not 8"):
        write_features(tmp_path / "features", read_cache([tmp_path / "frames"], 32), Doubling(), 8)
