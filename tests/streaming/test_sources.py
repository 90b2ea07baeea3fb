"""Sources: what leaves them, and the sentence each unusable one gets."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.audio import AudioFormat
from streaming.errors import AudioError
from streaming.sources import FileSource, RealTimeSource, SequenceSource, StdinSource


def _noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.5, 0.5, (n, channels)).astype(np.float32)


def _pcm(source: FileSource | StdinSource | SequenceSource) -> np.ndarray:
    return np.frombuffer(b"".join(source.chunks()), "<i2")


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16"), ("wav", "PCM_24")])
def test_integer_files_leave_as_their_own_samples(tmp_path: Path, suffix: str, subtype: str) -> None:
    """An integer file gives the 16-bit samples that libsndfile reads, whatever the block length."""
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, _noise(5000, 2), 16_000, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="int16")
    for block_ms in (20, 100, 1000):
        source = FileSource(path, block_ms=block_ms)
        assert source.format == AudioFormat(sample_rate=16_000, channels=2)
        np.testing.assert_array_equal(_pcm(source), expected.reshape(-1))


def test_floating_point_file_is_clipped_not_wrapped(tmp_path: Path) -> None:
    """Samples beyond full scale stay at full scale with their sign."""
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 1.7, -1.7, 0.25], np.float32), 16_000, subtype="FLOAT")
    samples = _pcm(FileSource(path))
    assert samples[1] > 32_000
    assert samples[2] < -32_000
    assert abs(int(samples[3]) - 8192) <= 1


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "au"])
def test_lossy_files_are_read_to_their_end(tmp_path: Path, suffix: str) -> None:
    """A compressed file gives all that libsndfile decodes of it."""
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, _noise(30_000), 16_000)
    decoded, _ = soundfile.read(path, dtype="float32")
    assert len(_pcm(FileSource(path))) == len(decoded) > 29_000


def test_name_too_long_is_refused() -> None:
    """A name that no file can have is not the system's error but a sentence."""
    with pytest.raises(AudioError, match=r"File name too long.*correct the name"):
        FileSource(Path("x" * 5_000))


def test_high_rate_is_streamed_with_a_note(tmp_path: Path) -> None:
    """192 kHz is accepted and told in one sentence with the rate."""
    path = tmp_path / "high.wav"
    soundfile.write(path, _noise(1920), 192_000)
    notes: list[str] = []
    source = FileSource(path, notify=notes.append)
    assert source.format.sample_rate == 192_000
    assert len(notes) == 1
    assert "192000 Hz" in notes[0]


def _missing(path: Path) -> None:
    """Leave nothing there."""


def _empty(path: Path) -> None:
    path.touch()


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("this is not audio\n" * 100)


def _no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.float32), 16_000)


