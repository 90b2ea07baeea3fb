from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from streaming.model_folder import BUNDLED, ModelFolder
from training.export.parts import Format
from training.export.retriever import ExportSettings, export_retriever
from training.loop.config import ModelConfig
from training.models.retriever import DualEncoder, build_retriever
from training.models.tiny import write_tiny_encoder_lm, write_tiny_qwen2_audio, write_tiny_whisper


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2-Audio of 2 layers."""
    return write_tiny_qwen2_audio(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Whisper with an encoder of 2 layers."""
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers."""
    return write_tiny_encoder_lm(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def bundled() -> ModelFolder:
    """The model that TermCue brings."""
    return ModelFolder.load(BUNDLED)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> DualEncoder:
    """A small retriever whose weights are known."""
    torch.manual_seed(5)
    folder = write_tiny_whisper(tmp_path_factory.mktemp("whisper"))
    return build_retriever(ModelConfig("whisper", str(folder), "characters", dim=32, offline=True))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny: DualEncoder) -> Callable[[Format], Path]:
    """Model folders of the small retriever, one of each number format."""
    base, made = ModelFolder.load(BUNDLED), tmp_path_factory.mktemp("served")

    def folder(numbers: Format) -> Path:
        if not (made / numbers).exists():
            noise = [np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.1]
            export_retriever(tiny, made / numbers, base, noise, settings=ExportSettings(numbers, "small", 16_000))
        return made / numbers

    return folder
