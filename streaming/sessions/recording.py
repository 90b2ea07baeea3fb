"""Records a session while it runs: what came in, in its order, and what went out.

A recording never touches its session: calls return at once, a thread of its own writes, and whatever goes wrong ends
the recording and nothing else.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streaming.audio import AudioFormat
from streaming.background_files import BackgroundFiles, FileBounds
from streaming.errors import AudioError
from streaming.pipeline_config import HOP_MS
from streaming.protocol import PROTOCOL_VERSION, Begin, ServerMessage, encode
from streaming.sessions.closing import Output
from streaming.sessions.recorded_files import (
    AUDIO_FILE,
    FRAMES_FILE,
    MESSAGES_FILE,
    SCHEMA_VERSION,
    SESSION_FILE,
    AudioFrame,
    RecordedFrame,
    RecordingEnd,
    RecordingHeader,
    Resumption,
    TextFrame,
    format_of_query,
    frame_line,
    header_line,
    query_without_secrets,
    wav_header,
)

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SessionRecorder:
    """Records one session; no method raises.

    Call it where the session is called and in the same order: `received_audio` or `received_text` for each frame that
    the session is given, `sent` for what it answers, `close` when it is over. Not safe for concurrent use.
    """

    def __init__(self, files: BackgroundFiles | str, audio_format: AudioFormat | None = None) -> None:
        """A recorder into files, or one that failed before it began, and why."""
        self._files = files
        self._format = audio_format or AudioFormat()
        self._audio_bytes = 0
        self._last_seq = -1
        self._add(AUDIO_FILE, wav_header(self._format))

    @classmethod
    def open(
        cls,
        folder: Path,
        session_id: str,
        query: str,
        model_id: str,
        glossary_version: str,
        bounds: FileBounds | None = None,
        hop_ms: int = HOP_MS,
    ) -> "SessionRecorder":
        """Begin to record a session in a folder of its own; where that cannot be made, the recorder has `failed`.

        Args:
            folder: where the folder of the session is made.
            session_id: its name, of the server's making.
            query: the part of the client's address after "?"; what opens doors in it is left out.
            model_id: of the model that hears it.
            glossary_version: that it begins with.
            bounds: how much is recorded at most.
            hop_ms: how much new audio a decision has.
        """
        started = datetime.now(UTC)
        if not _SAFE_ID.fullmatch(session_id):
            return cls(f"{session_id!r} cannot name a folder")
        header = RecordingHeader(
            schema_version=SCHEMA_VERSION,
            session_id=session_id,
            query=query_without_secrets(query),
            model_id=model_id,
            glossary_version=glossary_version,
            started=started.isoformat(timespec="milliseconds"),
            termcue=_own_version(),
            protocol=PROTOCOL_VERSION,
            hop_ms=hop_ms,
        )
        try:
            audio_format = format_of_query(query)
            target = folder / f"{started:%Y%m%dT%H%M%SZ}-{session_id}"
            # Speech and what was said of it: for their owner alone.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.mkdir(mode=0o700)
            names = (SESSION_FILE, FRAMES_FILE, AUDIO_FILE, MESSAGES_FILE)
            recorder = cls(BackgroundFiles(target, names, bounds or FileBounds()), audio_format)
        except OSError as error:
            return cls(f"{error.filename or folder}: {error.strerror or error}")
        except (ValueError, AudioError, RuntimeError) as error:
            return cls(str(error))
        recorder._add(SESSION_FILE, header_line(header))
        return recorder

    @property
    def failed(self) -> str | None:
        """Why the recording ended too early; None as long as it did not."""
        return self._files if isinstance(self._files, str) else self._files.failed

    def received_audio(self, chunk: bytes) -> None:
        """A binary frame came."""
        if self._add(AUDIO_FILE, chunk):
            self._audio_bytes += len(chunk)
            self._add_frame(AudioFrame(len(chunk)))

    def received_text(self, text: str) -> None:
        """A text frame came."""
        self._add_frame(TextFrame(text))

    def sent(self, outputs: Iterable[Output]) -> None:
        """The session answered. What is told again to a client that comes back is recorded once."""
        for output in outputs:
            if isinstance(output, Begin) and output.resumed:
                self._resume()
            if isinstance(output, ServerMessage) and output.seq > self._last_seq:
                self._last_seq = output.seq
                self._add(MESSAGES_FILE, encode(_without_secrets(output)).encode() + b"\n")

    def close(self) -> None:
        """The session is over. Waits for the disk, a few seconds at most; further calls do nothing."""
        self._add_frame(RecordingEnd())
        if not isinstance(self._files, str):
            self._files.close({AUDIO_FILE: wav_header(self._format, self._audio_bytes)})

    def _resume(self) -> None:
        padding = bytes(-self._audio_bytes % self._format.bytes_per_frame)
        if self._add(AUDIO_FILE, padding):
            self._audio_bytes += len(padding)
            self._add_frame(Resumption(len(padding)))

    def _add_frame(self, frame: RecordedFrame) -> None:
        self._add(FRAMES_FILE, frame_line(frame))

    def _add(self, name: str, content: bytes) -> bool:
        return not isinstance(self._files, str) and self._files.put(name, content)


def _without_secrets(message: ServerMessage) -> ServerMessage:
    return replace(message, resume_token=None) if isinstance(message, Begin) else message


def _own_version() -> str:
    try:
        return version("termcue")
    except PackageNotFoundError:
        return "unknown"
