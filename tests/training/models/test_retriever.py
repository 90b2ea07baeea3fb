from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from transformers import Qwen2AudioForConditionalGeneration

from streaming.errors import ModelError, SettingError
from streaming.spans import pool_spans
from training.loop.config import LoraSettings, ModelConfig
from training.models.interfaces import Retriever, RetrieverInputs
from training.models.retriever import DualEncoder, build_retriever
from training.models.text_towers import Qwen2LmText
from training.models.tiny import write_tiny_qwen2_audio

FRAMES = torch.tensor([60, 41])
SPANS = torch.tensor([[[0, 10], [5, 60], [20, 33]], [[3, 9], [0, 41], [0, 1]]])


@pytest.fixture(params=["qwen2-lm", "qwen2-audio + characters", "whisper + encoder", "random whisper"])
def config(request: pytest.FixtureRequest, qwen_folder: Path, whisper_folder: Path, lm_folder: Path) -> ModelConfig:
    """Every way to put a retriever together."""
    return {
        "qwen2-lm": ModelConfig(model_name=str(qwen_folder), dim=16),
        "qwen2-audio + characters": ModelConfig(model_name=str(qwen_folder), text_tower="characters", dim=16),
        "whisper + encoder": ModelConfig("whisper", str(whisper_folder), "encoder", str(lm_folder), dim=16),
        "random whisper": ModelConfig("whisper", "", "characters", dim=16),
    }[request.param]


def inputs_for(model: DualEncoder) -> RetrieverInputs:
    """Noise and texts for both towers."""
    mel = torch.randn(2, model.mel_bins, 120, generator=torch.Generator().manual_seed(1))
    terms = model.text.tokenise(["kalman filter", "signal", "a"])
    return RetrieverInputs(mel, FRAMES, SPANS, terms, model.text.tokenise(["the filter", "model"]))


def test_one_call_gives_all_that_the_losses_see(config: ModelConfig) -> None:
    """Shapes and types are those of the interface, vectors have length 1, and every learning weight has a gradient."""
    model = build_retriever(config)
    outputs = model(inputs_for(model))
    assert outputs.texts is not None
    assert (outputs.spans.shape, outputs.chunks.shape) == ((2, 3, 16), (2, 16))
    assert (outputs.terms.shape, outputs.texts.shape) == ((3, 16), (2, 16))
    assert (outputs.characters.shape, outputs.phonemes.shape) == ((2, 60, 29), (2, 60, 41))
    for vectors in (outputs.spans, outputs.chunks, outputs.terms, outputs.texts):
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(vectors.shape[:-1]))
    total = (outputs.spans.sum(1) @ outputs.terms.T).sum() + outputs.characters.sum() + outputs.phonemes.sum()
    (total * model.log_scale).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_a_row_does_not_see_the_others(config: ModelConfig) -> None:
    """The shorter row has the same vectors and log-probabilities alone, cut to its own length."""
    model = build_retriever(config).eval()
    inputs = inputs_for(model)
    alone = replace(inputs.part(slice(1, 2), slice(None)), mel=inputs.mel[1:, :, :82])
    with torch.no_grad():
        together, single = model(inputs), model(alone)
    for name in ("spans", "chunks"):
        torch.testing.assert_close(getattr(together, name)[1], getattr(single, name)[0], atol=1e-5, rtol=1e-4)
    for name in ("characters", "phonemes"):
        torch.testing.assert_close(getattr(together, name)[1, :41], getattr(single, name)[0], atol=1e-4, rtol=1e-4)


def test_spans_are_what_serving_makes_of_the_features(config: ModelConfig) -> None:
    """Frames of one row through the head, pooled by the numpy code that serves, through the span tower."""
    model = build_retriever(config).eval()
    inputs = inputs_for(model)
    with torch.no_grad():
        _, _, features = model.alignment(model.audio(inputs.mel[1:, :, :82]))
        pooled = pool_spans(features[0].numpy(), np.array([[3, 9], [0, 41]], np.int32))
        expected = model.spans(torch.from_numpy(pooled))
        found = model(inputs)
    torch.testing.assert_close(found.spans[1, :2], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.chunks[1], expected[1], atol=1e-5, rtol=1e-4)


def test_retriever_is_the_port(config: ModelConfig) -> None:
    """It can stand where the loop and the evaluation want a `Retriever`."""
    retriever: Retriever = build_retriever(config)
    assert (retriever.dim, retriever.text.dim) == (16, 16)
    assert retriever.mel_bins == (80 if config.audio_tower == "whisper" else 128)


def test_transcripts_may_be_left_out(config: ModelConfig) -> None:
    """Without transcripts there are no vectors of them."""
    model = build_retriever(config)
    assert model(replace(inputs_for(model), texts=None)).texts is None


