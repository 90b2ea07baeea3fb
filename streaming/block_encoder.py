"""A stream through a block-causal encoder: every frame is encoded once, and once more while it is the newest.

The encoder hears whole blocks, each with some frames after it (`training.models.block_encoder`). What is asked for is
the newest context all the same, as from an encoder that hears each context anew: its older frames are remembered, its
newest ones provisional. After a stretch that was not asked for (silence, an overloaded machine) the stream begins anew
a little before what is asked for.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.block_shape import OUTPUTS, STEP_FILE, BlockShape, keys_of, values_of
from streaming.block_state import BlockState, BlockStep, StateShape, StepResult
from streaming.encoded_context import EncodedContext
from streaming.encoder import open_session
from streaming.features import HOP, MelScale, RawLogMel
from streaming.model_folder import ModelFolder
from streaming.providers import Provider
from streaming.spans import FRAME_SAMPLES

Floats = NDArray[np.float32]

_MEL_PER_FRAME = FRAME_SAMPLES // HOP
_MEL_BEFORE = 2
# A stream that begins anew hears so many blocks before what is asked for.
_ANEW = 3
# Blocks that are caught up with; where more were not asked for, the stream begins anew.
_MOST_AT_ONCE = 4


class Steps(Protocol):
    """Runs steps; many streams share one."""

    def run(self, step: BlockStep) -> StepResult:
        """One step of one stream."""
        ...


class OnnxSteps:
    """The graph of a step; each result is the same whatever else is in the batch, to the last bit."""

    def __init__(self, folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> None:
        self._session = open_session(folder, STEP_FILE, threads, provider)
        shapes = {one.name: one.shape for one in self._session.get_inputs()}
        _, heads, head_width, _ = shapes[keys_of(0)]
        _, reach, width = shapes["before"]
        self._layers = range(sum(name.startswith(keys_of(0)[:-1]) for name in shapes))
        self._outputs = [
            *OUTPUTS,
            *(f"new_{keys_of(i)}" for i in self._layers),
            *(f"new_{values_of(i)}" for i in self._layers),
        ]
        self.state_shape = StateShape(len(self._layers), heads, head_width, width, reach)

    def run(self, step: BlockStep) -> StepResult:
        """One step of one stream."""
        return self.run_batch([step])[0]

    def run_batch(self, steps: Sequence[BlockStep]) -> list[StepResult]:
        """One step each of several streams, in one pass."""
        inputs = {name: _stacked([getattr(step, name) for step in steps]) for name in ("mel", "unheard", "before")}
        inputs["first"] = np.array([step.first for step in steps], np.int64)
        for i in self._layers:
            inputs[keys_of(i)] = _stacked([step.keys[i] for step in steps])
            inputs[values_of(i)] = _stacked([step.values[i] for step in steps])
        keys_from, values_from = len(OUTPUTS), len(OUTPUTS) + len(self._layers)
        results = []
        for rows in zip(*self._session.run(self._outputs, inputs), strict=True):
            characters, phonemes, frames, hidden = rows[:keys_from]
            state = rows[keys_from:values_from], rows[values_from:]
            results.append(StepResult(characters, phonemes, frames, hidden, *state))
        return results


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Along a new first axis; one alone is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


class BlockFrameEncoder:
    """The encoder of one stream.

    Args:
        steps: runs each step.
        blocks: sizes that the encoder was taught.
        state: sizes of what is kept.
        context_frames: rows of each encoded context.
        silence: one row of a context, which stands where nothing was heard.
        mel_bins: of the encoder's log-mel features.
        anew: blocks that are heard before what is asked for where a stream begins anew.
    """

    def __init__(
        self,
        steps: Steps,
        blocks: BlockShape,
        state: StateShape,
        context_frames: int,
        silence: EncodedContext,
        mel_bins: int,
        anew: int = _ANEW,
    ) -> None:
        self._steps, self._blocks, self._context_frames, self._anew = steps, blocks, context_frames, anew
        self._silence = silence
        self._log_mel = RawLogMel(mel_bins)
        self._state = BlockState(blocks, state)
        self.reset()

    @property
    def nbytes(self) -> int:
        """Memory of keys, values, features and the remembered context; about the same at any time of a stream."""
        provisional = self._provisional.nbytes if self._provisional is not None else 0
        return self._state.nbytes + self._mel.nbytes + self._kept.nbytes + provisional

    def reset(self) -> None:
        """Forget the stream."""
        self._state.forget()
        self._scale = MelScale(self._context_frames * _MEL_PER_FRAME)
        self._mel = np.zeros((self._log_mel.bins, _MEL_BEFORE), np.float32)
        self._kept = self._silence
        self._provisional: EncodedContext | None = None
        # Frames of the stream: the first of the next block, and the one after the last that was heard.
        self._next = 0
        self._end: int | None = None

    def encode(self, context: Floats, end_sample: int, *, is_kept: bool = True) -> EncodedContext:
        """The newest context.

        Args:
            context: float32[context_frames · 320], the stream up to `end_sample`.
            end_sample: a multiple of 320.
            is_kept: False leaves the stream as it is: what comes next may be something else.
        """
        if not is_kept:
            return self._copy().encode(context, end_sample)
        end = end_sample // FRAME_SAMPLES
        waiting = end - self._next - self._blocks.right
        if self._end is None or end < self._end or waiting > _MOST_AT_ONCE * self._blocks.block:
            self._begin(context, end)
        elif end > self._end:
            self._hear(self._scale(self._log_mel(context, (end - self._end) * _MEL_PER_FRAME)))
        self._end = end
        while self._next + self._blocks.block + self._blocks.right <= end:
            self._run()
        if self._provisional is not None and self._next + self._blocks.right == end:
            return self._context(self._provisional)
        return self._copy()._with_made_up_rest(end)

    def _begin(self, context: Floats, end: int) -> None:
        """Begin anew, so that the newest frames are those of a whole step."""
        self.reset()
        self._next = end - self._blocks.right - self._anew * self._blocks.block
        wanted = (end - self._next) * _MEL_PER_FRAME
        mel = self._scale(self._log_mel(context, len(context) // HOP))[-wanted:]
        self._hear(np.full((wanted - len(mel), self._log_mel.bins), self._scale.silence, np.float32))
        self._hear(mel)

    def _hear(self, mel: Floats) -> None:
        self._mel = np.concatenate([self._mel, mel.T], axis=1)

    def _run(self) -> None:
        """Encode the next block, which then is final, and what stands after it, which is not."""
        block, right = self._blocks.block, self._blocks.right
        result = self._steps.run(self._state.step(self._mel[:, : _MEL_BEFORE + (block + right) * _MEL_PER_FRAME]))
        self._state.keep(result)
        encoded = EncodedContext(result.characters, result.phonemes, result.frames, result.hidden)
        self._kept = self._kept.joined(encoded.first(block)).last(self._context_frames)
        self._provisional = encoded.after(block)
        self._mel = self._mel[:, block * _MEL_PER_FRAME :]
        self._next += block

    def _with_made_up_rest(self, end: int) -> EncodedContext:
        """The newest context where its end is no block's: what is missing is taken for silence."""
        block, right = self._blocks.block, self._blocks.right
        while self._provisional is None or self._next + right < end:
            missing = _MEL_BEFORE + (block + right) * _MEL_PER_FRAME - self._mel.shape[1]
            self._hear(np.full((max(0, missing), self._log_mel.bins), self._scale.silence, np.float32))
            self._run()
        return self._context(self._provisional.first(end - self._next))

    def _context(self, newest: EncodedContext) -> EncodedContext:
        return self._kept.joined(newest).last(self._context_frames)

    def _copy(self) -> "BlockFrameEncoder":
        other: BlockFrameEncoder = object.__new__(BlockFrameEncoder)
        other.__dict__.update(self.__dict__)
        other._state, other._scale = self._state.copy(), self._scale.copy()
        return other


