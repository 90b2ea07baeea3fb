"""What lies in the folder of a recorded session, and how each file is written.

`session.json` says what was asked for and of which model; `frames.jsonl` what came in, in its order; `audio.wav` the
bytes of the audio frames, one after the other; `messages.jsonl` what went out, as it was on the wire.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias
from urllib.parse import parse_qsl, urlencode

from streaming.audio import AudioFormat
from streaming.errors import RecordingError
from streaming.pipeline_config import HOPS_MS
from streaming.wire.typed_json import FieldError, JsonObject, read_record, write_record

SCHEMA_VERSION = 1
SESSION_FILE, FRAMES_FILE, AUDIO_FILE, MESSAGES_FILE = "session.json", "frames.jsonl", "audio.wav", "messages.jsonl"

# Keys of the address that open doors, or belong to one connection.
_SECRET_KEYS = ("token", "resume", "last_seq")
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
WAV_HEADER_BYTES = _WAV_HEADER.size
_UNKNOWN_SIZE = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHeader:
    """What a session was: `query` without secrets, `started` in UTC, `termcue` the version of the program.

    `hop_ms` is how much new audio a decision had; of old recordings, which do not tell, 0.32 s.
    """

    schema_version: int
    session_id: str
    query: str
    model_id: str
    glossary_version: str
    started: str
    termcue: str
    protocol: int
    hop_ms: int = 320


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A binary frame; its bytes are the next `size` of the audio file."""

    KIND: ClassVar[str] = "audio"
    size: int


@dataclass(frozen=True, slots=True)
class TextFrame:
    """A text frame."""

    KIND: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Resumption:
    """The client came back and sends again from a whole PCM frame on; `padding` bytes keep the audio file in step."""

    KIND: ClassVar[str] = "resumed"
    padding: int


@dataclass(frozen=True, slots=True)
class RecordingEnd:
    """The session was over: nothing is missing."""

    KIND: ClassVar[str] = "end"


RecordedFrame: TypeAlias = AudioFrame | TextFrame | Resumption | RecordingEnd
_KINDS: Mapping[str, type[RecordedFrame]] = {
    kind.KIND: kind for kind in (AudioFrame, TextFrame, Resumption, RecordingEnd)
}


def frame_line(frame: RecordedFrame) -> bytes:
    """A line of `frames.jsonl`."""
    return _line({"kind": frame.KIND, **write_record(frame)})


def read_frame(line: str) -> RecordedFrame:
    """A line of `frames.jsonl` -> what it says. Raises RecordingError."""
    written = _object(line)
    kind = _KINDS.get(str(written.pop("kind", None)))
    if kind is None:
        raise RecordingError(f"{line!r} is no frame of a recording: its kind is one of {', '.join(_KINDS)}")
    try:
        return read_record(kind, written, strict=False)
    except FieldError as error:
        raise RecordingError(f"{line!r} is no frame of a recording: {error}") from error


def header_line(header: RecordingHeader) -> bytes:
    """The content of `session.json`."""
    return _line(write_record(header))


def read_header(text: str) -> RecordingHeader:
    """The content of `session.json` -> what it says. Raises RecordingError."""
    try:
        header = read_record(RecordingHeader, _object(text), strict=False)
    except FieldError as error:
        raise RecordingError(str(error)) from error
    if header.schema_version != SCHEMA_VERSION:
        raise RecordingError(
            f"it has schema version {header.schema_version}, not {SCHEMA_VERSION}: replay it with the version of "
            f"termcue that made it, {header.termcue}"
        )
    if header.hop_ms not in HOPS_MS:
        raise RecordingError(f"hop_ms = {header.hop_ms}: a server decides every {' or '.join(map(str, HOPS_MS))} ms")
    return header


def query_without_secrets(query: str) -> str:
    """The part of an address after "?" without what opens doors."""
    return urlencode(
        [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key not in _SECRET_KEYS]
    )


def format_of_query(query: str) -> AudioFormat:
    """How the bytes of a session with that address are to be read. Raises ValueError or AudioError."""
    asked = dict(parse_qsl(query))
    default = AudioFormat()
    return AudioFormat(
        sample_rate=int(asked.get("sample_rate", default.sample_rate)),
        channels=int(asked.get("channels", default.channels)),
    )


def wav_header(audio_format: AudioFormat, audio_bytes: int | None = None) -> bytes:
    """The 44 bytes before s16le audio; for audio that goes on (None) the sizes that programs take as "to the end"."""
    per_frame, rate = audio_format.bytes_per_frame, audio_format.sample_rate
    size = _UNKNOWN_SIZE if audio_bytes is None else audio_bytes
    riff_size = min(size + WAV_HEADER_BYTES - 8, _UNKNOWN_SIZE)
    form = (b"fmt ", 16, 1, audio_format.channels, rate, rate * per_frame, per_frame, 16)
    return _WAV_HEADER.pack(b"RIFF", riff_size, b"WAVE", *form, b"data", size)


def _line(written: JsonObject) -> bytes:
    return json.dumps(written, ensure_ascii=False).encode() + b"\n"


def _object(text: str) -> JsonObject:
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{text[:60]!r} is not JSON: {error}") from error
    if not isinstance(written, dict):
        raise RecordingError(f"{text[:60]!r} is not a JSON object")
    return written
