"""Whisper encoders (Radford et al., 2022) as audio towers: pretrained ones, or a small one with random weights."""

from dataclasses import dataclass

from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.models.loading import config_of_type, load_part
from training.models.precision import Precision
from training.models.true_length import TrueLengthTower


@dataclass(frozen=True, slots=True)
class WhisperShape:
    """Size of an encoder that is trained from nothing."""

    width: int = 192
    layers: int = 4
    heads: int = 4
    inner: int = 768
    mel_bins: int = 80
    dropout: float = 0.1


def random_whisper_tower(
    shape: WhisperShape, precision: Precision = "fp32", *, is_pretrained: bool = False
) -> TrueLengthTower:
    """An encoder with random weights, which may wait for pretrained ones, and Whisper's sinusoidal positions."""
    config = WhisperConfig(
        d_model=shape.width,
        encoder_layers=shape.layers,
        encoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.inner,
        num_mel_bins=shape.mel_bins,
        dropout=shape.dropout,
    )
    return TrueLengthTower(WhisperEncoder(config), precision=precision, is_pretrained=is_pretrained)


def load_whisper_tower(name: str, *, precision: Precision = "fp32", offline: bool = False) -> TrueLengthTower:
    """The encoder of a Whisper model; its decoder is not read. Raises ModelError."""
    config = config_of_type(name, "whisper", offline=offline)
    encoder = load_part(WhisperEncoder, config, name, "encoder", precision=precision, offline=offline)
    return TrueLengthTower(encoder, precision=precision)
