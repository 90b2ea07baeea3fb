import copy
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.corpus.audio import AudioError, length_of, read_stretch
from training.corpus.examples import Example, TermSpan


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two seconds of a rising ramp."""
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.arange(32_000) / 40_000, 16_000, subtype="FLOAT")
    return path


def row(path: Path, start: int = 0, samples: int = 0) -> Example:
    """A stretch of a file."""
    return Example("r7", path, start, samples, "", ())


def test_a_stretch_is_read_to_the_sample(recording: Path) -> None:
    """Start and length are those asked for; 0 samples mean the rest."""
    part = read_stretch(row(recording, 1_000, 2_000))
    np.testing.assert_allclose(part, np.arange(1_000, 3_000) / 40_000, atol=1e-6)
    assert part.dtype == np.float32
    assert len(read_stretch(row(recording, 30_000))) == length_of(row(recording, 30_000)) == 2_000


@pytest.mark.parametrize(("start", "samples"), [(0, 40_000), (31_990, 0), (40_000, 10), (0, 100)])
def test_a_stretch_outside_its_file_is_refused(recording: Path, start: int, samples: int) -> None:
    """More samples than there are, or too few for a feature, are errors of the header and of the reading alike."""
    for read in (length_of, read_stretch):
        with pytest.raises(AudioError, match="r7"):
            read(row(recording, start, samples))


@pytest.mark.parametrize(
    ("audio", "rate", "reason"),
    [
        (np.ones(8_000), 8_000, "8000 Hz"),
        (np.ones((8_000, 2)), 16_000, "16000 Hz mono"),
        (np.zeros(8_000), 16_000, "silent"),
        (np.full(8_000, np.nan), 16_000, "NaN"),
    ],
)
def test_unusable_audio_says_why(tmp_path: Path, audio: np.ndarray, rate: int, reason: str) -> None:
    """Another rate, two channels, silence and values that are no numbers are refused by reason."""
    soundfile.write(tmp_path / "a.wav", audio, rate, subtype="FLOAT")
    with pytest.raises(AudioError, match=reason):
        read_stretch(row(tmp_path / "a.wav"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """A missing file and one that is no audio are named."""
    (tmp_path / "b.wav").write_bytes(b"RIFF nothing")
    for name in ("absent.wav", "b.wav"):
        for read in (length_of, read_stretch):
            with pytest.raises(AudioError, match=name):
                read(row(tmp_path / name))


def test_errors_pass_between_processes(tmp_path: Path) -> None:
    """What a reading process found arrives whole."""
    error = AudioError(row(tmp_path / "x.wav"), "is silent")
    again = copy.copy(error)  # by `__reduce__`, as between processes
    assert (str(again), again.example, again.reason) == (str(error), error.example, "is silent")


@pytest.mark.parametrize("samples", [0, 32_000])
def test_a_term_that_ends_after_its_audio_is_refused(recording: Path, samples: int) -> None:
    """It is named with its end and the audio's; 0.05 s are forgiven."""
    late = replace(row(recording, 0, samples), terms=(TermSpan("ion", 0, 100), TermSpan("beam", 1_600, 80_000)))
    with pytest.raises(AudioError, match=r"r7.*'beam' ends at 5\.000 s, after its audio of 2\.000 s"):
        length_of(late)
    assert length_of(replace(late, terms=(TermSpan("beam", 1_600, 32_800),))) == 32_000


def test_a_pipe_is_no_audio(tmp_path: Path) -> None:
    """It would be waited for without end."""
    os.mkfifo(tmp_path / "a.wav")
    for read in (length_of, read_stretch):
        with pytest.raises(AudioError, match="is no regular file"):
            read(row(tmp_path / "a.wav"))
        with pytest.raises(AudioError, match="is not there"):
            read(row(tmp_path / "absent.wav"))


def test_a_file_without_its_end_is_refused(tmp_path: Path) -> None:
    """A cut WAV, which libsndfile reads without a word, and headerless sound, which it does not read at all."""
    soundfile.write(tmp_path / "a.wav", np.full(16_000, 0.5), 16_000, subtype="PCM_16")
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:4_000])
    with pytest.raises(AudioError, match=r"is cut off: its header promises 32000 bytes"):
        length_of(row(tmp_path / "b.wav"))
    (tmp_path / "a.raw").write_bytes(bytes(4_000))
    for read in (length_of, read_stretch):
        with pytest.raises(AudioError, match="cannot be read"):
            read(row(tmp_path / "a.raw"))
