"""The graph of a step of a block-causal encoder: new frames and what is kept of each stream in, new frames out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.encoder import open_session
from streaming.encoding.block_shape import MEL_BEFORE, MEL_PER_FRAME, OUTPUTS, STEP_FILE, keys_of, values_of
from streaming.encoding.block_state import BlockStep, StateShape, StepResult
from streaming.encoding.providers import Provider
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder

_CURE = "install TermCue again, or name another folder with --model"


class OnnxSteps:
    """The graph of a step; each result is the same whatever else is in the batch, to the last bit.

    Raises:
        ModelError: the folder has no such graph, ONNX Runtime refuses it, or it is no step's.
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
        frames = (inputs["mel"].shape[2] - MEL_BEFORE) // MEL_PER_FRAME
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
