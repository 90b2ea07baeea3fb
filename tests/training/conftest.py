import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.corpus.manifest import Utterance, Word

torch.set_num_threads(1)

Speak = Callable[..., Utterance]


@pytest.fixture
def speak(tmp_path: Path) -> Speak:
    """Writes a recording of noise with the words given as (text, start, end) in seconds; returns its row."""

    def write(
        name: str, words: list[tuple[str, float, float]], seconds: float, speaker: str = "s", collection: str = "c"
    ) -> Utterance:
        path = tmp_path / f"{name}.wav"
        rng = np.random.default_rng(sum(map(ord, name)))
        soundfile.write(path, rng.uniform(-0.3, 0.3, round(seconds * 16_000)), 16_000, subtype="PCM_16")
        timed = tuple(Word(w, round(a * 16_000), round(b * 16_000)) for w, a, b in words)
        return Utterance(name, path, speaker, collection, "train", seconds, timed)

    return write


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WhisperEncoder]:
    """A folder with a random Whisper encoder of 2 layers, 32 wide, and transformers' own module over its weights."""
    torch.manual_seed(11)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        vocab_size=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    encoder = WhisperEncoder(config)
    encoder.train(False)
    folder = tmp_path_factory.mktemp("whisper")
    (folder / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    weights = {f"model.encoder.{name}": w.contiguous() for name, w in encoder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    return folder, encoder


@pytest.fixture(scope="session")
def whisper_tokenizer() -> dict[str, Any]:
    """A `tokenizer.json` as Whisper's: bytes, merges of small and of other letters, and what stands around a text."""
    merges = "Ġ t|Ġ d|o g|Ġd og|Ġ c|a t|Ġc at|Ġ D|ĠD og|1 2|e r|Ġt er|u n|' s|s un|Ġ sun|i l|il k|r o|ro pe|p e|ro pe"
    vocabulary = {name: number for number, name in enumerate(sorted(ByteLevel.alphabet()))}
    for pair in merges.split("|"):
        vocabulary.setdefault(pair.replace(" ", ""), len(vocabulary))
    special = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": len(vocabulary) + i, "content": name} | flags for i, name in enumerate(special)],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "unk_token": None, "vocab": vocabulary, "merges": merges.split("|")},
    }


@pytest.fixture(scope="session")
def whole_whisper(
    tiny_whisper: tuple[Path, WhisperEncoder],
    whisper_tokenizer: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of the tiny encoder with a random decoder of one layer and its tokenizer beside it."""
    settings = json.loads((tiny_whisper[0] / "config.json").read_text("utf-8"))
    settings["vocab_size"] = len(whisper_tokenizer["model"]["vocab"]) + len(whisper_tokenizer["added_tokens"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        decoder = WhisperForConditionalGeneration(WhisperConfig(**settings)).model.decoder
    folder = tmp_path_factory.mktemp("whole-whisper")
    (folder / "config.json").write_text(json.dumps(settings), "utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(whisper_tokenizer), "utf-8")
    weights = {f"model.decoder.{name}": w.contiguous() for name, w in decoder.state_dict().items()}
    save_file(load_file(tiny_whisper[0] / "model.safetensors") | weights, folder / "model.safetensors")
    return folder
