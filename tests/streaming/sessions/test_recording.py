import errno
import json
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming import background_files
from streaming.background_files import BackgroundFiles, FileBounds
from streaming.errors import RecordingError, SettingError
from streaming.sessions.recorded_files import Resumption
from streaming.sessions.recorded_session import Received, RecordedSession, session_folders
from streaming.sessions.recording import SessionRecorder
from streaming.testing import synthetic_pcm
from streaming.wire.message_parts import AudioPart, GlossaryPart
from streaming.wire.messages import Begin, Warning

QUERY = "glossary=tones&sample_rate=8000"


def _recorder(folder: Path, query: str = QUERY, bounds: FileBounds | None = None) -> SessionRecorder:
    return SessionRecorder.open(folder, "s_1", query, "model-1", "v1", bounds)


def _begin(seq: int = 0, **more: object) -> Begin:
    return Begin(
        seq=seq,
        protocol=1,
        session_id="s_1",
        glossary=GlossaryPart(id="tones", version="v1", terms=4),
        profile="booth",
        threshold=0.5,
        audio=AudioPart(encoding="linear16", sample_rate=8000, channels=1),
        **more,  # type: ignore[arg-type]
    )


def _warning(seq: int) -> Warning:
    return Warning(seq=seq, code="backpressure", message="slow")


def _read(folder: Path) -> RecordedSession:
    (only,) = session_folders(folder)
    return RecordedSession.read(only)


def _audio_bytes(received: list[Received]) -> bytes:
    return b"".join(chunk for chunk in received if isinstance(chunk, bytes))


def test_what_came_in_and_went_out_is_read_again(tmp_path: Path) -> None:
    """Frames in their order with their sizes, messages, and what the session was."""
    recorder = _recorder(tmp_path)
    recorder.sent([_begin()])
    recorder.received_audio(b"\x01\x00\x02")
    recorder.received_text('{"type": "KeepAlive"}')
    recorder.received_audio(b"")
    recorder.received_audio(b"\x00")
    recorder.sent([_warning(1)])
    recorder.close()
    recording = _read(tmp_path)
    assert recorder.failed is None
    assert list(recording.received()) == [b"\x01\x00\x02", '{"type": "KeepAlive"}', b"", b"\x00"]
    assert recording.messages == (_begin(), _warning(1))
    assert recording.begin == _begin()
    assert recording.is_whole
    assert (recording.header.session_id, recording.header.model_id) == ("s_1", "model-1")
    assert (recording.header.query, recording.header.glossary_version) == (QUERY, "v1")


def test_the_audio_can_be_played(tmp_path: Path) -> None:
    """The audio is a WAV file of the client's own rate and channels, sample for sample."""
    recorder = _recorder(tmp_path, "glossary=tones&sample_rate=44100&channels=2")
    pcm = np.arange(2000, dtype="<i2").tobytes()
    recorder.received_audio(pcm[:1001])
    recorder.received_audio(pcm[1001:])
    recorder.close()
    samples, rate = soundfile.read(session_folders(tmp_path)[0] / "audio.wav", dtype="int16")
    assert (rate, samples.shape) == (44_100, (1000, 2))
    assert samples.tobytes() == pcm


def test_the_audio_can_be_read_while_it_grows(tmp_path: Path) -> None:
    """A killed server leaves a WAV file that says "to the end", and frames without an end."""
    recorder = _recorder(tmp_path)
    recorder.received_audio(bytes(320))
    recorder.sent([_begin()])
    files = recorder._files
    assert isinstance(files, BackgroundFiles)
    files.close({})
    folder = session_folders(tmp_path)[0]
    with soundfile.SoundFile(folder / "audio.wav") as sound:
        assert len(sound.read(dtype="int16")) == 160
    assert not RecordedSession.read(folder).is_whole


def test_no_secret_is_recorded(tmp_path: Path) -> None:
    """Tokens that open a session are neither in the query nor in the greeting that lie on the disk."""
    recorder = _recorder(tmp_path, f"{QUERY}&token=SECRET1&resume=SECRET2&last_seq=4")
    recorder.sent([_begin(resume_token="SECRET3")])
    recorder.close()
    written = b"".join(path.read_bytes() for path in session_folders(tmp_path)[0].iterdir())
    assert b"SECRET" not in written
    assert _read(tmp_path).header.query == QUERY


