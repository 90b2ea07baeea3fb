"""Joined speech as a finished model folder hears it: the hidden frames of every step of its graph, once, on disk.

What a verifier reads in service are these frames, rounded as the graph rounds them, the newest of them provisional.
With them on disk its training needs neither the encoder nor a GPU. A folder holds ``steps.f16`` (float16[steps, block +
right, width], memory-mapped) and ``sessions.jsonl`` (which steps are whose, and the words in them).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.block_encoder import BlockEncoders, Steps
from streaming.encoding.block_shape import BlockShape
from streaming.encoding.block_state import BlockStep, StepResult
from streaming.spans import FRAME_SAMPLES
from training.compact.windows import Session

_FRAMES, _ROWS = "steps.f16", "sessions.jsonl"


@dataclass(frozen=True, slots=True)
class ServedSession:
    """One session: float16[steps, block + right, width], still on disk, and its words as (text, first, last frame)."""

    steps: NDArray[np.float16]
    words: tuple[tuple[str, float, float], ...]
    collection: str
    blocks: BlockShape

    @property
    def frames(self) -> int:
        """Frames that have become final."""
        return len(self.steps) * self.blocks.block

    def heard(self, first: int, last: int, end: int) -> NDArray[np.float16]:
        """Frames `first` up to `last` as they were after the first steps that had heard up to frame `end`.

        Returns:
            float16[last − first, width]; what is not final yet is provisional. After the last step no more is heard.

        Raises:
            ValueError: `last` lies behind what those steps heard.
        """
        block, right = self.blocks.block, self.blocks.right
        count = min(len(self.steps), max(1, -(-(end - right) // block)))
        if last > count * block + right:
            raise ValueError(f"frame {last} has not been heard after {count} steps")
        begun = first // block
        final = self.steps[begun:count, :block].reshape(-1, self.steps.shape[2])
        known = np.concatenate([final, self.steps[count - 1, block:]])
        # Where the stretch begins behind the final frames, only provisional ones are known.
        offset = first - min(begun, count) * block
        return known[offset : offset + last - first]


class _Noted:
    """Runs steps and notes their hidden frames."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.hidden: list[NDArray[np.float16]] = []

    def run(self, step: BlockStep) -> StepResult:
        """One step, noted."""
        result = self._steps.run(step)
        self.hidden.append(result.hidden.astype(np.float16))
        return result


def served_steps(encoders: BlockEncoders, audio: NDArray[np.float32], context_samples: int) -> NDArray[np.float16]:
    """Hear float32[n] from its beginning on, hop by hop: float16[steps, block + right, width]."""
    block, right = encoders.blocks.block, encoders.blocks.right
    noted = _Noted(encoders.graph)
    encoder = encoders.open(noted, anew=1)
    heard = np.concatenate([np.zeros(context_samples, np.float32), audio])
    steps = (len(audio) // FRAME_SAMPLES - right) // block
    for number in range(max(0, steps)):
        end = (block * (number + 1) + right) * FRAME_SAMPLES
        encoder.encode(heard[end : end + context_samples], end)
    if not noted.hidden:
        return np.zeros((0, block + right, encoders.graph.state_shape.width), np.float16)
    return np.stack(noted.hidden)


def write_served(folder: Path, sessions: Iterable[Session], encoders: BlockEncoders, context_samples: int) -> int:
    """Hear every session and write what was made of it into an empty folder; returns the number of steps."""
    count = 0
    with (folder / _FRAMES).open("wb") as frames, (folder / _ROWS).open("w", encoding="utf-8") as rows:
        for session in sessions:
            steps = served_steps(encoders, session.audio, context_samples)
            frames.write(steps.tobytes())
            words = [
                [w.text, *(round(s / FRAME_SAMPLES, 2) for s in (w.start_sample, w.end_sample))] for w in session.words
            ]
            row = {"first": count, "steps": len(steps), "collection": session.collection, "words": words}
            rows.write(json.dumps(row) + "\n")
            count += len(steps)
    return count


def read_served(folders: Iterable[Path], blocks: BlockShape, width: int) -> list[ServedSession]:
    """All sessions of some folders that have been heard at all."""
    found = []
    for folder in folders:
        rows = [json.loads(line) for line in (folder / _ROWS).read_text("utf-8").splitlines()]
        rows = [row for row in rows if row["steps"]]
        if not rows:
            continue
        frames = blocks.block + blocks.right
        steps = np.memmap(folder / _FRAMES, np.float16, "r").reshape(-1, frames, width)
        for row in rows:
            words = tuple((str(text), float(first), float(last)) for text, first, last in row["words"])
            own = steps[row["first"] : row["first"] + row["steps"]]
            found.append(ServedSession(own, words, row["collection"], blocks))
    return found
