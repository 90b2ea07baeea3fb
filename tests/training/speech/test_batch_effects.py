from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from training.speech import augmentation
from training.speech.batch_effects import (
    BatchEffects,
    add_at_snr,
    change_speed,
    coloured_noise,
    reverberate,
    room,
    set_level,
    spoil,
    telephone,
)

RATE = 16_000
ALWAYS = BatchEffects(share=1.0, reverb_share=1, babble_share=1, noise_share=1, telephone_share=1)


def seeded(seed: int = 0) -> torch.Generator:
    """A generator in a known state."""
    return torch.Generator().manual_seed(seed)


def column(*values: float) -> Tensor:
    """One value for each row."""
    return torch.tensor(values)[:, None]


def speech(rows: int = 3, samples: int = RATE) -> Tensor:
    """Noise with the slow loudness and the slope of speech."""
    loud = 0.02 + 0.1 * torch.sin(torch.arange(samples) * 2 * torch.pi / 4000).square()
    return coloured_noise(samples, torch.ones(rows, 1), seeded(5)) * loud


def tone(hertz: float, samples: int = RATE) -> Tensor:
    """One row with a tone."""
    return 0.2 * torch.sin(2 * torch.pi * hertz * torch.arange(samples) / RATE)[None]


def strongest_hertz(audio: Tensor) -> float:
    """Where the spectrum of the first row has its peak."""
    return float(torch.fft.rfft(audio[0]).abs().argmax()) * RATE / audio.shape[1]


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_moves_a_tone(factor: float) -> None:
    """Faster by a factor, a tone is as much higher, as loud as before, and as the resampler has it."""
    given = tone(440.0, round(RATE * factor))
    changed = change_speed(given, RATE)
    assert changed.shape == (1, RATE)
    assert strongest_hertz(changed) == pytest.approx(440.0 * factor, abs=1)
    # Near its ends the slow one does not take the audio for periodic.
    slow = torch.from_numpy(augmentation.change_speed(given[0].numpy(), factor))
    middle = slice(2000, -2000)
    torch.testing.assert_close(changed[0, middle], slow[:RATE][middle], atol=2e-3, rtol=0)


