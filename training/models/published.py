"""Sizes of published models, and of local ones from their config.json: nothing is downloaded to know them."""

import json
from pathlib import Path
from typing import Any

from streaming.errors import SettingError
from streaming.model_folder import ModelFolder
from training.loop.config import QWEN2_AUDIO, ModelConfig
from training.models.base_folder import base_folder
from training.models.shapes import BertShape, CharacterShape, EncoderShape, LanguageModelShape, Shape

WHISPER = {
    "tiny": EncoderShape(384, 4, 1536, 80),
    "base": EncoderShape(512, 6, 2048, 80),
    "small": EncoderShape(768, 12, 3072, 80),
    "medium": EncoderShape(1024, 24, 4096, 80),
    "large-v2": EncoderShape(1280, 32, 5120, 80),
    "large-v3": EncoderShape(1280, 32, 5120, 128),
}
SMALL_WHISPER = EncoderShape(192, 4, 768, 80)
"""What is trained from nothing where no model is named (`training.models.whisper_tower.WhisperShape`)."""


def audio_shape(model: ModelConfig) -> EncoderShape:
    """The size of the audio tower. Raises SettingError where it is not known, ModelError for an unfit model folder."""
    if not model.model_name:
        return SMALL_WHISPER
    folder = base_folder(model)
    if folder is not None:
        return _served_shape(folder)
    found = _local_config(model.model_name)
    if model.audio_tower == "qwen2-audio":
        if found is None and not _is_qwen2_audio(model.model_name):
            raise _unknown(model.model_name)
        return _encoder({} if found is None else found.get("audio_config", {}))
    if found is not None:
        return _encoder(found)
    for size, shape in WHISPER.items():
        if model.model_name.endswith(f"whisper-{size}"):
            return shape
    raise _unknown(model.model_name)


def text_shape(model: ModelConfig) -> Shape:
    """The size of the text tower. Raises SettingError where it is not known."""
    if model.text_tower == "characters":
        return CharacterShape(model.dim)
    name = model.model_name if model.text_tower == "qwen2-lm" else model.text_model
    found = _local_config(name)
    if model.text_tower == "encoder":
        if found is None:
            raise _unknown(name)
        return BertShape(
            found["hidden_size"],
            found["num_hidden_layers"],
            found["intermediate_size"],
            found["vocab_size"],
            found.get("max_position_embeddings", BertShape().positions),
            found.get("type_vocab_size", BertShape().kinds),
        )
    if found is None and not _is_qwen2_audio(name):
        raise _unknown(name)
    return _language_model({} if found is None else found.get("text_config", {}))


def _served_shape(folder: ModelFolder) -> EncoderShape:
    # Only a model folder has to be read, which needs a library that other plans do without.
    from training.models.served import read_base

    size = read_base(folder).size
    return EncoderShape(size.width, size.layers, size.inner, folder.spec.mel_bins)


def _is_qwen2_audio(name: str) -> bool:
    return name in {QWEN2_AUDIO, QWEN2_AUDIO.removesuffix("-Instruct")}


def _unknown(name: str) -> SettingError:
    return SettingError(f"the size of {name!r} is not known here; name a local folder with its config.json")


def _local_config(name: str) -> dict[str, Any] | None:
    file = Path(name) / "config.json"
    if not name or not file.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise SettingError(f"{file} is not JSON ({error}); write it again or name another model") from error
    return found


def _encoder(found: dict[str, Any]) -> EncoderShape:
    published = EncoderShape()
    return EncoderShape(
        found.get("d_model", published.width),
        found.get("encoder_layers", published.layers),
        found.get("encoder_ffn_dim", published.inner),
        found.get("num_mel_bins", published.mel_bins),
        found.get("max_source_positions", published.positions),
    )


def _language_model(found: dict[str, Any]) -> LanguageModelShape:
    published = LanguageModelShape()
    heads = found.get("num_attention_heads", published.heads)
    return LanguageModelShape(
        found.get("hidden_size", published.width),
        found.get("num_hidden_layers", published.layers),
        found.get("intermediate_size", published.inner),
        heads,
        found.get("num_key_value_heads", heads),
        found.get("vocab_size", published.vocabulary),
    )
