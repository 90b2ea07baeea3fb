from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.audio import AudioFormat, PcmDecoder, float_to_pcm16
from streaming.errors import AudioError
from streaming.testing import noise_pcm, synthetic_pcm

FORMATS = [AudioFormat(rate, channels) for rate in (8_000, 16_000, 22_050, 44_100, 48_000) for channels in (1, 2)]


def decoded(audio_format: AudioFormat, chunks: list[bytes]) -> NDArray[np.float32]:
    """The whole stream that comes of `chunks`."""
    decoder = PcmDecoder(audio_format)
    return np.concatenate([*(decoder.feed(chunk) for chunk in chunks), decoder.finish()])


@pytest.mark.parametrize(
    ("settings_of_format", "said"),
    [
        ({"sample_rate": 7_999}, "7999 Hz"),
        ({"sample_rate": 192_001}, "192001 Hz"),
        ({"channels": 0}, "0 channels"),
        ({"channels": 8}, "8 channels cannot be streamed: mix down"),
        ({"encoding": "mulaw"}, "'mulaw' is not known: send linear16"),
    ],
)
def test_unusable_format_is_refused(settings_of_format: dict[str, int | str], said: str) -> None:
    """A format that cannot be streamed is refused with its value and the cure."""
    with pytest.raises(AudioError, match=said):
        AudioFormat(**settings_of_format)  # type: ignore[arg-type]


def test_sixteen_bit_samples_survive_the_way_there_and_back() -> None:
    """Every one of the 65,536 sample values is decoded and encoded without loss."""
    pcm = np.arange(-32_768, 32_768).astype("<i2").tobytes()
    samples = decoded(AudioFormat(), [pcm])
    assert samples.dtype == np.float32
    assert samples.min() == -1.0
    assert float_to_pcm16(samples) == pcm


def test_too_loud_samples_are_clipped() -> None:
    """Samples outside -1..1 become the loudest there are and do not wrap around."""
    pcm = float_to_pcm16(np.array([-2.0, -1.0, 0.0, 1.0, 2.0], np.float32))
    assert np.frombuffer(pcm, "<i2").tolist() == [-32_768, -32_768, 0, 32_767, 32_767]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    """NaN and infinity are an error, not noise."""
    with pytest.raises(AudioError, match="NaN or infinite"):
        float_to_pcm16(np.array([0.0, value], np.float32))


def test_stereo_is_the_mean_of_its_channels() -> None:
    """Left and right weigh the same."""
    pcm = np.array([[100, 300], [-32_768, 32_767], [7, 0]], "<i2").tobytes()
    expected = np.array([200, -0.5, 3.5], np.float32) / 32_768
    np.testing.assert_array_equal(decoded(AudioFormat(channels=2), [pcm]), expected)


@settings(max_examples=40, deadline=None)
@given(audio_format=st.sampled_from(FORMATS), cuts=st.lists(st.integers(0, 4_000), max_size=12), seed=st.integers(0, 9))
def test_any_split_gives_the_same_samples(audio_format: AudioFormat, cuts: list[int], seed: int) -> None:
    """However the bytes are split, inside samples too, the samples are the same to the bit."""
    pcm = noise_pcm(60, seed, audio_format)
    bounds = [0, *sorted(min(cut, len(pcm)) for cut in cuts), len(pcm)]
    chunks = [pcm[start:end] for start, end in pairwise(bounds)]
    np.testing.assert_array_equal(decoded(audio_format, chunks), decoded(audio_format, [pcm]))


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_byte_by_byte(audio_format: AudioFormat) -> None:
    """One byte at a time is a split like any other."""
    pcm = noise_pcm(20, 1, audio_format)
    chunks = [pcm[i : i + 1] for i in range(len(pcm))]
    np.testing.assert_array_equal(decoded(audio_format, chunks), decoded(audio_format, [pcm]))


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_resampling_keeps_tone_and_time(audio_format: AudioFormat) -> None:
    """A tone keeps pitch, level and place: away from its ends it equals the tone made at 16 kHz."""
    samples = decoded(audio_format, [synthetic_pcm([(500, 1_000)], audio_format)])
    expected = decoded(AudioFormat(), [synthetic_pcm([(500, 1_000)])])
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples[2_000:-2_000], expected[2_000:-2_000], atol=2e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 16_001, 22_050, 44_100, 48_000, 96_001, 192_000])
def test_pending_samples_are_what_silence_would_bring_out(rate: int) -> None:
    """What the resampler holds is told exactly, again and again, and without touching the stream."""
    audio_format = AudioFormat(rate)
    first, second = noise_pcm(730, 2, audio_format), noise_pcm(400, 3, audio_format)
    decoder, undisturbed = PcmDecoder(audio_format), PcmDecoder(audio_format)
    heard, twin = decoder.feed(first), undisturbed.feed(first)
    pending = decoder.pending()
    assert len(heard) + len(pending) == decoder.received_samples
    np.testing.assert_array_equal(decoder.pending(), pending)
    np.testing.assert_array_equal(decoder.feed(second), undisturbed.feed(second))
    closed = decoded(audio_format, [first])
    np.testing.assert_array_equal(heard, twin)
    np.testing.assert_allclose(pending, closed[len(heard) :], atol=1e-5)


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_reset_starts_a_new_stream(audio_format: AudioFormat) -> None:
    """After reset a decoder is as good as new, whatever it had heard."""
    decoder = PcmDecoder(audio_format)
    decoder.feed(noise_pcm(50, 4, audio_format) + b"\x01")
    decoder.reset()
    assert decoder.received_samples == 0
    pcm = noise_pcm(50, 5, audio_format)
    np.testing.assert_array_equal(np.concatenate([decoder.feed(pcm), decoder.finish()]), decoded(audio_format, [pcm]))


@settings(max_examples=40, deadline=None)
@given(rate=st.integers(8_000, 192_000), frames=st.integers(0, 6_000))
def test_received_samples_is_the_length_of_the_stream(rate: int, frames: int) -> None:
    """The clock counts what was received, before the resampler gives it and exactly as much as it gives in the end."""
    decoder = PcmDecoder(AudioFormat(rate))
    samples = decoder.feed(bytes(2 * frames))
    assert decoder.received_samples == (frames * 16_000 + rate / 2) // rate
    assert len(samples) + len(decoder.finish()) == decoder.received_samples


def test_half_a_sample_at_the_end_is_dropped() -> None:
    """A stream cut inside a sample ends with the last whole one."""
    assert len(decoded(AudioFormat(), [bytes(7)])) == 3
    assert len(decoded(AudioFormat(channels=2), [bytes(7)])) == 1
