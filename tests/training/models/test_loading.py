import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from streaming.errors import ModelError
from training.models.loading import load_encoder_lm, load_qwen2_audio, load_tokenizer
from training.models.qwen_audio import load_audio_tower_only, tower_of
from training.models.tiny import write_tiny_qwen2_audio
from training.models.whisper_tower import load_whisper_tower


@pytest.fixture
def sharded(tmp_path: Path, qwen_folder: Path) -> Path:
    """The tiny model in small shards, as the hub holds large ones."""
    load_qwen2_audio(str(qwen_folder)).save_pretrained(tmp_path, max_shard_size="100KB")
    return tmp_path


def test_only_the_audio_tower_is_read(sharded: Path, qwen_folder: Path) -> None:
    """With every shard removed that holds none of it, the tower loads, and is the one of the whole model."""
    index = json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {shard for name, shard in index.items() if "audio_tower." in name}
    others = set(index.values()) - needed
    assert others
    for shard in others:
        (sharded / shard).unlink()
    alone = load_audio_tower_only(str(sharded)).eval()
    whole = tower_of(load_qwen2_audio(str(qwen_folder))).eval()
    mel = torch.randn(1, 128, 60)
    with torch.no_grad():
        torch.testing.assert_close(alone(mel), whole(mel))
    assert not any(parameter.is_meta for parameter in alone.parameters())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_come_in_the_precision_asked_for(qwen_folder: Path, precision: str) -> None:
    """The part and the whole are cast while they load."""
    expected = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    part = load_audio_tower_only(str(qwen_folder), precision=precision)  # type: ignore[arg-type]
    whole = load_qwen2_audio(str(qwen_folder), precision=precision)  # type: ignore[arg-type]
    assert {p.dtype for p in part.parameters()} == {p.dtype for p in whole.parameters()} == {expected}


def test_an_unknown_hub_id_offline_names_all_that_matters() -> None:
    """Hub id, cache folder, the offline flag and the cure stand in one sentence."""
    for load in (load_qwen2_audio, load_audio_tower_only, load_tokenizer, load_encoder_lm, load_whisper_tower):
        with pytest.raises(ModelError) as caught:
            load("nobody/no-such-model", offline=True)
        sentence = str(caught.value)
        assert "'nobody/no-such-model'" in sentence
        assert f"offline: yes, cache {constants.HF_HUB_CACHE}" in sentence
        assert "run once without --offline" in sentence


def test_a_cached_model_loads_offline_without_the_network(
    tmp_path: Path, qwen_folder: Path, lm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the offline flag a hub id is read from the cache, and no name is looked up for it."""
    for name, folder in (("tiny/qwen", qwen_folder), ("tiny/bert", lm_folder)):
        cached = tmp_path / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, cached / "snapshots" / ("0" * 40))
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text("0" * 40)

    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    assert load_audio_tower_only("tiny/qwen", offline=True).mel_bins == 128
    assert load_qwen2_audio("tiny/qwen", offline=True).config.model_type == "qwen2_audio"
    assert load_tokenizer("tiny/qwen", offline=True)("signal")["input_ids"]
    assert load_encoder_lm("tiny/bert", offline=True).config.model_type == "bert"


def test_a_broken_folder_is_told(tmp_path: Path, qwen_folder: Path) -> None:
    """A cut weights file, a missing one and a missing weight are each one sentence about the folder."""
    folder = tmp_path / "broken"
    shutil.copytree(qwen_folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    for load in (load_qwen2_audio, load_audio_tower_only):
        with pytest.raises(ModelError, match="make the folder whole"):
            load(str(folder))
    weights.unlink()
    with pytest.raises(ModelError, match=r"no file model\.safetensors; make the folder whole"):
        load_audio_tower_only(str(folder))


def test_a_missing_weight_is_told(sharded: Path) -> None:
    """An index that leaves a weight of the tower out is refused; no weight is ever drawn in its place."""
    index = sharded / "model.safetensors.index.json"
    listing = json.loads(index.read_text())
    gone = next(name for name in listing["weight_map"] if name.endswith("audio_tower.conv1.weight"))
    shard = listing["weight_map"][gone]
    listing["weight_map"] = {n: s for n, s in listing["weight_map"].items() if s != shard}
    index.write_text(json.dumps(listing))
    with pytest.raises(ModelError, match="does not load"):
        load_audio_tower_only(str(sharded))
    with pytest.raises(ModelError, match="weights are missing"):
        load_qwen2_audio(str(sharded))


def test_whisper_reads_its_encoder_only(whisper_folder: Path) -> None:
    """The attention of the decoder to the encoder is no part of it."""
    tower = load_whisper_tower(str(whisper_folder))
    assert (tower.mel_bins, tower.frame_width, len(tower.encoder.layers)) == (80, 32, 2)


def test_tiny_folder_has_the_processor_of_the_large_one(tmp_path: Path) -> None:
    """Processor and chat tokens load, and words that it learnt from have few tokens."""
    from transformers import AutoProcessor

    folder = write_tiny_qwen2_audio(tmp_path, words=["quicksort"])
    processor = AutoProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
    assert processor.tokenizer("quicksort")["input_ids"] == processor.tokenizer("quicksort").input_ids
    assert len(processor.tokenizer(" quicksort")["input_ids"]) <= 2
    assert processor.audio_token_id == json.loads((folder / "config.json").read_text())["audio_token_index"]
    assert len(processor.tokenizer("<|im_start|><|AUDIO|>")["input_ids"]) == 2
