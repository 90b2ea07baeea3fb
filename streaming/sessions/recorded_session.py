"""Reads the folder of a recorded session, also of one whose server was killed meanwhile."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from streaming.errors import RecordingError, WireError
from streaming.protocol import decode_server
from streaming.sessions.recorded_files import (
    AUDIO_FILE,
    FRAMES_FILE,
    MESSAGES_FILE,
    SESSION_FILE,
    WAV_HEADER_BYTES,
    AudioFrame,
    RecordedFrame,
    RecordingEnd,
    RecordingHeader,
    Resumption,
    TextFrame,
    read_frame,
    read_header,
)
from streaming.wire.messages import Begin, ServerMessage

_CURE = "give a folder that termcue serve --record has made"
Received: TypeAlias = bytes | str | Resumption
"""An audio frame, a text frame, or that the client came back."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A recorded session.

    Attributes:
        folder: where it is.
        header: what it was.
        messages: what the server said, in its order.
        is_whole: whether it was recorded to its end.
    """

    folder: Path
    header: RecordingHeader
    messages: tuple[ServerMessage, ...]
    is_whole: bool

    @classmethod
    def read(cls, folder: Path) -> "RecordedSession":
        """Read all but the audio. Raises RecordingError where the folder is no recording, or a damaged one."""
        text = "".join(_whole_lines(folder / SESSION_FILE))
        if not text:
            raise RecordingError(f"{folder / SESSION_FILE} is empty: the server was stopped before the session began")
        try:
            header = read_header(text)
        except RecordingError as error:
            raise RecordingError(f"{folder / SESSION_FILE}: {error}; {_CURE}") from error
        messages = tuple(_messages(folder / MESSAGES_FILE))
        lines = _whole_lines(folder / FRAMES_FILE)
        is_whole = bool(lines) and isinstance(_frame(folder, len(lines), lines[-1]), RecordingEnd)
        return cls(folder, header, messages, is_whole)

    @property
    def begin(self) -> Begin | None:
        """The greeting; None of a recording that ended before it."""
        return next((message for message in self.messages if isinstance(message, Begin)), None)

    def received(self) -> Iterator[Received]:
        """What came in, in its order. Raises RecordingError for a line that says nothing."""
        try:
            audio = (self.folder / AUDIO_FILE).open("rb")
        except OSError as error:
            raise _unreadable(self.folder / AUDIO_FILE, error) from error
        with audio:
            most = audio.seek(0, os.SEEK_END)
            audio.seek(WAV_HEADER_BYTES)
            for number, line in enumerate(_whole_lines(self.folder / FRAMES_FILE), 1):
                match _frame(self.folder, number, line):
                    case AudioFrame(size):
                        chunk = audio.read(min(self._count(number, size), most))
                        if len(chunk) < size:
                            return
                        yield chunk
                    case TextFrame(text):
                        yield text
                    case Resumption(padding) as resumption:
                        audio.seek(self._count(number, padding), os.SEEK_CUR)
                        yield resumption
                    case RecordingEnd():
                        return

    def _count(self, number: int, count: int) -> int:
        if count < 0:
            where = f"{self.folder / FRAMES_FILE}, line {number}"
            raise RecordingError(f"{where}: {count} is no number of bytes; {_CURE}")
        return count


def session_folders(folder: Path) -> list[Path]:
    """The folder of one session itself, or those in a folder of many, oldest first. Raises RecordingError for none."""
    if (folder / SESSION_FILE).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{SESSION_FILE}"))
    if not found:
        raise RecordingError(f"there is no recorded session in {folder}; {_CURE}")
    return found


def _frame(folder: Path, number: int, line: str) -> RecordedFrame:
    try:
        return read_frame(line)
    except RecordingError as error:
        raise RecordingError(f"{folder / FRAMES_FILE} line {number}: {error}") from error


def _messages(path: Path) -> Iterator[ServerMessage]:
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            message = decode_server(line)
        except WireError as error:
            raise RecordingError(f"{path} line {number}: {error}") from error
        if message is not None:
            yield message


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file; the last one only where it was written to its end."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return lines[:-1]


def _unreadable(path: Path, error: Exception) -> RecordingError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return RecordingError(f"{path} cannot be read ({reason}); {_CURE}")
