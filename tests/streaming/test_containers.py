"""What bytes tell of themselves: raw samples, a container, text, or a file without its end."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.containers import container_of, missing_end
from streaming.errors import AudioError
from streaming.sources import StdinSource


def _noise(n: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, n).astype(np.float32)


HEADS = {
    "MP4": b"\0\0\0\x20ftypM4A " + bytes(60),
    "WebM": b"\x1aE\xdf\xa3" + bytes(60),
    "MP3": b"ID3\4" + bytes(60),
    "text": "Gemüt, Kern\n".encode() * 20,
}


@pytest.mark.parametrize("name", HEADS)
def test_containers_are_known_by_their_first_bytes(name: str) -> None:
    """What a player writes, and text, are named."""
    assert name in str(container_of(HEADS[name]))


@pytest.mark.parametrize(
    ("form", "name"),
    [
        *(("WAV", "WAV"), ("RF64", "WAV"), ("W64", "W64"), ("FLAC", "FLAC"), ("OGG", "Ogg"), ("AIFF", "AIFF")),
        *(("AU", "AU"), ("CAF", "CAF"), ("MP3", "MP3")),
    ],
)
@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_what_libsndfile_writes_is_refused_on_standard_input(tmp_path: Path, form: str, name: str, rate: int) -> None:
    """Each format that can be a file is told from raw samples, in pipes of any granularity."""
    path = tmp_path / "talk"
    soundfile.write(path, _noise(rate), rate, format=form)
    with path.open("rb", buffering=0) as stream, pytest.raises(AudioError, match=f"holds an? {name} file"):
        list(StdinSource(stream=_Trickle(stream.read())).chunks())  # type: ignore[arg-type]


class _Trickle:
    """A pipe that hands over 7 bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._pieces = iter([content[start : start + 7] for start in range(0, len(content), 7)])

    def isatty(self) -> bool:
        return False

    def read(self, _: int) -> bytes:
        return next(self._pieces, b"")


@pytest.mark.parametrize("first", [-1, -1025, -1281, -3329])
def test_loud_or_quiet_samples_are_no_container(first: int) -> None:
    """Samples whose bytes look like the start of an MP3 frame stay raw audio, as do silence and noise."""
    samples = (_noise(4_000) * 32_767).astype("<i2")
    samples[0] = first
    assert container_of(samples.tobytes()) is None
    assert container_of(bytes(4_000)) is None


def test_whole_files_lack_no_end(tmp_path: Path) -> None:
    """AU and Ogg as they are written, and an AU whose length is unknown, are whole; any cut Ogg is not."""
    for form in ("AU", "OGG"):
        path = tmp_path / form
        soundfile.write(path, _noise(48_000), 16_000, format=form)
        assert missing_end(path) is None
    whole = (tmp_path / "OGG").read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 100):
        (tmp_path / "OGG").write_bytes(whole[:size])
        assert "does not end" in str(missing_end(tmp_path / "OGG"))
    piped = bytearray((tmp_path / "AU").read_bytes()[:20_000])
    piped[8:12] = b"\xff\xff\xff\xff"
    (tmp_path / "AU").write_bytes(piped)
    assert missing_end(tmp_path / "AU") is None