class BlockEncoders:
    """The encoders of many streams on the graph of one model folder."""

    def __init__(self, folder: ModelFolder, blocks: BlockShape, threads: int = 1, provider: Provider = "cpu") -> None:
        self.graph = OnnxSteps(folder, threads, provider)
        self.blocks, self._mel_bins = blocks, folder.spec.mel_bins
        self._context_frames = folder.spec.context_samples // FRAME_SAMPLES
        state = BlockState(blocks, self.graph.state_shape)
        frames = _MEL_BEFORE + (blocks.block + blocks.right) * _MEL_PER_FRAME
        heard = self.graph.run(state.step(np.full((self._mel_bins, frames), MelScale(1).silence, np.float32)))
        rows = (heard.characters, heard.phonemes, heard.frames, heard.hidden)
        middle = [np.repeat(row[blocks.block // 2][None], self._context_frames, axis=0) for row in rows]
        self._silence = EncodedContext(*middle)

    def open(self, steps: Steps | None = None, anew: int = _ANEW) -> BlockFrameEncoder:
        """The encoder of a new stream; `steps` may run those of many streams together."""
        sizes = (self._context_frames, self._silence, self._mel_bins, anew)
        return BlockFrameEncoder(steps or self.graph, self.blocks, self.graph.state_shape, *sizes)

    def encode(self, context: Floats) -> EncodedContext:
        """One context float32[context_samples] by itself, as the end of a stream of which no more is known."""
        whole = -(-self._context_frames // self.blocks.block)
        return self.open(anew=whole).encode(context, len(context))