def test_only_the_owner_reads_a_recording(tmp_path: Path) -> None:
    """Folders and files of speech are closed to others."""
    folder = tmp_path / "sessions"
    recorder = _recorder(folder)
    recorder.close()
    session = session_folders(folder)[0]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, session)] == [0o700, 0o700]
    assert {stat.S_IMODE(path.stat().st_mode) for path in session.iterdir()} == {0o600}


def test_what_is_told_again_is_recorded_once(tmp_path: Path) -> None:
    """After a broken connection the missed messages and the greeting go out again; the recording has each once."""
    recorder = _recorder(tmp_path)
    recorder.sent([_begin(), _warning(1), _warning(2)])
    recorder.received_audio(b"\x01\x02\x03")
    recorder.sent([_warning(2), _begin(2, resumed=True, audio_received_frames=1)])
    recorder.received_audio(b"\x05\x06")
    recorder.sent([_warning(3)])
    recorder.close()
    recording = _read(tmp_path)
    assert [message.seq for message in recording.messages] == [0, 1, 2, 3]
    assert list(recording.received()) == [b"\x01\x02\x03", Resumption(1), b"\x05\x06"]
    samples, _ = soundfile.read(session_folders(tmp_path)[0] / "audio.wav", dtype="int16")
    assert samples.tolist() == [0x0201, 0x0003, 0x0605]


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row "disk full": no call raises, `failed` says why, and what was written before can be read."""
    full = threading.Event()
    real = background_files._open_new

    class FullDisk:
        """A file that takes nothing any more once the disk is full."""

        def __init__(self, path: Path) -> None:
            self._stream = real(path)

        def write(self, content: bytes) -> int:
            if full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._stream.write(content)

        def __getattr__(self, name: str) -> object:
            return getattr(self._stream, name)

    monkeypatch.setattr(background_files, "_open_new", FullDisk)
    recorder = _recorder(tmp_path)
    recorder.sent([_begin()])
    recorder.received_audio(b"\x01\x00")
    files = recorder._files
    assert isinstance(files, BackgroundFiles)
    _wait_until_written(files)
    full.set()
    recorder.received_audio(b"\x02\x00")
    recorder.close()
    recorder.received_audio(b"\x03\x00")
    recorder.sent([_warning(1)])
    recorder.close()
    assert recorder.failed == "No space left on device"
    recording = _read(tmp_path)
    assert _audio_bytes(list(recording.received())) == b"\x01\x00"
    assert not recording.is_whole


def _wait_until_written(files: BackgroundFiles) -> None:
    """Wait until the thread has taken what waits and asks for more."""
    with files._changed:
        assert files._changed.wait_for(lambda: files.is_idle, 10)


def test_a_recording_has_its_bounds(tmp_path: Path) -> None:
    """One that would grow beyond its bound stops there, and its audio can still be played."""
    recorder = _recorder(tmp_path, bounds=FileBounds(max_bytes=2000))
    for _ in range(10):
        recorder.received_audio(bytes(400))
    assert recorder.failed is not None
    assert "2000 bytes" in recorder.failed
    recorder.close()
    folder = session_folders(tmp_path)[0]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2000
    assert soundfile.info(folder / "audio.wav").frames > 0
    assert not RecordedSession.read(folder).is_whole


def test_a_slow_disk_ends_the_recording_and_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs is given up when too much waits for it; the calls return all the while."""
    go = threading.Event()
    real = BackgroundFiles._next_batch
    monkeypatch.setattr(BackgroundFiles, "_next_batch", lambda self: real(self) if go.wait(20) else [])
    recorder = _recorder(tmp_path, bounds=FileBounds(max_waiting_bytes=5000))
    for _ in range(20):
        recorder.received_audio(bytes(400))
    assert recorder.failed is not None
    assert "behind" in recorder.failed
    go.set()
    recorder.close()


