import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streaming.encoder import OnnxFrameEncoder, OnnxSpanEncoder, OnnxTextEncoder
from streaming.errors import ModelError, SettingError
from streaming.features import LogMel
from streaming.index.background import unpack_background
from streaming.model_folder import ModelFolder
from streaming.spans import pool_spans
from streaming.tokens import tokeniser_of
from training.export.parts import Format
from training.export.retriever import ExportSettings, best_format, export_retriever
from training.export.tokenizer import tokenizer_file
from training.models.interfaces import RetrieverInputs, RetrieverOutputs
from training.models.retriever import DualEncoder
from training.models.text_towers import CharacterText

Contexts = list[NDArray[np.float32]]
Build = Callable[[str], DualEncoder]
TEXTS = ["kalman filter", "ion", "o'brien", "stochastic gradient descent " * 20 + "end", "a"]
SPAN = (7, 33)


def _settings(number_format: Format, largest: int = 2**30) -> ExportSettings:
    return ExportSettings(number_format, "tiny", 16_000, largest)


@torch.no_grad()
def _said_by(model: DualEncoder, context: NDArray[np.float32]) -> RetrieverOutputs:
    mel = torch.from_numpy(LogMel(model.mel_bins)(context))[None]
    inputs = RetrieverInputs(
        mel, torch.tensor([mel.shape[2] // 2]), torch.tensor([[SPAN]]), model.text.tokenise(TEXTS), None
    )
    return model(inputs)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["qwen2-lm", "encoder", "characters"])
@pytest.mark.parametrize(("number_format", "off"), [("fp32", 1e-4), ("fp16", 0.03), ("int8", 0.25)])
def test_folder_serves_what_the_model_computes(
    tmp_path: Path,
    retriever_of: Build,
    base: ModelFolder,
    contexts: Contexts,
    kind: str,
    number_format: Format,
    off: float,
) -> None:
    """Features, span, texts of any length: the served graphs give the model's own numbers, adapters merged."""
    model = retriever_of(kind)
    expected = _said_by(model, contexts[0])
    figures = export_retriever(model, tmp_path / "m", base, contexts, settings=_settings(number_format))
    folder = ModelFolder.load(tmp_path / "m")
    encoded = OnnxFrameEncoder(folder).encode(contexts[0])
    np.testing.assert_allclose(np.exp(encoded.characters), expected.characters[0].exp(), atol=off)
    np.testing.assert_allclose(np.exp(encoded.phonemes), expected.phonemes[0].exp(), atol=off)
    span = OnnxSpanEncoder(folder).embed(pool_spans(encoded.frames, np.array([SPAN], np.int32)))
    np.testing.assert_allclose(span, expected.spans[0], atol=off)
    np.testing.assert_allclose(OnnxTextEncoder(folder).embed(TEXTS), expected.terms, atol=off)
    alone = np.concatenate([OnnxTextEncoder(folder).embed([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, expected.terms, atol=off)
    assert figures[f"audio_{number_format}"]["largest"] < off
    again = _said_by(model, contexts[0])
    torch.testing.assert_close(again.spans, expected.spans, rtol=0, atol=0)
    torch.testing.assert_close(again.terms, expected.terms, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["qwen2-lm", "characters"])
def test_spec_says_what_serving_needs(
    tmp_path: Path, retriever_of: Build, base: ModelFolder, contexts: Contexts, kind: str
) -> None:
    """Sizes, tokens, provenance, figures and golden vectors are there, and the graphs give the golden vectors."""
    model = retriever_of(kind)
    figures = export_retriever(model, tmp_path / "m", base, contexts, settings=_settings("fp32"))
    folder = ModelFolder.load(tmp_path / "m")
    spec = folder.spec
    assert (spec.name, spec.dim, spec.mel_bins, spec.context_samples) == ("tiny", 32, model.mel_bins, 16_000)
    assert spec.text_tokens == ("letters" if isinstance(model.text, CharacterText) else "subwords")
    assert spec.feature_width == OnnxFrameEncoder(folder).encode(contexts[0]).frames.shape[1]
    assert all(value.strip() for entry in spec.provenance for value in entry.values())
    written = json.loads((tmp_path / "m" / "spec.json").read_text("utf-8"))
    assert written["parity"] == figures
    np.testing.assert_allclose(
        OnnxTextEncoder(folder).embed(["golden vector"])[0, :5], written["golden"]["text"], atol=1e-3
    )
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32) * 0.1
    frames = OnnxFrameEncoder(folder).encode(tone).frames
    np.testing.assert_allclose(frames[25, :5], written["golden"]["audio_frames"], atol=1e-3)
    background = unpack_background(folder.contents["background.npy"])
    np.testing.assert_allclose(
        background[1].characters, OnnxFrameEncoder(folder).encode(contexts[1]).characters, atol=0.05
    )
    assert folder.contents["g2p.onnx"] == base.contents["g2p.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_large_weights_lie_beside_their_graph(
    tmp_path: Path, retriever_of: Build, base: ModelFolder, contexts: Contexts
) -> None:
    """Beyond the limit the weights are in NAME.onnx.data, hashed, not held in memory, and served alike."""
    model = retriever_of("qwen2-lm")
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    export_retriever(model, inside, base, contexts, settings=_settings("fp16"))
    export_retriever(model, beside, base, contexts, settings=_settings("fp16", largest=1000))
    folder = ModelFolder.load(beside)
    assert folder.external == {"audio.onnx.data", "spans.onnx.data", "text.onnx.data"}
    assert not folder.external & folder.contents.keys()
    assert len(folder.contents["audio.onnx"]) < (inside / "audio.onnx").stat().st_size / 2
    found, expected = (OnnxFrameEncoder(ModelFolder.load(path)).encode(contexts[0]) for path in (beside, inside))
    np.testing.assert_array_equal(found.frames, expected.frames)
    weights = beside / "text.onnx.data"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"text\.onnx\.data is damaged"):
        ModelFolder.load(beside)


def test_qwen2_audio_is_written_at_16_bits(retriever_of: Build) -> None:
    """The large tower goes to a GPU in fp16, a small one to the CPU in int8."""
    assert best_format(retriever_of("qwen2-lm")) == "fp16"
    assert best_format(retriever_of("characters")) == "int8"


def test_graph_that_overflows_is_refused(
    tmp_path: Path, retriever_of: Build, base: ModelFolder, contexts: Contexts
) -> None:
    """Numbers beyond fp16 are told with the cure, and no folder is written."""
    model = retriever_of("characters")
    with torch.no_grad():
        model.audio.encoder.conv2.weight.mul_(1e8)
    with pytest.raises(ModelError, match=r"audio\.onnx gives numbers that are not finite at fp16; .* --precision fp32"):
        export_retriever(model, tmp_path / "m", base, contexts, settings=_settings("fp16"))
    assert list(tmp_path.iterdir()) == []


def test_background_must_fit(tmp_path: Path, retriever_of: Build, base: ModelFolder, contexts: Contexts) -> None:
    """Contexts of another length, none, and a context of half frames are told apart."""
    model = retriever_of("characters")
    with pytest.raises(SettingError, match=r"contexts of 48000 samples \(3 s\); given: 16000"):
        export_retriever(model, tmp_path / "m", base, contexts)
    with pytest.raises(SettingError, match="given: none"):
        export_retriever(model, tmp_path / "m", base, [])
    with pytest.raises(SettingError, match="16001 samples is not whole frames"):
        export_retriever(model, tmp_path / "m", base, contexts, settings=ExportSettings(context_samples=16_001))


def test_tokens_are_those_of_the_tower(
    tmp_path: Path, retriever_of: Build, base: ModelFolder, contexts: Contexts
) -> None:
    """The served tokenizer gives the tower's ids and masks, cut at the same place."""
    model = retriever_of("qwen2-lm")
    export_retriever(model, tmp_path / "m", base, contexts, settings=_settings("fp32"))
    texts = [*TEXTS, "term " * 400]
    found = tokeniser_of(ModelFolder.load(tmp_path / "m"))(texts)
    expected = model.text.tokenise(texts)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


def test_tokenizer_that_reads_otherwise_is_refused(retriever_of: Build) -> None:
    """A tower whose tokens do not come from the tokenizer alone is not written."""
    text = retriever_of("qwen2-lm").text
    assert not isinstance(text, CharacterText)

    class Backwards:
        dim = text.dim

        def tokenise(self, texts: list[str]) -> object:
            return text.tokenise([each[::-1] for each in texts])

    with pytest.raises(ModelError, match="reads 'ion' as"):
        tokenizer_file(Backwards(), text.tokenizer, ["ion"])  # type: ignore[arg-type]
