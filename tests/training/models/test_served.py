import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from app.samples import recordings
from streaming.encoding.block_shape import STEP_FILE, BlockShape
from streaming.errors import ModelError, SettingError
from streaming.features import LogMel
from streaming.model_folder import BUNDLED, ModelFolder, render_spec, spec_digest
from streaming.spans import pool_spans
from training.corpus.examples import Example, TermSpan
from training.corpus.rows import write_examples
from training.export.graphs import run_graph
from training.export.parts import Format
from training.export.retriever import ExportSettings, export_retriever
from training.export.step_graph import StepGraph
from training.loop.assemble import run_training
from training.loop.checkpoint_files import load_retriever, read_checkpoint
from training.loop.config import ModelConfig, TrainConfig
from training.loop.finished import finished_training
from training.loop.plan import plan
from training.loop.presets import preset
from training.models.base_folder import pinned
from training.models.block_encoder import BlockEncoder
from training.models.interfaces import RetrieverInputs
from training.models.retriever import DualEncoder, build_retriever
from training.models.served import read_base
from training.models.step_weights import step_weights
from training.models.tiny import sinusoids, write_tiny_whisper

Floats = NDArray[np.float32]
CONTEXT = 48_000
SPANS = np.array([(10, 40), (50, 90), (0, 150)], np.int32)
TEXTS = ("kalman filter", "stochastic gradient descent", "ion", "a")
FROM_BUNDLED = ModelConfig("whisper", "bundled", "characters", unfreeze_layers=2)


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    """The model that TermCue brings."""
    return ModelFolder.load(BUNDLED)


@pytest.fixture(scope="module")
def rebuilt() -> DualEncoder:
    """The bundled model read back."""
    return build_retriever(FROM_BUNDLED).eval()


@pytest.fixture(scope="module")
def contexts() -> list[Floats]:
    """Three seconds of each bundled recording that is as long."""
    heard = [soundfile.read(recording.path, dtype="float32")[0][8_000:][:CONTEXT] for recording in recordings()]
    return [context for context in heard if len(context) == CONTEXT]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> DualEncoder:
    """A small retriever whose weights are known."""
    torch.manual_seed(5)
    folder = write_tiny_whisper(tmp_path_factory.mktemp("whisper"))
    return build_retriever(ModelConfig("whisper", str(folder), "characters", dim=32, offline=True))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny: DualEncoder) -> Callable[[Format], Path]:
    """Model folders of the small retriever, one of each number format."""
    base, made = ModelFolder.load(BUNDLED), tmp_path_factory.mktemp("served")

    def folder(numbers: Format) -> Path:
        if not (made / numbers).exists():
            noise = [np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.1]
            export_retriever(tiny, made / numbers, base, noise, settings=ExportSettings(numbers, "small", 16_000))
        return made / numbers

    return folder


def rewritten(source: Path, target: Path, contents: dict[str, bytes | None], **spec: object) -> Path:
    """A copy of a model folder, whole by its hashes, with other files and other values in its spec."""
    target.mkdir()
    raw = json.loads((source / "spec.json").read_text("utf-8")) | spec
    for name in list(raw["sha256"]):
        content = contents[name] if name in contents else (source / name).read_bytes()
        if content is None:
            del raw["sha256"][name]
            continue
        raw["sha256"][name] = hashlib.sha256(content).hexdigest()
        (target / name).write_bytes(content)
    raw["spec_sha256"] = spec_digest(raw)
    (target / "spec.json").write_bytes(render_spec(raw))
    return target


