from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from app.samples import recordings
from streaming.encoding.block_shape import STEP_FILE, BlockShape
from streaming.features import LogMel
from streaming.model_folder import ModelFolder
from streaming.spans import pool_spans
from tests.training.models.served_folders import FROM_BUNDLED, without_rounding
from training.export.graphs import run_graph
from training.export.parts import Format
from training.export.step_graph import StepGraph
from training.loop.config import ModelConfig
from training.loop.plan import plan
from training.loop.presets import preset
from training.models.block_encoder import BlockEncoder
from training.models.interfaces import RetrieverInputs
from training.models.retriever import DualEncoder, build_retriever
from training.models.served import read_base
from training.models.step_weights import step_weights
from training.models.tiny import sinusoids

Floats = NDArray[np.float32]
CONTEXT = 48_000
SPANS = np.array([(10, 40), (50, 90), (0, 150)], np.int32)
TEXTS = ("kalman filter", "stochastic gradient descent", "ion", "a")


@pytest.fixture(scope="module")
def rebuilt() -> DualEncoder:
    """The bundled model read back."""
    return build_retriever(FROM_BUNDLED).eval()


@pytest.fixture(scope="module")
def contexts() -> list[Floats]:
    """Three seconds of each bundled recording that is as long."""
    heard = [soundfile.read(recording.path, dtype="float32")[0][8_000:][:CONTEXT] for recording in recordings()]
    return [context for context in heard if len(context) == CONTEXT]


def graph_file(folder: ModelFolder, name: str, place: Path, rounded: bool) -> Path:
    """A graph of a folder, as it is served or without the rounding of activations."""
    content = folder.contents[name] if rounded else without_rounding(folder.contents[name])
    (place / name).write_bytes(content)
    return place / name


@pytest.mark.parametrize(("rounded", "same"), [(False, 0.99), (True, 0.96)])
@torch.no_grad()
def test_the_bundled_model_is_read_back(
    bundled: ModelFolder, rebuilt: DualEncoder, contexts: list[Floats], tmp_path: Path, rounded: bool, same: float
) -> None:
    """Torch gives the best symbols, spans and texts of the served graphs, whose weights are int8 in both.

    Serving rounds activations too, which costs some of the best symbols; without that the graphs say the same. Between
    the step that is served and the retriever, which hears whole contexts, stands the encoder that hears both ways.
    """
    files = (graph_file(bundled, name, tmp_path, rounded) for name in (STEP_FILE, "spans.onnx", "text.onnx"))
    step, spans, text = files
    both_ways = BlockEncoder()
    weights = step_weights(onnx.load_model_from_string(bundled.contents[STEP_FILE]).graph)
    both_ways.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    both_ways.eval()
    in_steps = StepGraph(both_ways).eval()
    tokens = rebuilt.text.tokenise(TEXTS)
    agreed = []
    for context in contexts:
        mel = torch.from_numpy(LogMel()(context))[None]
        given = in_steps.example(BlockShape()) | {"mel": mel[:, :, 80:146]}
        found = in_steps(*given.values())[:2]
        for served, one in zip(run_graph(step, {name: v.numpy() for name, v in given.items()})[:2], found, strict=True):
            agreed.append(float((served.argmax(-1) == one.numpy().argmax(-1)).mean()))
        inputs = RetrieverInputs(mel, torch.tensor([150]), torch.from_numpy(SPANS).long()[None], tokens, None)
        outputs = rebuilt(inputs)
        _, characters, phonemes, features = both_ways.whole(mel)
        torch.testing.assert_close(outputs.characters, characters, atol=1e-3, rtol=0)
        torch.testing.assert_close(outputs.phonemes, phonemes, atol=1e-3, rtol=0)
        vectors = run_graph(spans, {"pooled": pool_spans(features[0].numpy(), SPANS)})[0]
        assert (vectors * outputs.spans[0].numpy()).sum(-1).min() > 0.99
        vectors = run_graph(text, {"letters": tokens["letters"].numpy()})[0]
        assert (vectors * outputs.terms.numpy()).sum(-1).min() > 0.99
    assert len(agreed) >= 6
    assert np.mean(agreed) > same


def test_every_parameter_is_read_once(bundled: ModelFolder, rebuilt: DualEncoder) -> None:
    """All but the temperature come from the folder, the positions are Whisper's, and the tower learns more slowly."""
    weights = read_base(bundled).weights
    named = dict(rebuilt.named_parameters())
    assert weights.keys() == named.keys() - {"log_scale"}
    assert sum(value.size for value in weights.values()) == sum(p.numel() for p in named.values()) - 1
    positions = named["audio.encoder.embed_positions.weight"]
    torch.testing.assert_close(positions.data, sinusoids(1500, 512), atol=1e-3, rtol=0)
    groups = {name: {id(p) for p in found} for name, found in rebuilt.parameter_groups().items()}
    learning = {name for name, p in named.items() if id(p) in groups["towers"]}
    assert learning == {
        name for name in named if name.startswith(("audio.encoder.layers.4.", "audio.encoder.layers.5."))
    }
    assert groups["new"] == {id(p) for name, p in named.items() if not name.startswith("audio.")}


@pytest.mark.parametrize(("numbers", "off"), [("fp32", 0.0), ("fp16", 0.001), ("int8", 0.005)])
def test_known_weights_come_back(
    tiny: DualEncoder, exported: Callable[[Format], Path], numbers: Format, off: float
) -> None:
    """What `termcue export` writes is read back to the last bit, or to the steps of its number format."""
    found = build_retriever(ModelConfig("whisper", str(exported(numbers)), "characters"))
    expected = dict(tiny.named_parameters())
    assert len({parameter.data_ptr() for parameter in found.parameters()}) == len(expected)
    for name, parameter in found.named_parameters():
        largest = float(expected[name].detach().abs().max())
        torch.testing.assert_close(parameter.data, expected[name].data, atol=off * largest, rtol=0, msg=name)
    assert found.audio.encoder.config.encoder_attention_heads == 2


def test_the_plan_counts_the_weights_of_the_folder(rebuilt: DualEncoder) -> None:
    """The figures of `termcue doctor --plan adapt` are those of the model that is trained."""
    planned = plan(preset("adapt"))
    assert planned.parameters == sum(p.numel() for p in rebuilt.parameters())
    assert planned.trained == sum(p.numel() for p in rebuilt.parameters() if p.requires_grad)
