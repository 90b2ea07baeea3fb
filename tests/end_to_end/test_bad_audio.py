"""Bad audio of every kind: one clear sentence with the value and the cure, exit code 1 or 2, nothing half-written."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.cli import run
from tests.end_to_end.empty_machine import Place, good_glossary, refused


def _noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.3, 0.3, (n, channels)).astype(np.float32)


def _truncated(path: Path) -> None:
    soundfile.write(path, _noise(16_000), 16_000)
    path.write_bytes(path.read_bytes()[:16_000])


def _nan(path: Path) -> None:
    samples = _noise(16_000)
    samples[8_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


BAD_AUDIO: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.touch(), "0 bytes"),
    "folder": (lambda path: path.mkdir(), "not a regular file"),
    "truncated": (_truncated, "promises 32000 bytes of audio and 15956 are there"),
    "not audio": (lambda path: path.write_text("words, words, words\n" * 50), "not audio"),
    "no samples": (lambda path: soundfile.write(path, _noise(0), 16_000), "0 samples"),
    "not a number": (_nan, "not a finite number at 0.500 s"),
    "eight channels": (lambda path: soundfile.write(path, _noise(1600, 8), 16_000), "8 channels"),
    "rate too low": (lambda path: soundfile.write(path, _noise(1600), 2_000), "2000 Hz"),
    "rate too high": (lambda path: soundfile.write(path, _noise(1600), 384_000), "384000 Hz"),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_refused(place: Place, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """An audio file that cannot be streamed is named with what is wrong, before anything is printed or built."""
    write, said = BAD_AUDIO[kind]
    path = place.folder / "talk.wav"
    write(path)
    sentence = refused(place, capsys, ["listen", str(path), "--glossary", "terms.csv", "--json"])
    assert said in sentence
    assert "talk.wav" in sentence


@pytest.mark.parametrize(("sent", "said"), [(b"", "0 bytes"), (b"RIFF" + bytes(200), "WAV file")])
def test_bad_standard_input_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sent: bytes, said: str
) -> None:
    """Nothing, or a file with a header, on standard input is told apart from raw audio."""
    reading, writing = os.pipe()
    os.write(writing, sent)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        code = run(["listen", "-", "--glossary", str(good_glossary(place)), "--json"])
    printed = capsys.readouterr()
    assert code == 1
    assert [json.loads(line)["type"] for line in printed.out.splitlines()] == ["Begin"]
    assert said in printed.err.splitlines()[-1]


def test_high_rate_is_heard_with_a_note(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """192 kHz is unusual and usable: one sentence, then the stream."""
    path = place.folder / "high.wav"
    soundfile.write(path, _noise(96_000), 192_000)
    assert run(["listen", str(path), "--glossary", str(good_glossary(place)), "--json"]) == 0
    printed = capsys.readouterr()
    assert "has 192000 Hz" in printed.err
    assert json.loads(printed.out.splitlines()[-1])["duration"] == pytest.approx(0.5)
