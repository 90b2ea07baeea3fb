from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from streaming.errors import SettingError
from training.models.loading import load_qwen2_audio
from training.models.qwen_audio import load_audio_tower_only
from training.models.true_length import TrueLengthTower
from training.models.whisper_tower import WhisperShape, load_whisper_tower, random_whisper_tower


def noise(rows: int, bins: int, length: int) -> Tensor:
    """The same noise each time."""
    return torch.randn(rows, bins, length, generator=torch.Generator().manual_seed(5))


@pytest.fixture(params=["qwen2-audio", "whisper"])
def tower(request: pytest.FixtureRequest, qwen_folder: Path, whisper_folder: Path) -> TrueLengthTower:
    """Either tower, in evaluation mode."""
    if request.param == "whisper":
        return load_whisper_tower(str(whisper_folder)).eval()
    return load_audio_tower_only(str(qwen_folder)).eval()


def test_qwen2_audio_equals_the_stock_forward_when_pooled(qwen_folder: Path) -> None:
    """At 3000 mel frames, pairs of our frames averaged before the norm are what transformers' encoder gives."""
    stock = load_qwen2_audio(str(qwen_folder)).model.audio_tower
    tower = load_audio_tower_only(str(qwen_folder)).eval()
    mel = noise(1, 128, 3000)
    with torch.no_grad():
        expected = stock(mel).last_hidden_state
        hidden = tower.hidden(mel, torch.tensor([1500]))
        pooled = nn.functional.avg_pool1d(hidden.transpose(1, 2), 2, stride=2).transpose(1, 2)
        torch.testing.assert_close(tower.encoder.layer_norm(pooled), expected, atol=1e-5, rtol=1e-4)
        assert tower(mel).shape == (1, 1500, 64)


def test_whisper_equals_the_stock_forward(whisper_folder: Path) -> None:
    """At 3000 mel frames the frames are what transformers' encoder gives."""
    tower = load_whisper_tower(str(whisper_folder)).eval()
    mel = noise(1, 80, 3000)
    with torch.no_grad():
        torch.testing.assert_close(tower(mel), tower.encoder(mel).last_hidden_state, atol=1e-5, rtol=1e-4)


def test_short_audio_is_what_an_encoder_of_that_length_gives(whisper_folder: Path) -> None:
    """A clip of t frames is encoded as by a stock encoder whose position table ends after t."""
    tower = load_whisper_tower(str(whisper_folder)).eval()
    config = WhisperConfig(**{**tower.encoder.config.to_dict(), "max_source_positions": 60})
    short = WhisperEncoder(config)
    short.train(False)
    weights = tower.encoder.state_dict()
    short.load_state_dict({**weights, "embed_positions.weight": weights["embed_positions.weight"][:60]})
    mel = noise(2, 80, 120)
    with torch.no_grad():
        torch.testing.assert_close(tower(mel), short(mel).last_hidden_state, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("padding", [0.0, 7.0])
def test_padding_changes_nothing(tower: TrueLengthTower, padding: float) -> None:
    """A row has the frames that it has alone, whatever its neighbours' lengths and its padding; beyond it are zeros."""
    lengths = [60, 41, 1]
    mel = noise(3, tower.mel_bins, 120)
    for row, length in enumerate(lengths):
        mel[row, :, 2 * length :] = padding
    with torch.no_grad():
        together = tower(mel, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = tower(mel[row : row + 1, :, : 2 * length])
            torch.testing.assert_close(together[row, :length], alone[0], atol=1e-5, rtol=1e-4)
            assert not together[row, length:].any()


def test_too_long_audio_is_told_with_its_length(tower: TrueLengthTower) -> None:
    """Audio past the position table is refused in seconds, with the cure."""
    with pytest.raises(SettingError, match=r"30\.02 s does not fit .* 30\.00 s; cut it"):
        tower(torch.zeros(1, tower.mel_bins, 3002))


def test_random_tower_learns_all_but_its_positions() -> None:
    """A tower from nothing has Whisper's fixed positions, is no pretrained weight, and has the shape asked for."""
    tower = random_whisper_tower(WhisperShape(width=32, layers=3, heads=2, inner=48, mel_bins=40))
    frozen = [name for name, p in tower.named_parameters() if not p.requires_grad]
    assert (frozen, tower.is_pretrained) == (["encoder.embed_positions.weight"], False)
    assert tower(torch.zeros(1, 40, 12)).shape == (1, 6, 32)
    assert len(tower.encoder.layers) == 3
