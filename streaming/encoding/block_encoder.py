"""A stream through a block-causal encoder: every frame is encoded once, and once more while it is the newest.

The encoder hears whole blocks, each with some frames after it (`training.models.block_encoder`). What is asked for is
the newest context all the same, as from an encoder that hears each context anew: its older frames are remembered, its
newest ones provisional. What was not asked for is caught up with while the context still holds it, up to four blocks
in one step, which cost less than so many steps: so who asks half as often pays half as much, and who is behind catches
up. After a longer stretch (silence, an overloaded machine) the stream begins anew a little before what is asked for.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.block_shape import MEL_BEFORE, MEL_PER_FRAME, BlockShape
from streaming.encoding.block_state import BlockState, BlockStep, StateShape, StepResult
from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.onnx_steps import OnnxSteps
from streaming.encoding.providers import Provider
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from streaming.features import HOP, MelScale, RawLogMel
from streaming.model_folder import ModelFolder
from streaming.spans import FRAME_SAMPLES

Floats = NDArray[np.float32]

# A stream that begins anew hears so many blocks before what is asked for.
_ANEW = 3
# So many blocks that wait are heard in one step; more would save nothing.
_TOGETHER = 4


class Steps(Protocol):
    """Runs steps; many streams share one."""

    def run(self, step: BlockStep) -> StepResult:
        """One step of one stream."""
        ...


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
        together: at most so many blocks that wait are heard in one step.
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
        together: int = _TOGETHER,
    ) -> None:
        self._steps, self._blocks, self._context_frames = steps, blocks, context_frames
        self._anew, self._together = anew, together
        self._silence = silence
        self._log_mel = RawLogMel(mel_bins)
        self._state = BlockState(blocks, state)
        self._stretch = 0
        self.reset()

    @property
    def nbytes(self) -> int:
        """Memory of keys, values, features and the remembered context; about the same at any time of a stream."""
        provisional = self._provisional.nbytes if self._provisional is not None else 0
        return self._state.nbytes + self._mel.nbytes + self._kept.nbytes + provisional

    def reset(self) -> None:
        """Forget the stream."""
        self._state.forget()
        self._stretch += 1
        self._scale = MelScale(self._context_frames * MEL_PER_FRAME)
        self._mel = np.zeros((self._log_mel.bins, MEL_BEFORE), np.float32)
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

        Raises:
            SettingError: a context of another length than the model was made for; its frames would stand elsewhere.
        """
        if len(context) != self._context_frames * FRAME_SAMPLES:
            own_ms = self._context_frames * FRAME_SAMPLES * 1000 // SAMPLE_RATE
            raise SettingError(
                f"a context of {len(context)} samples is not what this model hears: give context_ms = {own_ms}"
            )
        end = end_sample // FRAME_SAMPLES
        if not is_kept:
            goes_on = self._goes_on(end)
            encoded = self._copy().encode(context, end_sample)
            # Of the blocks that hold something made up, nothing is final.
            return encoded.carried(self._final(end), self._stretch) if goes_on else encoded.carried(0, None)
        if not self._goes_on(end):
            self._begin(context, end)
        elif self._end is not None and end > self._end:
            self._hear(self._scale(self._log_mel(context, (end - self._end) * MEL_PER_FRAME)))
        self._end = end
        while waiting := (end - self._blocks.right - self._next) // self._blocks.block:
            self._run(waiting)
        if self._provisional is not None and self._next + self._blocks.right == end:
            encoded = self._context(self._provisional, end)
        else:
            encoded = self._copy()._with_made_up_rest(end)
        return encoded.carried(self._final(end), self._stretch)

    def _goes_on(self, end: int) -> bool:
        """Whether a context up to a frame holds all that was not heard yet."""
        return self._end is not None and 0 <= end - self._end <= self._context_frames

    def _final(self, end: int) -> int:
        """Rows of the context up to a frame that later steps leave as they are."""
        return self._context_frames - (end - self._next)

    def _begin(self, context: Floats, end: int) -> None:
        """Begin anew, so that the newest frames are those of a whole step."""
        self.reset()
        self._next = end - self._blocks.right - self._anew * self._blocks.block
        wanted = (end - self._next) * MEL_PER_FRAME
        mel = self._scale(self._log_mel(context, len(context) // HOP))[-wanted:]
        self._hear(np.full((wanted - len(mel), self._log_mel.bins), self._scale.silence, np.float32))
        self._hear(mel)

    def _hear(self, mel: Floats) -> None:
        self._mel = np.concatenate([self._mel, mel.T], axis=1)

    def _run(self, waiting: int) -> None:
        """Encode blocks of those that wait, which then are final, and what stands after them, which is not."""
        final = min(waiting, self._together) * self._blocks.block
        frames = final + self._blocks.right
        result = self._steps.run(self._state.step(self._mel[:, : MEL_BEFORE + frames * MEL_PER_FRAME]))
        self._state.keep(result)
        encoded = EncodedContext(result.characters, result.phonemes, result.frames, result.hidden)
        most = self._context_frames + max(0, final - self._blocks.right)
        self._kept = self._kept.joined(encoded.first(final)).last(most)
        self._provisional = encoded.after(final)
        self._mel = self._mel[:, final * MEL_PER_FRAME :]
        self._next += final

    def _with_made_up_rest(self, end: int) -> EncodedContext:
        """The newest context where its end is no block's: what is missing is taken for silence."""
        block, right = self._blocks.block, self._blocks.right
        while self._provisional is None or self._next + right < end:
            waiting = max(1, -((self._next + right - end) // block))
            missing = MEL_BEFORE + (waiting * block + right) * MEL_PER_FRAME - self._mel.shape[1]
            self._hear(np.full((max(0, missing), self._log_mel.bins), self._scale.silence, np.float32))
            self._run(waiting)
        return self._context(self._provisional, end)

    def _context(self, provisional: EncodedContext, end: int) -> EncodedContext:
        """The newest context up to a frame; with a short right context that may lie before the provisional frames."""
        known = self._kept.joined(provisional)
        beyond = self._next + self._blocks.right - end
        return known.first(len(known.characters) - beyond).last(self._context_frames)

    def _copy(self) -> "BlockFrameEncoder":
        other: BlockFrameEncoder = object.__new__(BlockFrameEncoder)
        other.__dict__.update(self.__dict__)
        other._state, other._scale = self._state.copy(), self._scale.copy()
        return other


class BlockEncoders:
    """The encoders of many streams on the graph of one model folder."""

    def __init__(self, folder: ModelFolder, blocks: BlockShape, threads: int = 1, provider: Provider = "cpu") -> None:
        self.graph = OnnxSteps(folder, blocks.positions, threads, provider)
        self.blocks, self._mel_bins = blocks, folder.spec.mel_bins
        self._context_frames = folder.spec.context_samples // FRAME_SAMPLES
        state = BlockState(blocks, self.graph.state_shape)
        frames = MEL_BEFORE + (blocks.block + blocks.right) * MEL_PER_FRAME
        heard = self.graph.run(state.step(np.full((self._mel_bins, frames), MelScale(1).silence, np.float32)))
        rows = (heard.characters, heard.phonemes, heard.frames, heard.hidden)
        middle = [np.repeat(row[blocks.block // 2][None], self._context_frames, axis=0) for row in rows]
        self._silence = EncodedContext(*middle)

    def open(self, steps: Steps | None = None, anew: int = _ANEW, together: int = _TOGETHER) -> BlockFrameEncoder:
        """The encoder of a new stream; `steps` may run those of many streams together."""
        sizes = (self._context_frames, self._silence, self._mel_bins, anew, together)
        return BlockFrameEncoder(steps or self.graph, self.blocks, self.graph.state_shape, *sizes)

    def encode(self, context: Floats) -> EncodedContext:
        """One context float32[context_samples] by itself, as a stream ends that was heard block by block."""
        whole = -(-self._context_frames // self.blocks.block)
        return self.open(anew=whole, together=1).encode(context, len(context))