def test_noise_falls_as_steeply_as_asked() -> None:
    """The power of an octave falls by 3 dB for each unit of the slope beyond its doubling width; rows are apart."""
    noise = coloured_noise(1 << 16, column(0.0, 1.0, 2.0), seeded())
    power = torch.fft.rfft(noise).abs().square()
    ratios = power[:, 1000:2000].mean(1) / power[:, 8000:16000].mean(1)
    assert ratios.log2().tolist() == pytest.approx([0.0, 3.0, 6.0], abs=0.15)
    assert noise.std(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_noise_is_as_far_below_as_asked() -> None:
    """The ratio of powers is what was asked for, row by row, and the sum that of the slow function."""
    audio, noise, ratios = speech(), torch.randn(3, RATE, generator=seeded()), column(3.0, 12.0, 30.0)
    mixed = add_at_snr(audio, noise, ratios)
    reached = 20 * torch.log10(audio.std(1) / (mixed - audio).std(1))
    assert reached.tolist() == pytest.approx([3, 12, 30], abs=0.01)
    for row, ratio in enumerate((3.0, 12.0, 30.0)):
        slow = augmentation.add_at_snr(audio[row].numpy(), noise[row].numpy(), ratio)
        np.testing.assert_allclose(mixed[row].numpy(), slow, atol=1e-5)


def test_rooms_have_a_direct_path_and_a_tail() -> None:
    """What goes in comes out at once and as loud; the tail has the energy and the length asked for."""
    response = room(column(0.1, 0.7), column(-2.0, -14.0), seeded())
    assert response[:, 0].tolist() == [1.0, 1.0]
    assert (10 * torch.log10(response[:, 1:].square().sum(1))).tolist() == pytest.approx([-2, -14], abs=0.5)
    assert [int(row.nonzero().max()) for row in response] == [1599, 11_199]
    # 30 dB down after half the decay.
    early, late = response[1, 1:600].square().mean(), response[1, 5300:5900].square().mean()
    assert float(10 * torch.log10(early / late)) == pytest.approx(28.5, abs=2)


def test_a_room_is_a_convolution() -> None:
    """Against the sum that it is, and nothing comes round from the end."""
    audio, response = torch.zeros(2, 400), torch.zeros(2, 300)
    audio[0, 3], audio[1, 390] = 1.0, 1.0
    response[:, 0], response[:, 100] = 1.0, 0.5
    wet = reverberate(audio, response)
    assert wet[0].nonzero().numel() > 0
    assert [float(wet[0, place]) for place in (3, 103)] == pytest.approx([1.0, 0.5], abs=1e-6)
    assert float(wet[1, :390].abs().max()) < 1e-6
    slow = np.convolve(audio[0].numpy(), response[0].numpy())[:400]
    np.testing.assert_allclose(wet[0].numpy(), slow, atol=1e-6)


def test_a_telephone_has_its_band_and_its_steps() -> None:
    """Tones inside the band stay, those outside go; few loudnesses are left; the slow one gives much the same."""
    inside, below, above = (float(telephone(tone(hertz)).std() / tone(hertz).std()) for hertz in (1000, 200, 5000))
    assert inside == pytest.approx(1.0, abs=0.05)
    assert max(below, above) < 1e-3
    heard = telephone(speech())
    assert len(torch.unique(heard[0].abs())) <= 128
    for row in range(3):
        slow = augmentation.telephone(speech()[row].numpy())
        assert np.corrcoef(heard[row].numpy(), slow)[0, 1] > 0.99


def test_levels_are_reached() -> None:
    """Each row has its own level, and nothing leaves the range of samples."""
    leveled = set_level(speech(), column(-34.0, -20.0, -12.0))
    assert (20 * torch.log10(leveled.square().mean(1).sqrt())).tolist() == pytest.approx([-34, -20, -12], abs=0.05)
    slow = augmentation.set_level(speech()[1].numpy(), -20.0)
    np.testing.assert_allclose(leveled[1].numpy(), slow, atol=1e-6)
    assert float(set_level(speech(), column(20.0, 20.0, 20.0)).abs().max()) == 1.0


def test_the_same_generator_gives_the_same() -> None:
    """Bit for bit, and another one something else; what was given is left alone."""
    audio = speech(4)
    before = audio.clone()
    first, again, other = (spoil(audio, ALWAYS, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(audio, before)
    assert torch.isfinite(first).all()
    assert float(first.abs().max()) <= 1.0


def test_shares_say_how_many_rows_change() -> None:
    """Without a share nothing changes; of half the rows about half do, times the share of all."""
    audio = speech(64, 2000)
    none = replace(ALWAYS, reverb_share=0, babble_share=0, noise_share=0, telephone_share=0, level_share=0)
    assert torch.equal(spoil(audio, none, seeded()), audio)
    half = replace(none, noise_share=0.5)
    for effects, share in ((half, 0.5), (replace(half, share=0.4), 0.2)):
        changed = torch.cat([(spoil(audio, effects, seeded(s)) != audio).any(1) for s in range(8)])
        assert float(changed.float().mean()) == pytest.approx(share, abs=0.08)


def test_babble_is_of_another_row() -> None:
    """What is added is one other row, at its distance; a row alone has none."""
    only = replace(ALWAYS, reverb_share=0, noise_share=0, telephone_share=0, level_share=0, babble_db=(10.0, 10.0))
    audio = torch.stack([tone(hertz, 4000)[0] for hertz in (400, 800, 1200)])
    added = spoil(audio, only, seeded()) - audio
    for row in range(3):
        found = torch.tensor([float(torch.corrcoef(torch.stack([added[row], other]))[0, 1]) for other in audio])
        assert sorted(found.round().tolist()) == [0, 0, 1]
        assert int(found.argmax()) != row
    assert (20 * torch.log10(audio.std(1) / added.std(1))).tolist() == pytest.approx([10, 10, 10], abs=0.01)
    assert torch.equal(spoil(audio[:1], only, seeded()), audio[:1])
