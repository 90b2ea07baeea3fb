import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig
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