def without_rounding(content: bytes) -> bytes:
    """A served graph with its int8 weights whose activations are not rounded: integer products become float ones.

    Both kinds of them: one scale for all activations, and one for each row.
    """
    model = onnx.load_model_from_string(content)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "DynamicQuantizeLinear":
            model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), node.output[1]))
            model.graph.node.insert(0, helper.make_node("Identity", list(node.input), [node.output[0]]))
            model.graph.node.remove(node)
        elif node.op_type == "MatMulInteger":
            weight = arrays[node.input[1]].astype(np.float32) - arrays[node.input[3]].astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(weight, f"{node.name}_float"))
            node.op_type, node.input[:] = "MatMul", [node.input[0], f"{node.name}_float"]
        elif node.op_type == "QuantizeLinear":
            # Divided by its scale, and not rounded; the product is multiplied by it again.
            rows, scale, _ = node.input
            node.op_type, node.input[:] = "Div", [rows, scale.removesuffix("_each") + "_scale"]
            del node.attribute[:]
        elif node.op_type == "MatMulIntegerToFloat":
            name = f"{node.input[1]}_float"
            weight = arrays[node.input[1]].astype(np.float32) * arrays[node.input[3]]
            model.graph.initializer.append(numpy_helper.from_array(weight, name))
            node.op_type, node.domain, node.input[:] = "MatMul", "", [node.input[0], name]
    return model.SerializeToString()  # type: ignore[no-any-return]


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
    in_steps = StepGraph(both_ways, BlockShape()).eval()
    tokens = rebuilt.text.tokenise(TEXTS)
    agreed = []
    for context in contexts:
        mel = torch.from_numpy(LogMel()(context))[None]
        given = in_steps.example() | {"mel": mel[:, :, 80:146]}
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


def changed(content: bytes, old: str, new: NDArray[np.float32] | None) -> bytes:
    """A graph with another initialiser in the place of one, or without it."""
    model = onnx.load_model_from_string(content)
    kept = [tensor for tensor in model.graph.initializer if tensor.name != old]
    assert len(kept) < len(model.graph.initializer)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept if new is None else [*kept, numpy_helper.from_array(new, old)])
    return model.SerializeToString()  # type: ignore[no-any-return]


_UNFIT: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "a graph that is missing": ("spans.onnx", lambda _: None, "it holds no spans.onnx"),
    "a weight that is missing": (
        "audio.onnx",
        lambda content: changed(content, "head.inner.bias", None),
        "it holds no alignment.inner.bias",
    ),
    "a weight of another shape": (
        "spans.onnx",
        lambda content: changed(content, "layers.3.bias", np.zeros(7, np.float32)),
        r"its spans.layers.3.bias is \[7\] and not \[32\]",
    ),
    "no number": (
        "spans.onnx",
        lambda content: changed(content, "layers.3.bias", np.full(32, np.nan, np.float32)),
        "its spans.layers.3.bias holds numbers that are not finite",
    ),
}


def with_more(content: bytes) -> bytes:
    """A graph with a weight that no retriever has."""
    model = onnx.load_model_from_string(content)
    model.graph.initializer.append(helper.make_tensor("layers.9.bias", TensorProto.FLOAT, [1], [0.0]))
    return model.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize("fault", _UNFIT)
