"""A stream through a block-causal encoder: every frame is encoded once, and once more while it is the newest.

The encoder hears whole blocks, each with some frames after it (`training.models.block_encoder`). What is asked for is
the newest context all the same, as from an encoder that hears each context anew: its older frames are remembered, its
newest ones provisional. What was not asked for is caught up with while the context still holds it, two blocks in one
step where two wait, which costs little more than one: so who asks half as often pays half as much. After a longer
stretch (silence, an overloaded machine) the stream begins anew a little before what is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoder import open_session
from streaming.encoding.block_shape import OUTPUTS, STEP_FILE, BlockShape, keys_of, values_of
from streaming.encoding.block_state import BlockState, BlockStep, StateShape, StepResult
from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.providers import Provider
from streaming.errors import ModelError, SettingError
from streaming.events import SAMPLE_RATE
from streaming.features import HOP, MelScale, RawLogMel
from streaming.model_folder import ModelFolder
from streaming.spans import FRAME_SAMPLES

Floats = NDArray[np.float32]

_MEL_PER_FRAME = FRAME_SAMPLES // HOP
_MEL_BEFORE = 2
# A stream that begins anew hears so many blocks before what is asked for.
_ANEW = 3
# So many blocks that wait are heard in one step.
_TOGETHER = 2
_CURE = "install TermCue again, or name another folder with --model"


class Steps(Protocol):
    """Runs steps; many streams share one."""

    def run(self, step: BlockStep) -> StepResult:
        """One step of one stream."""
        ...


class OnnxSteps:
    """The graph of a step; each result is the same whatever else is in the batch, to the last bit.

    Raises:
        ModelError: the folder has no such graph, ONNX Runtime refuses it, or it is one of other blocks.
        SettingError: this ONNX Runtime cannot run on the provider at all.
    """

    def __init__(self, folder: ModelFolder, positions: int, threads: int = 1, provider: Provider = "cpu") -> None:
        self._session = open_session(folder, STEP_FILE, threads, provider)
        given = (*self._session.get_inputs(), *self._session.get_outputs())
        self._positions = positions
        self.state_shape = _state_shape(folder, {one.name: _sizes(one.shape) for one in given})
        self._layers = range(self.state_shape.layers)
        self._outputs = [
            *OUTPUTS,
            *(f"new_{keys_of(i)}" for i in self._layers),
            *(f"new_{values_of(i)}" for i in self._layers),
        ]

    def run(self, step: BlockStep) -> StepResult:
        """One step of one stream."""
        return self.run_batch([step])[0]

    def run_batch(self, steps: Sequence[BlockStep]) -> list[StepResult]:
        """One step each of several streams, in one pass; all of blocks of one shape."""
        inputs = {name: _stacked([getattr(step, name) for step in steps]) for name in ("mel", "before")}
        frames = (inputs["mel"].shape[2] - _MEL_BEFORE) // _MEL_PER_FRAME
        first = np.array([step.first for step in steps], np.int64)
        inputs["places"] = (first + np.arange(frames)[:, None]) % self._positions
        # Of its own frames a step hears all.
        inputs["unheard"] = np.pad(_stacked([step.unheard for step in steps]), ((0, 0), (0, frames)))
        for i in self._layers:
            inputs[keys_of(i)] = _stacked([step.keys[i] for step in steps], 1)
            inputs[values_of(i)] = _stacked([step.values[i] for step in steps], 1)
        found = self._session.run(self._outputs, inputs)
        keys_from, values_from = len(OUTPUTS), len(OUTPUTS) + len(self._layers)
        results = []
        for i in range(len(steps)):
            # A view would keep the whole batch for as long as the stream keeps its provisional frames.
            characters, phonemes, frames, hidden = (part[i].copy() for part in found[:keys_from])
            keys, values = (
                tuple(part[:, i] for part in some) for some in (found[keys_from:values_from], found[values_from:])
            )
            results.append(StepResult(characters, phonemes, frames, hidden, keys, values))
        return results


def _stacked(arrays: Sequence[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
    """Along a new axis; one alone is not copied."""
    return np.expand_dims(arrays[0], axis) if len(arrays) == 1 else np.stack(arrays, axis)


def _sizes(shape: Sequence[int | str]) -> tuple[int | None, ...]:
    """A shape of the graph; None is a size that it leaves open, which has a name there."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def _state_shape(folder: ModelFolder, shapes: Mapping[str, tuple[int | None, ...]]) -> StateShape:
    """What the graph of a step keeps of a stream, by the shapes of its inputs and outputs.

    Raises:
        ModelError: it is not the graph of a step.
    """
    layers = sum(name.startswith(keys_of(0)[:-1]) for name in shapes)
    heads, head_width = (size or 0 for size in (0, 0, *shapes.get(keys_of(0), ()))[-2:])
    reach, width = (size or 0 for size in (0, 0, *shapes.get("before", ()))[-2:])
    wanted: dict[str, tuple[int | None, ...]] = {
        "mel": (None, folder.spec.mel_bins, None),
        "places": (None, None),
        "unheard": (None, None),
        "before": (None, reach, width),
    }
    for i in range(max(1, layers)):
        for name in (keys_of(i), values_of(i)):
            wanted |= dict.fromkeys((name, f"new_{name}"), (None, None, heads, head_width))
    for name, shape in wanted.items():
        found = shapes.get(name)
        if found != shape:
            raise ModelError(
                f"{folder.path / STEP_FILE} is no step of an encoder that hears blocks: {name} is "
                f"{found or 'missing'} there, and {shape} is needed; {_CURE}"
            )
    return StateShape(layers, heads, head_width, width, reach)


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
            self._hear(self._scale(self._log_mel(context, (end - self._end) * _MEL_PER_FRAME)))
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
        wanted = (end - self._next) * _MEL_PER_FRAME
        mel = self._scale(self._log_mel(context, len(context) // HOP))[-wanted:]
        self._hear(np.full((wanted - len(mel), self._log_mel.bins), self._scale.silence, np.float32))
        self._hear(mel)

    def _hear(self, mel: Floats) -> None:
        self._mel = np.concatenate([self._mel, mel.T], axis=1)

    def _run(self, waiting: int) -> None:
        """Encode blocks of those that wait, which then are final, and what stands after them, which is not."""
        final = min(waiting, self._together) * self._blocks.block
        frames = final + self._blocks.right
        result = self._steps.run(self._state.step(self._mel[:, : _MEL_BEFORE + frames * _MEL_PER_FRAME]))
        self._state.keep(result)
        encoded = EncodedContext(result.characters, result.phonemes, result.frames, result.hidden)
        most = self._context_frames + max(0, final - self._blocks.right)
        self._kept = self._kept.joined(encoded.first(final)).last(most)
        self._provisional = encoded.after(final)
        self._mel = self._mel[:, final * _MEL_PER_FRAME :]
        self._next += final

    def _with_made_up_rest(self, end: int) -> EncodedContext:
        """The newest context where its end is no block's: what is missing is taken for silence."""
        block, right = self._blocks.block, self._blocks.right
        while self._provisional is None or self._next + right < end:
            waiting = max(1, -((self._next + right - end) // block))
            missing = _MEL_BEFORE + (waiting * block + right) * _MEL_PER_FRAME - self._mel.shape[1]
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
        frames = _MEL_BEFORE + (blocks.block + blocks.right) * _MEL_PER_FRAME
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