def _not_a_number(path: Path) -> None:
    samples = np.zeros(100_000, np.float32)
    samples[80_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


def _infinite(path: Path) -> None:
    soundfile.write(path, np.array([0.0, np.inf], np.float32), 16_000, subtype="FLOAT")


def _eight_channels(path: Path) -> None:
    soundfile.write(path, _noise(1600, 8), 16_000)


def _cut_wav(path: Path) -> None:
    soundfile.write(path, _noise(16_000), 16_000)
    path.write_bytes(path.read_bytes()[:20_000])


def _cut_flac(path: Path) -> None:
    whole = path.with_suffix(".flac")
    soundfile.write(whole, _noise(16_000), 16_000)
    path.write_bytes(whole.read_bytes()[:10_000])


def _cut_mp3(path: Path) -> None:
    whole = path.with_suffix(".mp3")
    soundfile.write(whole, _noise(48_000), 16_000)
    path.write_bytes(whole.read_bytes()[:9_000])


def _cut_au(path: Path) -> None:
    whole = path.with_suffix(".au")
    soundfile.write(whole, _noise(16_000), 16_000)
    path.write_bytes(whole.read_bytes()[:20_000])


def _cut_ogg(path: Path) -> None:
    whole = path.with_suffix(".ogg")
    soundfile.write(whole, _noise(48_000), 16_000)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def _too_slow(path: Path) -> None:
    soundfile.write(path, _noise(1600), 4_000)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_missing, "does not exist"),
        (_empty, "0 bytes"),
        (_folder, "not a regular file"),
        (_text, "not audio"),
        (_no_samples, "0 samples"),
        (_not_a_number, "5.000 s"),
        (_infinite, "0.000 s"),
        (_eight_channels, "8 channels"),
        (_cut_wav, "promises 32000 bytes"),
        (_cut_flac, "promises 1.00 s"),
        (_cut_mp3, "promises 3.00 s"),
        (_too_slow, "4000"),
        (_cut_au, "promises 32000 bytes of audio and 19976 are there"),
        (_cut_ogg, "does not end the stream"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(tmp_path: Path, write: object, said: str) -> None:
    """Each kind of unusable file is an AudioError that names the file and the value, before any chunk."""
    path = tmp_path / "talk.wav"
    assert callable(write)
    write(path)
    with pytest.raises(AudioError) as caught:
        FileSource(path)
    message = str(caught.value)
    assert said in message
    assert str(path) in message
    assert "\n" not in message


def test_wav_of_unknown_length_is_accepted(tmp_path: Path) -> None:
    """A WAV written to a pipe, whose header holds 0xFFFFFFFF, is read to its end."""
    path = tmp_path / "piped.wav"
    soundfile.write(path, _noise(1600), 16_000)
    written = bytearray(path.read_bytes())
    written[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(written)
    assert len(_pcm(FileSource(path))) == 1600


def test_headerless_file_names_the_way_to_stream_it(tmp_path: Path) -> None:
    """A *.raw file has no format to read, so the cure is standard input with a rate."""
    path = tmp_path / "talk.raw"
    path.write_bytes(bytes(3200))
    with pytest.raises(AudioError, match="--sample-rate"):
        FileSource(path)


class _Trickle(io.BytesIO):
    """A pipe that hands over at most 7 bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(7)


def test_standard_input_is_passed_on_unchanged() -> None:
    """Bytes from standard input leave as they came, without waiting for a full block."""
    sent = bytes(range(100))
    chunks = list(StdinSource(8_000, stream=_Trickle(sent)).chunks())
    assert b"".join(chunks) == sent
    assert max(map(len, chunks)) == 7


@pytest.mark.parametrize(
    ("sent", "said"), [(b"", "0 bytes"), (b"RIFF\x00\x00\x00\x00WAVE", "WAV file"), (b"fLaC" + bytes(50), "FLAC file")]
)
def test_standard_input_without_raw_audio_is_refused(sent: bytes, said: str) -> None:
    """Nothing, or a file with a header, on standard input is told apart from raw audio."""
    with pytest.raises(AudioError, match=said):
        list(StdinSource(stream=io.BytesIO(sent)).chunks())


def test_terminal_as_standard_input_is_refused() -> None:
    """Waiting for audio that a person would have to type is an error with the pipe to use instead."""

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    with pytest.raises(AudioError, match=r"terminal.*termcue listen - --sample-rate 16000"):
        StdinSource(stream=Terminal())
    with pytest.raises(AudioError, match=r"terminal.*termcue stream - --sample-rate 8000"):
        StdinSource(8_000, stream=Terminal(), pipe_to="termcue stream -")


class _Fixed:
    """Chunks of given length in a given format."""

    def __init__(self, n_chunks: int, chunk: bytes, sample_rate: int = 16_000) -> None:
        self.format = AudioFormat(sample_rate=sample_rate, channels=1)
        self._chunks = [chunk] * n_chunks

    def chunks(self) -> Iterator[bytes]:
        yield from self._chunks


def test_sequence_parts_sources_by_silence() -> None:
    """Sources of one format follow each other with the gap after each."""
    joined = b"".join(SequenceSource([_Fixed(1, b"\1\1"), _Fixed(1, b"\2\2")], gap_ms=1).chunks())
    assert joined == b"\1\1" + bytes(32) + b"\2\2" + bytes(32)


def test_sequence_of_different_formats_is_refused() -> None:
    """One stream has one format."""
    with pytest.raises(AudioError, match="have 2"):
        SequenceSource([_Fixed(1, b""), _Fixed(1, b"", sample_rate=8_000)])


def test_real_time_holds_chunks_back_and_changes_none() -> None:
    """A chunk leaves when its last sample would have been heard; time lost is caught up, not added."""
    now = 100.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    paced = RealTimeSource(_Fixed(4, bytes(3200)), clock=lambda: now, sleep=sleep)
    heard = []
    for number, chunk in enumerate(paced.chunks()):
        heard.append(chunk)
        if number == 1:
            now += 0.15  # the listener was slow once
    assert heard == [bytes(3200)] * 4
    assert waits == pytest.approx([0.1, 0.1, 0.05])
    assert now == pytest.approx(100.4)


def test_a_faster_pace_waits_less() -> None:
    """At four times the speed of speech a chunk of 0.1 s leaves after 25 ms."""
    waits: list[float] = []
    paced = RealTimeSource(_Fixed(2, bytes(3200)), clock=lambda: sum(waits), sleep=waits.append, speed=4.0)
    assert list(paced.chunks()) == [bytes(3200)] * 2
    assert waits == pytest.approx([0.025, 0.025])
