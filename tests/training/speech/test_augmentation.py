import numpy as np
import pytest
from numpy.typing import NDArray

from training.speech.augmentation import (
    AugmentationConfig,
    add_at_snr,
    augment,
    change_speed,
    coloured_noise,
    reverberate,
    set_level,
    telephone,
)

Audio = NDArray[np.float32]


@pytest.fixture
def speech() -> Audio:
    """Half a second of a swelling tone with overtones, 0.5 at most."""
    time = np.arange(8_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 8))
    return np.asarray(0.2 * tone * np.sin(np.pi * time / 0.5), np.float32)


def band(audio: Audio, low: float, high: float) -> float:
    """Power between two frequencies in hertz."""
    hertz = np.fft.rfftfreq(len(audio), 1 / 16_000)
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float(power[(hertz >= low) & (hertz < high)].sum())


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 30.0])
def test_noise_stands_at_the_ratio_asked_for(speech: Audio, snr_db: float) -> None:
    """Ten times the logarithm of the ratio of powers is the ratio asked for."""
    noise = coloured_noise(len(speech), 1.0, np.random.default_rng(0))
    added = add_at_snr(speech, noise, snr_db) - speech
    assert 10 * np.log10(speech.var() / added.var()) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize("level_db", [-32.0, -20.0, -15.0])
def test_level_is_the_root_mean_square(speech: Audio, level_db: float) -> None:
    """The level is in decibels of full scale."""
    assert 10 * np.log10(np.mean(set_level(speech, level_db) ** 2)) == pytest.approx(level_db, abs=0.05)


def test_loud_levels_are_clipped(speech: Audio) -> None:
    """No sample leaves the range of 16-bit audio."""
    assert np.abs(set_level(speech, 6.0)).max() == 1.0


def test_silence_stays_silent() -> None:
    """Silence has no level to raise, and noise at a ratio to nothing is nothing."""
    silence = np.zeros(4_000, np.float32)
    assert not set_level(silence, -20.0).any()
    assert not add_at_snr(silence, coloured_noise(4_000, 0.0, np.random.default_rng(0)), 10.0).any()


@pytest.mark.parametrize(("factor", "samples"), [(1.25, 6_400), (0.8, 10_000), (1.0, 8_000)])
def test_speed_divides_the_length(speech: Audio, factor: float, samples: int) -> None:
    """A factor over 1 is faster, so the audio is shorter."""
    assert abs(len(change_speed(speech, factor)) - samples) <= 1


@pytest.mark.parametrize(("slope", "least", "most"), [(0.0, 0.5, 2.0), (2.0, 30.0, 1e9)])
def test_noise_has_its_colour(slope: float, least: float, most: float) -> None:
    """White noise is flat, brown noise falls by far with frequency; both have unit deviation."""
    noise = coloured_noise(32_000, slope, np.random.default_rng(4))
    assert noise.std() == pytest.approx(1.0, abs=1e-3)
    assert least < band(noise, 100, 1_100) / band(noise, 4_000, 5_000) < most


def test_room_keeps_the_direct_sound(speech: Audio) -> None:
    """A room adds a tail to what it was given and moves nothing: the best match is at no delay."""
    wet = reverberate(speech, np.random.default_rng(1))
    assert wet.shape == speech.shape
    match = np.fft.irfft(np.fft.rfft(wet, 16_384) * np.conj(np.fft.rfft(speech, 16_384)))
    assert int(np.abs(match).argmax()) == 0


def test_telephone_keeps_its_band_only() -> None:
    """A call holds 300 to 3400 Hz."""
    called = telephone(coloured_noise(16_000, 0.0, np.random.default_rng(3)) * np.float32(0.1))
    inside = band(called, 400, 3_300) / 2_900
    assert band(called, 20, 200) / 180 < 0.01 * inside
    assert band(called, 4_200, 7_900) / 3_700 < 0.01 * inside


@pytest.mark.parametrize("samples", [4_801, 8_000, 16_007])
@pytest.mark.parametrize("seed", range(4))
def test_any_chain_keeps_length_and_range(samples: int, seed: int) -> None:
    """Whatever the chain does, as many finite float32 samples come out, none above full scale."""
    rng = np.random.default_rng(seed)
    audio = rng.standard_normal(samples).astype(np.float32) * np.float32(0.1)
    babble = rng.standard_normal(samples + 50).astype(np.float32)
    changed = augment(audio, babble, AugmentationConfig(0.7, 0.7, 0.7, 0.7), rng)
    assert changed.dtype == np.float32
    assert changed.shape == audio.shape
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1.0


def test_chain_is_the_generator_s(speech: Audio) -> None:
    """The same generator state gives the same audio, and the input is left as it was."""
    before = speech.copy()
    every = AugmentationConfig(1.0, 1.0, 1.0, 1.0)
    babble = np.ones(len(speech), np.float32)
    a, b = (augment(speech, babble, every, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(speech, before)