def test_an_unfit_folder_is_refused(exported: Callable[[Format], Path], tmp_path: Path, fault: str) -> None:
    """A folder that is whole but of another kind: the sentence names the parameter and what to do."""
    name, change, message = _UNFIT[fault]
    folder = rewritten(exported("fp32"), tmp_path / "m", {name: change((exported("fp32") / name).read_bytes())})
    with pytest.raises(ModelError, match=f"cannot start from the model folder .*{message}; name `bundled`"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


def test_weights_without_a_place_are_refused(exported: Callable[[Format], Path], tmp_path: Path) -> None:
    """Nothing of the folder is left out in silence; a text tower of subwords is not that of letters."""
    spans = with_more((exported("fp32") / "spans.onnx").read_bytes())
    folder = rewritten(exported("fp32"), tmp_path / "more", {"spans.onnx": spans})
    with pytest.raises(ModelError, match=r"spans.layers.9.bias has no place"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))
    folder = rewritten(exported("fp32"), tmp_path / "subwords", {}, text_tokens="subwords")
    with pytest.raises(ModelError, match="its text tower reads subwords"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


def test_a_damaged_folder_is_refused(exported: Callable[[Format], Path], tmp_path: Path) -> None:
    """A changed byte is found by its hash before anything is read."""
    folder = rewritten(exported("int8"), tmp_path / "m", {})
    content = bytearray((folder / "audio.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "audio.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"audio.onnx is damaged"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


@pytest.mark.parametrize(
    "config", [ModelConfig(model_name="bundled"), ModelConfig("whisper", "bundled", "encoder", "some/bert")]
)
def test_other_towers_are_refused(config: ModelConfig) -> None:
    """A model folder has the towers that it has; the sentence names the options."""
    with pytest.raises(SettingError, match="add --audio-tower whisper --text-tower characters"):
        build_retriever(config)


def test_settings_are_pinned_to_the_folder(bundled: ModelFolder) -> None:
    """Widths and encoder id are the folder's; settings that start from something else stay as they are."""
    found = pinned(FROM_BUNDLED)
    assert (found.dim, found.head_width, found.base_id) == (256, 384, bundled.encoder_id)
    assert pinned(ModelConfig()) == ModelConfig()


@pytest.fixture
def adapting(tmp_path: Path, exported: Callable[[Format], Path]) -> TrainConfig:
    """The preset `adapt` for two steps on noise, from a copy of the small folder."""
    rng, rows = np.random.default_rng(3), []
    for i, term in enumerate(("kalman filter", "lattice", "ion", "")):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, rng.standard_normal(24_000) * 0.1, 16_000)
        spans = (TermSpan(term, 3_200, 14_400),) if term else ()
        rows.append(Example(f"{i}", path, 0, 24_000, term or "nothing", spans, (), f"{i}", f"{i}"))
    write_examples(tmp_path / "rows.jsonl", rows)
    adapt = preset("adapt")
    return replace(
        adapt,
        model=replace(
            adapt.model, model_name=str(rewritten(exported("int8"), tmp_path / "base", {})), unfreeze_layers=1
        ),
        data=replace(adapt.data, train=(tmp_path / "rows.jsonl",), no_term_share=0.5),
        run=replace(
            adapt.run,
            batch_size=4,
            micro_batch=2,
            epochs=2,
            save_path=tmp_path / "out" / "a_full.pt",
            logs=tmp_path / "logs",
        ),
    )


def test_an_adapted_model_is_exported_and_adapted_again(
    adapting: TrainConfig, tmp_path: Path, bundled: ModelFolder
) -> None:
    """Two steps change what learns and nothing else; the folder of the result names its base and is a base itself."""
    outcome = run_training(adapting)
    assert outcome.steps == 2
    kept, base = read_checkpoint(outcome.checkpoint), ModelFolder.load(Path(adapting.model.model_name))
    assert kept.config.model == pinned(adapting.model)
    assert kept.config.model.base_id == base.encoder_id
    model = load_retriever(outcome.checkpoint)
    before = dict(build_retriever(adapting.model).named_parameters())
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved <= kept.weights.keys()
    assert {"spans.layers.1.weight", "text.tower.out.weight", "audio.encoder.layers.1.fc1.weight"} <= moved
    noise = [np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.1]
    export_retriever(model, tmp_path / "mine", bundled, noise, settings=ExportSettings("fp32", "mine", 16_000))
    again = build_retriever(replace(adapting.model, model_name=str(tmp_path / "mine")))
    assert all(
        torch.equal(p, dict(again.named_parameters())[n]) for n, p in model.named_parameters() if n != "log_scale"
    )
    provenance = ModelFolder.load(tmp_path / "mine").spec.provenance
    assert any(base.encoder_id in part["source"] for part in provenance)
    assert finished_training(adapting) is not None


def test_a_checkpoint_wants_the_folder_that_it_started_from(
    adapting: TrainConfig, tmp_path: Path, exported: Callable[[Format], Path]
) -> None:
    """Another model in its place, or none, is told of: the trained weights would stand on foreign ones."""
    outcome = run_training(adapting)
    base = Path(adapting.model.model_name)
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="there is no model folder"):
        load_retriever(outcome.checkpoint)
    rewritten(exported("fp32"), base, {})
    with pytest.raises(ModelError, match=r"started from the model small-.* now holds small-.*; put that model back"):
        load_retriever(outcome.checkpoint)
    with pytest.raises(SettingError, match=r"other settings \(model.base_id"):
        finished_training(adapting)
