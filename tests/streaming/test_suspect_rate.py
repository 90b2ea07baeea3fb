from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from app.samples import recordings
from streaming.events import SAMPLE_RATE
from streaming.suspect_rate import SampleRateCheck
from streaming.testing import noise_pcm

CHUNK = 1600


@cache
def _speech() -> NDArray[np.float32]:
    """The bundled recordings, one after the other: float32[n] at 16 kHz."""
    read = [soundfile.read(recording.path, dtype="float32") for recording in recordings()]
    assert {rate for _, rate in read} == {SAMPLE_RATE}
    speech: NDArray[np.float32] = np.concatenate([samples for samples, _ in read])
    return speech


def _declared_wrongly(real_rate: int) -> NDArray[np.float32]:
    """Speech at another rate, as it sounds where it is taken for 16 kHz."""
    resampled: NDArray[np.float32] = soxr.resample(_speech(), SAMPLE_RATE, real_rate)
    return resampled


def _noise(duration_ms: int) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = np.frombuffer(noise_pcm(duration_ms, seed=1), "<i2").astype(np.float32)
    return samples / np.float32(32_768)


def _chunks(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    yield from (samples[at : at + CHUNK] for at in range(0, len(samples), CHUNK))


def _warnings(samples: NDArray[np.float32], speed: float | None, declared: int = SAMPLE_RATE) -> list[str]:
    """All that is told of audio that comes `speed` times as fast as it is spoken; None: at no time that means much."""
    check = SampleRateCheck(declared)
    jitter = np.random.default_rng(3)
    told, now_s = [], 100.0
    for chunk in _chunks(samples):
        now_s += 0.0 if speed is None else len(chunk) / SAMPLE_RATE / speed
        came_s = None if speed is None else now_s + jitter.uniform(0, 0.02)
        told.append(check.feed(chunk, came_s))
    return [message for message in told if message is not None]


@pytest.mark.parametrize("speed", [1.0, None, 1.4, 50.0])
def test_speech_at_its_own_rate_is_not_suspected(speed: float | None) -> None:
    """Live, of unknown time, a little faster than it is spoken, or a file as fast as it goes."""
    assert _warnings(_speech(), speed) == []


@pytest.mark.parametrize(
    ("declared", "real", "speed"),
    [
        (16_000, 48_000, 3.0),
        (16_000, 44_100, 2.75625),
        (16_000, 32_000, 2.0),
        (16_000, 8_000, 0.5),
        (48_000, 16_000, 1 / 3),
    ],
)
def test_another_rate_shows_by_how_fast_audio_comes(declared: int, real: int, speed: float) -> None:
    """Noise, which sounds the same at any rate: the warning names both rates and comes once."""
    noise = _noise(70_000)
    (message,) = _warnings(noise, speed, declared)
    assert f"declared as {declared} Hz" in message
    assert f"audio of {real} Hz" in message
    assert "check sample_rate" in message


@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_48_khz_as_16_khz_shows_by_its_sound(noise: float) -> None:
    """Without a clock, in silence and with the noise of a microphone: all speech lies below 2.7 kHz."""
    wrong = _declared_wrongly(48_000)
    heard = wrong + np.random.default_rng(5).normal(0, noise, len(wrong)).astype(np.float32)
    (message,) = _warnings(heard, None)
    assert "nothing above 2.7 kHz" in message
    assert "48000 Hz" in message


def test_dull_speech_that_comes_as_it_is_spoken_is_not_suspected() -> None:
    """A microphone that carries nothing above 2.7 kHz, live: its rate is right."""
    assert _warnings(_declared_wrongly(48_000), 1.0) == []


@pytest.mark.parametrize(("declared", "speed"), [(48_000, 3.0), (8_000, 0.5), (44_100, None)])
def test_no_rate_is_suspected_that_nobody_sends(declared: int, speed: float | None) -> None:
    """What would be 144 kHz or 4 kHz is a fast file, a slow network or dull speech at the rate that was declared."""
    assert _warnings(_declared_wrongly(48_000) if speed is None else _noise(60_000), speed, declared) == []


def test_a_telephone_is_not_suspected() -> None:
    """Speech of 8 kHz, declared so, has nothing above 4 kHz and is right."""
    telephone = soxr.resample(_declared_wrongly(8_000), 8_000, SAMPLE_RATE)
    assert _warnings(telephone, None, declared=8_000) == []


@pytest.mark.parametrize("kind", ["silence", "hum", "noise", "low noise"])
def test_what_is_no_speech_is_not_judged_by_its_sound(kind: str) -> None:
    """Hum and low noise have nothing above 2.7 kHz either."""
    seconds = np.arange(60 * SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    noise = np.random.default_rng(1).normal(0, 0.05, len(seconds)).astype(np.float32)
    sounds = {
        "silence": np.zeros_like(seconds),
        "hum": 0.2 * np.sin(2 * np.pi * 100 * seconds),
        "noise": noise,
        "low noise": soxr.resample(noise[: len(noise) // 3], SAMPLE_RATE, 48_000),
    }
    assert _warnings(sounds[kind].astype(np.float32), None) == []


def test_a_sender_that_leaves_silence_out_is_not_suspected() -> None:
    """Speech comes as it is spoken and half of the time nothing comes: half of the speed, but not all the time."""
    check = SampleRateCheck(SAMPLE_RATE)
    told, now_s = [], 0.0
    for at, chunk in enumerate(_chunks(_speech())):
        now_s += 0.1 + (2.0 if at % 20 == 0 else 0.0)
        told.append(check.feed(chunk, now_s))
    assert not any(told)


def test_a_burst_after_a_broken_connection_is_not_suspected() -> None:
    """What a client sends again at once is no other rate."""
    check = SampleRateCheck(SAMPLE_RATE)
    told, now_s = [], 0.0
    for at, chunk in enumerate(_chunks(np.concatenate((_speech(), _speech())))):
        is_again = 200 <= at < 500
        now_s += 0.002 if is_again else 0.1
        told.append(check.feed(chunk, now_s + (30.0 if at >= 200 else 0.0)))
    assert not any(told)


def test_audio_is_judged_again_after_a_pause() -> None:
    """What comes at another rate behind a pause of minutes is told."""
    check = SampleRateCheck(SAMPLE_RATE)
    told, now_s = [], 0.0
    noise = _noise(60_000)
    for at, chunk in enumerate(_chunks(noise)):
        now_s += 0.1 if at < 200 else 0.1 / 3
        told.append(check.feed(chunk, now_s + (600.0 if at >= 200 else 0.0)))
    assert [at >= 200 for at, message in enumerate(told) if message] == [True]