@pytest.mark.parametrize(
    ("session_id", "query", "named"),
    [
        ("../s_1", QUERY, "cannot name a folder"),
        ("", QUERY, "cannot name a folder"),
        ("s_1", "sample_rate=fast", "fast"),
        ("s_1", "sample_rate=5", "5 Hz"),
    ],
)
def test_what_cannot_be_recorded_has_failed_from_the_start(
    tmp_path: Path, session_id: str, query: str, named: str
) -> None:
    """No path is made of a name that is not ours, and no exception reaches the server."""
    recorder = SessionRecorder.open(tmp_path / "sessions", session_id, query, "model-1", "v1")
    recorder.received_audio(b"\x00")
    recorder.received_text("{}")
    recorder.sent([_begin()])
    recorder.close()
    assert recorder.failed is not None
    assert named in recorder.failed
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_folder_that_cannot_be_made_has_failed_from_the_start(tmp_path: Path) -> None:
    """Where a file is in the way, `failed` names it."""
    (tmp_path / "sessions").write_text("in the way")
    recorder = _recorder(tmp_path / "sessions")
    recorder.close()
    assert recorder.failed is not None
    assert "sessions" in recorder.failed


def test_a_process_with_no_thread_left_has_failed_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started the server goes on without the recording."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    recorder = _recorder(tmp_path)
    recorder.close()
    assert recorder.failed == "can't start new thread"


@pytest.mark.parametrize("bounds", [{"max_bytes": 0}, {"max_bytes": 1 << 40}, {"max_waiting_bytes": 0}])
def test_bounds_out_of_range_are_refused(bounds: dict[str, int]) -> None:
    """A WAV file cannot be larger than 4 GiB, and a bound of nothing records nothing."""
    with pytest.raises(SettingError, match=str(next(iter(bounds.values())))):
        FileBounds(**bounds)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Give the folder of a short recording."""
    recorder = _recorder(tmp_path)
    recorder.sent([_begin()])
    recorder.received_audio(synthetic_pcm([(500, 100)]))
    recorder.received_audio(bytes(100))
    recorder.close()
    return session_folders(tmp_path)[0]


def test_a_line_that_was_cut_off_is_passed_over(recorded: Path) -> None:
    """The last line of a killed server is half a line; all before it counts."""
    for name in ("frames.jsonl", "messages.jsonl"):
        whole = (recorded / name).read_bytes()
        (recorded / name).write_bytes(whole + b'{"kind": "au')
    assert len(list(RecordedSession.read(recorded).received())) == 2


def test_audio_that_never_reached_the_disk_ends_the_replay(recorded: Path) -> None:
    """A frame whose bytes are missing is not given as a shorter one."""
    audio = (recorded / "audio.wav").read_bytes()
    (recorded / "audio.wav").write_bytes(audio[:-50])
    assert len(list(RecordedSession.read(recorded).received())) == 1


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("session.json", "", "is empty"),
        ("session.json", "[]\n", "not a JSON object"),
        ("session.json", "{}\n", "schema_version"),
        ("session.json", '{"schema_version": 7}', "schema version 7"),
        (
            "session.json",
            '{"hop_ms": 1000000000}',
            "session.json: hop_ms = 1000000000: a server decides every 640 or 320",
        ),
        ("session.json", '{"hop_ms": "320"}', "hop_ms must be an integer"),
        ("frames.jsonl", "nonsense\n", "line 1"),
        ("frames.jsonl", '{"kind": "video"}\n', "video"),
        ("frames.jsonl", '{"kind": "audio"}\n', "size"),
        ("frames.jsonl", '{"kind": "audio", "size": -1}\n', "line 1: -1 is no number of bytes"),
        ("messages.jsonl", '{"type": "Warning"}\n', "line 1"),
        ("frames.jsonl", None, "cannot be read"),
        ("audio.wav", None, "cannot be read"),
    ],
)
def test_a_damaged_recording_is_named(recorded: Path, name: str, content: str | None, named: str) -> None:
    """The error says which file and line, and what to do."""
    if content is None:
        (recorded / name).unlink()
    elif content.startswith("{") and content.endswith("}"):
        # Changes of what is there.
        header = json.loads((recorded / name).read_text("utf-8"))
        (recorded / name).write_text(json.dumps(header | json.loads(content)) + "\n", "utf-8")
    else:
        (recorded / name).write_text(content, "utf-8")
    with pytest.raises(RecordingError, match=named):
        list(RecordedSession.read(recorded).received())


def test_a_frame_larger_than_the_audio_ends_the_replay(recorded: Path) -> None:
    """However large it says it is, no more is read than there is."""
    (folder,) = session_folders(recorded)
    (folder / "frames.jsonl").write_text('{"kind": "audio", "size": 99999999999999}\n', "utf-8")
    assert list(_read(recorded).received()) == []


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    """The error says where recordings come from."""
    with pytest.raises(RecordingError, match="serve --record"):
        session_folders(tmp_path)
