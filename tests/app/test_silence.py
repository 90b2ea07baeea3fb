"""What cannot be heard is told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.inputs import open_source
from app.silence import SilenceNoticed
from streaming.audio import AudioFormat
from streaming.testing import ListSource

MONO, STEREO = AudioFormat(), AudioFormat(channels=2)
SECOND = bytes(32_000)


def _said(chunks: list[bytes], audio_format: AudioFormat = MONO, *, is_live: bool = False) -> list[str]:
    said: list[str] = []
    source = SilenceNoticed(ListSource(audio_format, chunks), said.append, "is it muted?", is_live=is_live)
    assert source.format == audio_format
    assert list(source.chunks()) == chunks
    return said


def _loud(*levels: int) -> bytes:
    return np.tile(np.array(levels, "<i2"), 100).tobytes()


def test_a_silent_file_is_told_at_its_end_and_a_silent_start_is_not() -> None:
    """Films begin with silence."""
    (told,) = _said([SECOND] * 12)
    assert told.startswith("warning: nothing but silence from beginning to end; ")
    assert _said([SECOND] * 12 + [_loud(40, -40)]) == []
    assert _said([]) == []


def test_a_microphone_is_told_of_after_ten_seconds_once() -> None:
    """Who speaks into it should not wait for the end to learn that it is muted."""
    (told,) = _said([SECOND] * 30, is_live=True)
    assert told.startswith("warning: nothing but silence in the first 10 s; ")
    assert told.endswith("is it muted?")
    assert _said([SECOND] * 9 + [_loud(40, -40)] + [SECOND] * 30, is_live=True) == []
    # The dither of a converter is no sound.
    assert _said([_loud(1, -2)] * 2000, is_live=True) != []


def test_live_sound_that_ends_sooner_is_told_of_too() -> None:
    """Ten seconds never came."""
    assert len(_said([SECOND] * 3, is_live=True)) == 1


@pytest.mark.parametrize("size", [1, 3, 400])
def test_channels_that_cancel_each_other_are_named(size: int) -> None:
    """A balanced cable in a stereo socket: what is mixed from it is silence, however chunks are cut."""
    heard = _loud(5000, -5000)
    (told,) = _said([heard[i : i + size] for i in range(0, len(heard), size)], STEREO)
    assert "cancel each other" in told
    assert _said([_loud(5000, 5000)], STEREO) == []
    assert _said([_loud(0, 5000)], STEREO) == []


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
    soundfile.write(tmp_path / "film.wav", np.zeros(1_600, np.int16), 16_000)
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
