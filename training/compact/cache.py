"""Windows through the frozen lower tower, once: fp16 frames on disk, so that training runs only what trains.

A cache folder holds, per window length, ``frames_<T>.f16`` (float16[n, T, width], memory-mapped) and
``windows_<T>.jsonl``.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streaming.features import LogMel
from streaming.spans import FRAME_SAMPLES
from training.compact.windows import Window
from training.models.whisper import LowerTower


@dataclass(frozen=True, slots=True)
class CachedWindow:
    """What is heard in one cached window: words as (text, first frame, last frame), frames lost to cut words."""

    words: tuple[tuple[str, float, float], ...]
    left_wildcard: int
    right_wildcard: int
    collection: str


class CacheWriter:
    """Collects windows by length, runs the lower tower on batches and appends to the folder."""

    def __init__(self, folder: Path, tower: LowerTower, batch_frames: int = 3000) -> None:
        self._folder, self._tower, self._batch_frames = folder, tower, batch_frames
        self._log_mel = LogMel()
        self._waiting: dict[int, list[tuple[NDArray[np.float32], Window]]] = {}
        self._open: dict[int, tuple[IO[bytes], IO[str]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, window: Window) -> None:
        """Queue one window; a full batch is encoded and written."""
        frames = len(window.audio) // FRAME_SAMPLES
        waiting = self._waiting.setdefault(frames, [])
        waiting.append((self._log_mel(window.audio), window))
        if len(waiting) * frames >= self._batch_frames:
            self._write(frames)

    def close(self) -> None:
        """Write what waits and close the files."""
        for frames in list(self._waiting):
            self._write(frames)
        for binary, text in self._open.values():
            binary.close()
            text.close()

    def _write(self, frames: int) -> None:
        batch = self._waiting.pop(frames, [])
        if not batch:
            return
        mels = torch.from_numpy(np.stack([mel for mel, _ in batch]))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            hidden = self._tower(mels)
        if frames not in self._open:
            self._open[frames] = (
                (self._folder / f"frames_{frames}.f16").open("ab"),
                (self._folder / f"windows_{frames}.jsonl").open("a", encoding="utf-8"),
            )
        binary, text = self._open[frames]
        binary.write(hidden.to(torch.float16).numpy().tobytes())
        for _, window in batch:
            row = {
                "words": [
                    [w.text, round(w.start_sample / FRAME_SAMPLES, 2), round(w.end_sample / FRAME_SAMPLES, 2)]
                    for w in window.words
                ],
                "left": window.left_wildcard,
                "right": window.right_wildcard,
                "collection": window.collection,
            }
            text.write(json.dumps(row) + "\n")


def write_cache(folder: Path, tower: LowerTower, windows: Iterable[Window]) -> int:
    """Encode every window; returns how many."""
    count = 0
    with closing(CacheWriter(folder, tower)) as writer:
        for window in windows:
            writer.add(window)
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class CachedFrames:
    """All windows of one length."""

    length: int
    frames: NDArray[np.float16]
    windows: tuple[CachedWindow, ...]

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """float32[n, T, width] of the rows asked for."""
        return torch.from_numpy(np.asarray(self.frames[rows], np.float32))


def read_cache(folders: Iterable[Path], width: int) -> Iterator[CachedFrames]:
    """Every (folder, length) as one memory-mapped block."""
    for folder in folders:
        for path in sorted(folder.glob("windows_*.jsonl")):
            length = int(path.stem.split("_")[1])
            windows = []
            for line in path.read_text("utf-8").splitlines():
                row = json.loads(line)
                words = tuple((str(w), float(a), float(b)) for w, a, b in row["words"])
                windows.append(CachedWindow(words, row["left"], row["right"], row["collection"]))
            frames = np.memmap(folder / f"frames_{length}.f16", np.float16, "r", shape=(len(windows), length, width))
            yield CachedFrames(length, frames, tuple(windows))


def write_features(folder: Path, blocks: Iterable[CachedFrames], model: nn.Module, width: int, rows: int = 10) -> None:
    """Run a trained model over cached frames and cache its features (the third output) in the same form.

    Raises ValueError if the model's features are not `width` wide.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    for block in blocks:
        with (
            (folder / f"frames_{block.length}.f16").open("ab") as binary,
            (folder / f"windows_{block.length}.jsonl").open("a", encoding="utf-8") as text,
        ):
            for first in range(0, len(block.windows), rows):
                some = block.windows[first : first + rows]
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                    features = model(block.batch(np.arange(first, first + len(some))))[2]
                if features.shape[2] != width:
                    raise ValueError(f"features are {features.shape[2]} wide, not {width}")
                binary.write(features.to(torch.float16).numpy().tobytes())
                for window in some:
                    row = {
                        "words": window.words,
                        "left": window.left_wildcard,
                        "right": window.right_wildcard,
                        "collection": window.collection,
                    }
                    text.write(json.dumps(row) + "\n")
