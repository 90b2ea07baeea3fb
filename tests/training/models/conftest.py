from pathlib import Path

import pytest

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
