from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.errors import AudioError, SettingError
from training.export.speech import contexts_of


def _write(path: Path, seconds: float, level: float, rate: int = 16_000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate, subtype="PCM_16")
    return path


def test_contexts_are_spread_over_all_recordings(tmp_path: Path) -> None:
    """Of ten contexts in two recordings four are taken at equal distances, in the order of names."""
    _write(tmp_path / "speech" / "a.wav", 5.5, 0.1)
    _write(tmp_path / "speech" / "deep" / "b.flac", 5.0, 0.4)
    contexts = contexts_of([tmp_path / "speech"], 16_000, 4)
    assert [round(float(np.abs(context).max()), 2) for context in contexts] == [0.1, 0.1, 0.4, 0.4]
    assert len(contexts_of([tmp_path / "speech"], 16_000, 99)) == 10


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1), (16_000, 2)])
def test_any_rate_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    """A tone keeps its pitch and its level."""
    (context,) = contexts_of([_write(tmp_path / "t.wav", 1.2, 0.3, rate, channels)], 16_000, 9)
    assert context.shape == (16_000,)
    assert context.dtype == np.float32
    assert int(np.abs(np.fft.rfft(context)).argmax()) == 200
    assert np.abs(context[1000:-1000]).max() == pytest.approx(0.3, abs=0.02)


def test_silence_is_left_out(tmp_path: Path) -> None:
    """A silent context is no background; nothing but silence is an error that says what to give."""
    silent = _write(tmp_path / "silent.wav", 2.0, 0.0)
    loud = _write(tmp_path / "loud.wav", 2.0, 0.2)
    assert len(contexts_of([silent, loud], 16_000, 9)) == 2
    with pytest.raises(SettingError, match=r"no speech of at least 1 s is in .*silent\.wav; give recordings"):
        contexts_of([silent], 16_000, 9)
    with pytest.raises(SettingError, match="in nothing"):
        contexts_of([], 16_000, 9)


def test_recording_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The sentence names the file."""
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError, match=r"bad\.wav: cannot be read"):
        contexts_of([tmp_path / "bad.wav"], 16_000, 9)
    with pytest.raises(AudioError, match=r"absent\.wav: cannot be read"):
        contexts_of([tmp_path / "absent.wav"], 16_000, 9)
