from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from streaming.model_folder import BUNDLED, ModelFolder
from training.loop.config import LoraSettings, ModelConfig
from training.models.retriever import DualEncoder, build_retriever
from training.models.tiny import write_tiny_encoder_lm, write_tiny_qwen2_audio, write_tiny_whisper

CONTEXT = 16_000


@pytest.fixture(scope="session")
def base() -> ModelFolder:
    """The bundled folder, which gives the pronunciations."""
    return ModelFolder.load(BUNDLED)


@pytest.fixture(scope="session")
def contexts() -> list[NDArray[np.float32]]:
    """Three seconds of noise that swells and fades, one second each."""
    rng = np.random.default_rng(5)
    swell = np.sin(np.linspace(0, 9, CONTEXT)) ** 2
    return [(0.1 * swell * rng.standard_normal(CONTEXT)).astype(np.float32) for _ in range(3)]


@pytest.fixture(scope="session")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelConfig]:
    """Tiny random models in the formats of the hub, one for every kind of text tower."""
    folder = tmp_path_factory.mktemp("hub")
    qwen = str(write_tiny_qwen2_audio(folder / "qwen"))
    whisper = str(write_tiny_whisper(folder / "whisper"))
    encoder = str(write_tiny_encoder_lm(folder / "bert"))
    lora = LoraSettings(rank=2, alpha=4, dropout=0.0)
    return {
        "qwen2-lm": ModelConfig(model_name=qwen, dim=32, lora=lora, offline=True),
        "encoder": ModelConfig("whisper", "", "encoder", text_model=encoder, dim=32, offline=True),
        "characters": ModelConfig("whisper", whisper, "characters", dim=32, unfreeze_layers=1, offline=True),
    }


@pytest.fixture(scope="session")
def retriever_of(configs: dict[str, ModelConfig]) -> Callable[[str], DualEncoder]:
    """Builds the retriever of a text tower; its adapters change what the towers compute, as trained ones do."""

    def build(kind: str) -> DualEncoder:
        torch.manual_seed(3)
        model = build_retriever(configs[kind])
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.2)
        return model.eval()

    return build
