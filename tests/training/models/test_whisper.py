from pathlib import Path

import pytest
import torch
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.models.whisper import load_whisper_encoder, split_whisper_encoder

Tiny = tuple[Path, WhisperEncoder]


@pytest.mark.parametrize("upper_layers", [0, 1, 2])
def test_both_towers_make_the_encoder(tiny_whisper: Tiny, upper_layers: int) -> None:
    """On 30 s the two parts give what transformers' encoder gives, wherever it is cut."""
    folder, encoder = tiny_whisper
    lower, upper = split_whisper_encoder(folder, upper_layers)
    assert (len(lower.layers), len(upper.layers)) == (2 - upper_layers, upper_layers)
    torch.manual_seed(0)
    mel = torch.randn(1, 80, 3000)
    with torch.no_grad():
        expected = encoder(mel).last_hidden_state
        found = upper.eval()(lower(mel))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_short_contexts_use_the_first_positions(tiny_whisper: Tiny) -> None:
    """A context of T frames is encoded as by an encoder whose position table ends after T."""
    folder, _ = tiny_whisper
    config, weights = load_whisper_encoder(folder)
    config.max_source_positions = 60
    short = WhisperEncoder(config)
    short.train(False)
    short.load_state_dict({**weights, "embed_positions.weight": weights["embed_positions.weight"][:60]})
    lower, upper = split_whisper_encoder(folder, 1)
    torch.manual_seed(0)
    mel = torch.randn(2, 80, 120)
    with torch.no_grad():
        torch.testing.assert_close(upper.eval()(lower(mel)), short(mel).last_hidden_state, atol=1e-5, rtol=1e-4)


def test_only_the_upper_tower_trains(tiny_whisper: Tiny) -> None:
    """The lower tower is frozen and in evaluation mode; the upper one has its gradients."""
    lower, upper = split_whisper_encoder(tiny_whisper[0], 1)
    assert not lower.training
    assert not any(p.requires_grad for p in lower.parameters())
    assert all(p.requires_grad for p in upper.parameters())
