from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from streaming.encoding.block_shape import BlockShape
from training.export.activation_ranges import measure_ranges
from training.export.step_graph import StepGraph, export_step
from training.export.step_writer import is_centred
from training.models.block_encoder import BlockEncoder, BlockOutputs, block_mask
from training.models.heads import HeadConfig
from training.models.step_weights import step_weights

SHAPE = BlockShape(block=8, right=4, look_back=2)
BLOCKS = 6


@pytest.fixture(scope="module")
def encoder() -> BlockEncoder:
    """A tiny one with drawn weights."""
    torch.manual_seed(5)
    made = BlockEncoder(width=32, heads=4, layers=2, head=HeadConfig(frame_width=32, width=24))
    made.get_buffer("positions").normal_()
    for parameter in made.parameters():
        # Norms and biases that do something.
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return made.eval()


@pytest.fixture(scope="module")
def graphs(encoder: BlockEncoder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Its graphs in fp32 and in int8."""
    return export(encoder, tmp_path_factory.mktemp("step"))


def export(encoder: BlockEncoder, work: Path) -> tuple[Path, Path]:
    """With the ranges of the stretch that is heard."""
    ranges = measure_ranges(encoder, SHAPE, [one.numpy() for one in stretch()[0]], is_centred)
    return export_step(encoder, ranges, work)


def session(path: Path) -> onnxruntime.InferenceSession:
    """A graph, ready to run."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def stretch(n: int = 2) -> tuple[Tensor, Tensor]:
    """Log-mel of so many streams, and where in the position table they begin: the second one goes round it."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 80, 2 * BLOCKS * SHAPE.block, generator=generator).clamp(-1.5, 2), torch.tensor(
        [0, 1480, 8][:n]
    )


def stepwise(
    encoder: BlockEncoder, run: onnxruntime.InferenceSession | None, n: int = 2, shape: BlockShape = SHAPE
) -> list[list[np.ndarray]]:
    """What each step gives, in torch or as a graph."""
    mel, first = stretch(n)
    padded = torch.nn.functional.pad(mel, (2, 0))
    module = StepGraph(encoder).eval()
    state, found = module.example(shape, n), []
    frames = shape.block + shape.right
    for block in range(mel.shape[2] // 2 // shape.block - 1):
        begin = 2 * shape.block * block
        state["mel"] = padded[:, :, begin : begin + 2 * frames + 2]
        state["places"] = (first + shape.block * block + torch.arange(frames)[:, None]) % shape.positions
        with torch.no_grad():
            given = (
                [part.numpy() for part in module(*state.values())]
                if run is None
                else run.run(None, {name: value.numpy() for name, value in state.items()})
            )
        place = block % shape.look_back * shape.block
        where = slice(place, place + shape.block)
        for layer in range(2):
            for name, new in ((f"keys_{layer}", given[4 + 2 * layer]), (f"values_{layer}", given[5 + 2 * layer])):
                state[name][where] = torch.from_numpy(new[: shape.block])
        state["unheard"][:, where] = 0
        state["before"] = torch.from_numpy(given[3][:, shape.block - 4 : shape.block])
        found.append([given[0], given[1], given[2], given[3]])
    return found


def in_one_pass(encoder: BlockEncoder, shape: BlockShape) -> BlockOutputs:
    """What the pass that trains gives for the same stretch."""
    mel, first = stretch()
    with torch.no_grad():
        out: BlockOutputs = encoder(mel, first, shape, block_mask(mel.shape[2] // 2, shape))
    return out


@pytest.mark.parametrize("shape", [SHAPE, BlockShape(block=16, right=4, look_back=1), BlockShape(8, 8, 3)])
@pytest.mark.parametrize("kind", ["torch", "fp32"])
def test_steps_give_what_one_pass_over_all_blocks_gives(
    encoder: BlockEncoder, graphs: tuple[Path, Path], kind: str, shape: BlockShape
) -> None:
    """The masked pass that the encoder is trained with is the oracle; keys and values in 16 bits are the difference.

    One graph serves blocks of any length.
    """
    expected = in_one_pass(encoder, shape)
    steps = stepwise(encoder, None if kind == "torch" else session(graphs[0]), shape=shape)
    assert len(steps) > 1
    for block, found in enumerate(steps):
        for part, whole in zip(found[:3], (expected.characters, expected.phonemes, expected.features), strict=True):
            np.testing.assert_allclose(part, whole[:, block].numpy(), atol=4e-3)
        hidden = torch.cat([expected.hidden[:, block], expected.provisional[:, block]], dim=1)
        np.testing.assert_allclose(found[3], hidden.numpy(), atol=4e-3)


def test_a_frame_sees_its_block_what_came_before_and_its_right_context(encoder: BlockEncoder) -> None:
    """Change the log-mel of one frame: nothing that must not hear it changes, everything that may does."""
    mel, first = stretch()
    mask = block_mask(mel.shape[2] // 2, SHAPE)
    with torch.no_grad():
        before = encoder(mel, first, SHAPE, mask)
        # The sixth frame of block 3: right context of block 2 ends with its fourth.
        mel[:, :, 2 * (3 * SHAPE.block + 5)] += 1.0
        after = encoder(mel, first, SHAPE, mask)
    moved = [
        (getattr(before, name) - getattr(after, name)).abs().amax(dim=(0, 2, 3)) for name in ("hidden", "provisional")
    ]
    assert (moved[0] > 1e-4).tolist() == [False, False, False, True, True, True]
    assert (moved[1] > 1e-4).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("n", [2, 3])
def test_whoever_shares_a_batch_changes_nothing(encoder: BlockEncoder, graphs: tuple[Path, Path], n: int) -> None:
    """A stream in int8 beside others gets what it gets alone, to the last bit."""
    run = session(graphs[1])
    for together, alone in zip(stepwise(encoder, run, n), stepwise(encoder, run, 1), strict=True):
        for part, own in zip(together, alone, strict=True):
            np.testing.assert_array_equal(part[:1], own)


def test_int8_is_near(encoder: BlockEncoder, graphs: tuple[Path, Path]) -> None:
    """Probabilities differ by less than a hundredth on average, and they do differ."""
    pairs = list(zip(stepwise(encoder, session(graphs[0])), stepwise(encoder, session(graphs[1])), strict=True))
    differences = [np.abs(np.exp(full[head]) - np.exp(small[head])).mean() for full, small in pairs for head in (0, 1)]
    assert 0 < max(differences) < 0.01
    assert graphs[1].stat().st_size < graphs[0].stat().st_size


def test_silence_and_noise_give_numbers(encoder: BlockEncoder, graphs: tuple[Path, Path]) -> None:
    """Nothing heard at all, nothing kept, and values far beyond every range."""
    for factor in (0, 1e4):
        inputs = {name: value.numpy() for name, value in StepGraph(encoder).example(SHAPE).items()}
        inputs["mel"] = inputs["mel"] + np.float32(factor)
        for part in session(graphs[1]).run(None, inputs):
            assert np.isfinite(part).all()


def test_weights_are_read_back(encoder: BlockEncoder, graphs: tuple[Path, Path], tmp_path: Path) -> None:
    """All but the matrices exactly; those as their integers say, which stay the same when they are written again."""
    graph = onnx.load(str(graphs[1])).graph
    found = {name: torch.from_numpy(value.copy()) for name, value in step_weights(graph).items()}
    kept = encoder.state_dict()
    assert found.keys() == kept.keys()
    for name, value in found.items():
        if value.ndim == 1 or name == "positions":
            torch.testing.assert_close(value, kept[name], rtol=0, atol=0)
        else:
            torch.testing.assert_close(value, kept[name], rtol=0, atol=float(kept[name].abs().max()) / 250)
    again = BlockEncoder(width=32, heads=4, layers=2, head=HeadConfig(frame_width=32, width=24)).eval()
    again.load_state_dict(found)
    twice = step_weights(onnx.load(str(export(again, tmp_path)[1])).graph)
    for name, whole in twice.items():
        np.testing.assert_allclose(whole, found[name].numpy(), rtol=1e-6)
