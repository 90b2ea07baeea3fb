"""Streams of short blocks, whose frames are means that a test can know."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streaming.context import RollingContext
from streaming.encoding.block_encoder import BlockFrameEncoder
from streaming.encoding.block_shape import BlockShape
from streaming.encoding.block_state import BlockStep, StateShape, StepResult
from streaming.encoding.encoded_context import EncodedContext

Floats = NDArray[np.float32]

BLOCKS = BlockShape(block=4, right=4, look_back=2, positions=12)
STATE = StateShape(layers=1, heads=1, head_width=1, width=2, reach=2)
CONTEXT = 24
HOP = BLOCKS.block * 320
SILENCE = EncodedContext(*(np.full((CONTEXT, width), -7, np.float32) for width in (1, 1, 1, 2)))


class MeanSteps:
    """A frame is the mean of its own log-mel frames; its hidden row also tells what the step was given."""

    def __init__(self) -> None:
        self.steps: list[BlockStep] = []
        self.frames: list[int] = []

    def run(self, step: BlockStep) -> StepResult:
        # The arrays of a state go on changing.
        self.steps.append(replace(step, unheard=step.unheard.copy()))
        frames = step.mel.shape[1] // 2 - 1
        self.frames.append(frames)
        means = step.mel[:, 2:].mean(axis=0).reshape(frames, 2).mean(axis=1)[:, None]
        heard = step.keys[0][step.unheard == 0].astype(np.float32).sum()
        hidden = np.concatenate([np.full_like(means, heard), np.full_like(means, step.first)], axis=1)
        keys = np.full((frames, 1, 1), step.first + 1, np.float16)
        return StepResult(means, means, means, hidden, (keys,), (keys,))


class FailingSteps(MeanSteps):
    """Every third step fails once before it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def run(self, step: BlockStep) -> StepResult:
        self.asked += 1
        if self.asked % 3 == 0:
            raise RuntimeError("no memory")
        return super().run(step)


def open_stream(steps: MeanSteps, anew: int = 2, blocks: BlockShape = BLOCKS, together: int = 2) -> BlockFrameEncoder:
    """The encoder of a stream with short blocks."""
    return BlockFrameEncoder(steps, blocks, STATE, CONTEXT, SILENCE, 80, anew, together)


def noise(samples: int, seed: int = 0) -> Floats:
    """With an envelope, so that the scale of the features moves."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0.001, 0.5, samples // 320 + 1), 320)[:samples]
    return (rng.standard_normal(samples) * loud).astype(np.float32)


class Contexts:
    """Feeds a stream to an encoder as the pipeline does."""

    def __init__(self, encoder: BlockFrameEncoder, audio: Floats) -> None:
        self._encoder, self._audio = encoder, audio
        self._context = RollingContext(CONTEXT * 320)
        self.end = 0

    def hop(self, samples: int = HOP, *, asks: bool = True) -> EncodedContext | None:
        self._context.append(self._audio[self.end : self.end + samples])
        self.end += samples
        return self._encoder.encode(self._context.latest()[0], self.end) if asks else None

    def peek(self, samples: int) -> EncodedContext:
        """As if silence followed, which it does not."""
        context = np.concatenate([self._context.latest()[0], np.zeros(samples, np.float32)])[samples:]
        return self._encoder.encode(context, self.end + samples, is_kept=False)
