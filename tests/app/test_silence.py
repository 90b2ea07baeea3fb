"""What cannot be heard is told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.inputs import open_source
from app.samples import recordings
from app.silence import Cures, SilenceNoticed
from streaming.audio import AudioFormat
from streaming.testing import ListSource

MONO, STEREO = AudioFormat(), AudioFormat(channels=2)
SECOND = bytes(32_000)
SPEECH = soundfile.read(recordings()[1].path, dtype="int16")[0].tobytes()


def _said(chunks: list[bytes], audio_format: AudioFormat = MONO, *, is_live: bool = False) -> list[str]:
    said: list[str] = []
    cures = Cures("is it muted?", "is it soft?")
    source = SilenceNoticed(ListSource(audio_format, chunks), said.append, cures, is_live=is_live)
    assert source.format == audio_format
    assert list(source.chunks()) == chunks
    return said


def _loud(*levels: int) -> bytes:
    return np.tile(np.array(levels, "<i2"), 1600).tobytes()


def _noise(deviation: float, seconds: int, channels: int = 1) -> bytes:
    return np.random.default_rng(1).normal(0, deviation, (seconds * 16_000, channels)).astype("<i2").tobytes()


def test_a_silent_file_is_told_at_its_end_and_a_silent_start_is_not() -> None:
    """Films begin with silence."""
    (told,) = _said([SECOND] * 12)
    assert told.startswith("warning: nothing but silence from beginning to end; ")
    assert _said([SECOND] * 12 + [SPEECH]) == []
    assert _said([]) == []


def test_a_microphone_is_told_of_after_ten_seconds_once() -> None:
    """Who speaks into it should not wait for the end to learn that it is muted."""
    (told,) = _said([SECOND] * 30, is_live=True)
    assert told.startswith("warning: nothing but silence in the first 10 s; ")
    assert told.endswith("is it muted?")
    assert _said([SECOND] * 9 + [SPEECH] + [SECOND] * 30, is_live=True) == []
    # The dither of a converter is no sound.
    assert _said([_loud(1, -2)] * 2000, is_live=True) != []


def test_live_sound_that_ends_sooner_is_told_of_too() -> None:
    """Ten seconds never came."""
    assert len(_said([SECOND] * 3, is_live=True)) == 1


@pytest.mark.parametrize("size", [31, 400])
def test_channels_that_cancel_each_other_are_named(size: int) -> None:
    """A balanced cable in a stereo socket: what is mixed from it is silence, however chunks are cut."""
    heard = _loud(5000, -5000, -5000, 5000)
    (told,) = _said([heard[i : i + size] for i in range(0, len(heard), size)], STEREO)
    assert "cancel each other" in told
    assert _said([_loud(5000, 5000, -5000, -5000)], STEREO) == []
    assert _said([_loud(0, 5000, 0, -5000)], STEREO) == []


@pytest.mark.parametrize("heard", [_noise(4, 20, 2), _noise(4.5, 20, 2), _loud(20, 0, -20, 0)])
def test_what_is_silent_in_its_channels_too_is_not_said_to_cancel(heard: bytes) -> None:
    """A mix of two is as loud as each of them at most, without anything wrong."""
    (told,) = _said([heard], STEREO)
    assert told.endswith("from beginning to end; is it muted?")


@pytest.mark.parametrize("audio_format", [MONO, STEREO])
def test_what_stays_where_it_is_makes_no_sound(audio_format: AudioFormat) -> None:
    """However far from zero: a converter's offset is no speaker."""
    (told,) = _said([_loud(3277)] * 10, audio_format)
    assert told.endswith("from beginning to end; is it muted?")


@pytest.mark.parametrize("heard", [bytes(200), _noise(3000, 1)[:200]])
def test_a_blink_of_sound_is_told_as_what_it_is(heard: bytes) -> None:
    """It is neither silent nor heard."""
    (told,) = _said([heard])
    assert told.startswith("warning: only 6 ms of sound came, too short to hear anything in; ")


def test_sound_in_which_nobody_speaks_is_told_at_its_end() -> None:
    """Of hiss for ten seconds, however it is cut; not where somebody speaks once, nor of less."""
    told = "warning: no speech from beginning to end, though sound comes in; is it soft?"
    hiss = _noise(300, 11)
    for is_live in (False, True):
        assert _said([hiss[at : at + 3333] for at in range(0, len(hiss), 3333)], is_live=is_live) == [told]
    assert _said([hiss, SPEECH, hiss]) == []
    assert _said([hiss[:-64_000]]) == []


def test_every_source_of_the_commands_is_listened_to() -> None:
    """`listen` and `stream` open theirs here; the bundled speech is heard."""
    said: list[str] = []
    source = open_source("sample", 16_000, None, False, said.append)
    assert isinstance(source, SilenceNoticed)
    assert sum(map(len, source.chunks())) > 0
    assert said == []


@pytest.mark.parametrize("is_realtime", [False, True])
def test_a_film_that_begins_with_silence_is_not_taken_for_a_microphone(tmp_path: Path, is_realtime: bool) -> None:
    """Also where it is heard at the speed of speech; at its end it is asked about as the recording that it is."""
    soundfile.write(tmp_path / "film.wav", np.zeros(16_000, np.int16), 16_000)
    said: list[str] = []
    list(open_source(str(tmp_path / "film.wav"), 16_000, None, is_realtime, said.append).chunks())
    assert said == [
        "warning: nothing but silence from beginning to end; was it recorded from a muted microphone, or is its sound in another track?"
    ]


def test_silence_in_a_pipe_is_asked_of_the_command_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no device to choose."""
    (tmp_path / "piped").write_bytes(bytes(400_000))
    said: list[str] = []
    with (tmp_path / "piped").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        list(open_source("-", 16_000, None, False, said.append).chunks())
    assert [sentence for sentence in said if "before the pipe" in sentence and "first 10 s" in sentence] == said != []


def test_a_pipe_without_speech_is_asked_about_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it says how it is to be read; a file says so itself."""
    (tmp_path / "piped").write_bytes(_noise(300, 11))
    soundfile.write(tmp_path / "hiss.wav", np.frombuffer(_noise(300, 11), "<i2"), 16_000)
    said: list[str] = []
    with (tmp_path / "piped").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        list(open_source("-", 16_000, None, False, said.append).chunks())
    list(open_source(str(tmp_path / "hiss.wav"), 16_000, None, False, said.append).chunks())
    assert [sentence.partition("; ")[2] for sentence in said] == [
        "if somebody speaks, are the samples 16-bit little-endian, mono, and at 16000 Hz (--sample-rate)?",
        "if somebody speaks, is the sound too soft, or the speech in another track?",
    ]
