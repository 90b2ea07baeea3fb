"""Recordings on their way: what lies on the disk meanwhile, and afterwards."""

import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.errors import AudioError
from streaming.server import spooled
from streaming.server.spooled import Spooled, TooBig
from tests.streaming.server.serving import SPEECH


def _wav() -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.frombuffer(SPEECH, np.int16), 16_000, format="WAV", subtype="PCM_16")
    return written.getvalue()


async def _in_parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]


def _fill(recording: Spooled, content: bytes, most_bytes: int = 1_000_000) -> None:
    asyncio.run(recording.fill(_in_parts(content), most_bytes, contextlib.nullcontext, 10))


def _filled(content: bytes) -> Spooled:
    recording = Spooled.begun()
    _fill(recording, content)
    return recording


@pytest.fixture(params=["no name", "a name"])
def temporary(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files; once on a system that knows files without a name, once on one that does not."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if request.param == "a name":
        monkeypatch.setattr(spooled, "_OPEN_FILES", tmp_path / "none")
    return tmp_path


def test_a_recording_is_read_back_and_leaves_nothing(temporary: Path) -> None:
    """As a file and as raw samples, twice if need be; after its removal there is nothing, and nothing to read."""
    recording = _filled(_wav())
    assert recording.size == len(_wav())
    source = recording.source()
    assert source.duration_s == len(SPEECH) / 32_000
    for _ in range(2):
        assert b"".join(source.chunks()) == SPEECH
        assert b"".join(recording.raw_chunks()) == _wav()
    chunks = recording.raw_chunks()
    assert recording.next_of(chunks)
    recording.remove()
    recording.remove()
    assert recording.next_of(chunks) is None
    assert list(temporary.iterdir()) == []
    with pytest.raises(AudioError, match="gone"):
        recording.source()


def test_a_message_does_not_tell_where_a_recording_lies(temporary: Path) -> None:
    """Neither name nor number of its file."""
    recording = _filled(b"no audio at all")
    with pytest.raises(AudioError) as refused:
        recording.source()
    assert recording.nameless(str(refused.value)).startswith("the recording is not audio")
    recording.remove()
    assert list(temporary.iterdir()) == []


def test_a_recording_under_way_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a process that is killed leaves none behind; elsewhere it has one name, until it is removed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recording = _filled(_wav())
    assert len(list(tmp_path.iterdir())) == (0 if spooled._OPEN_FILES.exists() else 1)
    recording.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_stays_while_a_thread_opens_it(temporary: Path) -> None:
    """The number of its file may be another's as soon as it is closed."""
    recording = _filled(_wav())
    is_open = []

    def removed_meanwhile() -> bytes:
        recording.remove()
        is_open.append(recording._path.exists())
        return b"chunk"

    assert recording.next_of(iter(removed_meanwhile, b"")) == b"chunk"
    assert is_open == [True]
    assert list(temporary.iterdir()) == []


def test_too_big_a_recording_is_refused(temporary: Path) -> None:
    """What is above the limit is not written, and the rest goes with it."""
    recording = Spooled.begun()
    with pytest.raises(TooBig):
        _fill(recording, _wav(), most_bytes=50_000)
    recording.remove()
    assert list(temporary.iterdir()) == []