def test_groups_part_pretrained_weights_from_new_ones(qwen_folder: Path) -> None:
    """Adapters, heads, projections and the temperature are new; unfrozen layers are towers; frozen ones are in none."""
    config = ModelConfig(model_name=str(qwen_folder), dim=16, unfreeze_layers=1, lora=LoraSettings(rank=2))
    model = build_retriever(config)
    groups = {kind: {id(p) for p in some} for kind, some in model.parameter_groups().items()}
    names = {kind: {n for n, p in model.named_parameters() if id(p) in ids} for kind, ids in groups.items()}
    assert names["towers"] | names["new"] == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(".layers.1." in name and "lora_" not in name for name in names["towers"])
    assert {"log_scale", "text.projection.weight", "alignment.inner.weight"} < names["new"]
    assert any("lora_" in name for name in names["new"])


def test_a_tower_from_nothing_learns_whole() -> None:
    """A small Whisper with random weights has no pretrained part, so `unfreeze_layers` does not freeze it."""
    model = build_retriever(ModelConfig("whisper", "", "characters", dim=16, unfreeze_layers=0))
    assert model.parameter_groups()["towers"] == []
    learning = {name for name, p in model.audio.named_parameters() if p.requires_grad}
    assert "encoder.layers.0.fc1.weight" in learning


def test_the_large_model_is_loaded_once(qwen_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both towers stand on one instance: `from_pretrained` runs once, and the weights are the very same memory."""
    loaded: list[tuple[Qwen2AudioForConditionalGeneration, object]] = []
    real = Qwen2AudioForConditionalGeneration.from_pretrained

    def counted(*args: Any, **settings: Any) -> object:  # noqa: ANN401 - passed on as they are
        loaded.append(cast("tuple[Qwen2AudioForConditionalGeneration, object]", real(*args, **settings)))
        return loaded[-1]

    monkeypatch.setattr(Qwen2AudioForConditionalGeneration, "from_pretrained", counted)
    model = build_retriever(ModelConfig(model_name=str(qwen_folder), dim=16))
    ((whole, _),) = loaded
    assert isinstance(model.text, Qwen2LmText)
    for ours, theirs in (
        (model.audio.encoder, whole.model.audio_tower),
        (model.text.model, whole.model.language_model),
    ):
        pointers = {name: p.untyped_storage().data_ptr() for name, p in theirs.named_parameters()}
        assert pointers == {name: p.untyped_storage().data_ptr() for name, p in ours.named_parameters()}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_stays_close(qwen_folder: Path, precision: str) -> None:
    """Frozen weights are in 16 bits and trained ones in fp32; cosines move by less than 0.02."""
    config = ModelConfig(model_name=str(qwen_folder), dim=16, unfreeze_layers=1)
    full = build_retriever(config).eval()
    reduced = build_retriever(config, precision).eval()  # type: ignore[arg-type]
    reduced.load_state_dict(full.state_dict())
    types = {(p.requires_grad, p.dtype) for p in reduced.parameters()}
    assert types == {(True, torch.float32), (False, {"bf16": torch.bfloat16, "fp16": torch.float16}[precision])}
    with torch.no_grad():
        expected, found = full(inputs_for(full)), reduced(inputs_for(reduced))
    assert found.spans.dtype == found.terms.dtype == torch.float32
    for name in ("spans", "chunks", "terms"):
        cosines = (getattr(expected, name) * getattr(found, name)).sum(-1)
        assert float(cosines.min()) > 0.98


def test_the_language_model_of_qwen_needs_its_audio_tower(whisper_folder: Path) -> None:
    """Whisper has no language model of Qwen2-Audio beside it."""
    with pytest.raises(SettingError, match="take --text-tower characters or encoder"):
        build_retriever(ModelConfig("whisper", str(whisper_folder), "qwen2-lm"))


def test_an_encoder_needs_its_name(qwen_folder: Path) -> None:
    """The text tower `encoder` says which."""
    with pytest.raises(SettingError, match="--text-model"):
        build_retriever(ModelConfig(model_name=str(qwen_folder), text_tower="encoder"))


def test_another_architecture_is_refused(whisper_folder: Path, qwen_folder: Path) -> None:
    """A Whisper folder is no Qwen2-Audio, and the other way round; the option that takes it is named."""
    with pytest.raises(ModelError, match=r"of type 'whisper'; give one of type 'qwen2_audio' .* --audio-tower whisper"):
        build_retriever(ModelConfig(model_name=str(whisper_folder)))
    with pytest.raises(ModelError, match="give one of type 'whisper' with --model-name, or --audio-tower qwen2-audio"):
        build_retriever(ModelConfig("whisper", str(qwen_folder), "characters"))


def test_tiny_models_are_drawn_from_their_seed(tmp_path: Path) -> None:
    """The same seed writes the same weights, another one other weights."""
    files = [
        (write_tiny_qwen2_audio(tmp_path / name, seed=seed) / "model.safetensors").read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert files[0] == files[1] != files[2]
