"""Whisper-shaped audio towers at true length: the position table is cut to the context instead of padding to 30 s.

The lower part (convolutions, first layers) stays as pretrained, so its output can be cached; the upper part trains.
"""

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

_PREFIX = "model.encoder."


def load_whisper_encoder(folder: Path) -> tuple[WhisperConfig, dict[str, Tensor]]:
    """A folder with config.json and model.safetensors -> (config, float32 weights under their short names)."""
    config = WhisperConfig(**json.loads((folder / "config.json").read_text("utf-8")))
    config._attn_implementation = "sdpa"
    weights = load_file(folder / "model.safetensors")
    return config, {name.removeprefix(_PREFIX): w.float() for name, w in weights.items() if name.startswith(_PREFIX)}


def _run(layers: nn.ModuleList, hidden: Tensor) -> Tensor:
    for layer in layers:
        out = layer(hidden, None)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden


class LowerTower(nn.Module):
    """Log-mel float32[n, 80, 2T] -> hidden float32[n, T, width]: convolutions, positions and the first layers."""

    def __init__(self, config: WhisperConfig, layers: int) -> None:
        super().__init__()
        width = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, width)
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(layers))

    def forward(self, mel: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.conv1(mel))
        hidden = nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        return _run(self.layers, hidden)


class UpperTower(nn.Module):
    """Hidden float32[n, T, width] -> frames float32[n, T, width]: the last layers and the final norm."""

    def __init__(self, config: WhisperConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, hidden: Tensor) -> Tensor:
        frames: Tensor = self.layer_norm(_run(self.layers, hidden))
        return frames


def split_whisper_encoder(folder: Path, upper_layers: int) -> tuple[LowerTower, UpperTower]:
    """The pretrained encoder in two parts; every weight is used exactly once."""
    config, weights = load_whisper_encoder(folder)
    lower_layers = config.encoder_layers - upper_layers
    lower, upper = LowerTower(config, lower_layers), UpperTower(config, upper_layers)
    for_lower: dict[str, Tensor] = {}
    for_upper: dict[str, Tensor] = {}
    for name, weight in weights.items():
        parts = name.split(".")
        if parts[0] == "layer_norm":
            for_upper[name] = weight
        elif parts[0] == "layers" and int(parts[1]) >= lower_layers:
            for_upper[".".join(["layers", str(int(parts[1]) - lower_layers), *parts[2:]])] = weight
        else:
            for_lower[name] = weight
    lower.load_state_dict(for_lower)
    upper.load_state_dict(for_upper)
    lower.requires_grad_(False).eval()
    return lower, upper
