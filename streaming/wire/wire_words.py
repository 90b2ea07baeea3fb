"""What the wire protocol says beside its messages: parameters of the address, codes of closes, errors and warnings."""

from collections.abc import Mapping
from dataclasses import dataclass

from streaming.wire.message_parts import CloseCode
from streaming.wire.typed_json import JsonValue

FLAG: Mapping[str, JsonValue] = {"type": "string", "enum": ["true", "false", "1", "0"]}
TEXT: Mapping[str, JsonValue] = {"type": "string"}
NUMBER: Mapping[str, JsonValue] = {"type": "integer"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the address: its JSON schema, and what it means."""

    name: str
    schema: Mapping[str, JsonValue]
    meaning: str


PARAMETERS = (
    Parameter(
        "glossary", TEXT, "What to listen for; the only parameter that must be there. Several in layers: `mine,shared`."
    ),
    Parameter(
        "version", TEXT, "`latest` (the default), which follows new versions, or the name of one that is served."
    ),
    Parameter("source_lang", TEXT, "Language that is spoken; the glossary's by default."),
    Parameter("target_lang", TEXT, "Language of the translations; needed where the glossary has several."),
    Parameter("encoding", {"type": "string", "enum": ["linear16"]}, "`linear16`, the default: s16le."),
    Parameter("sample_rate", {**NUMBER, "minimum": 8000, "maximum": 192000}, "Of the audio, in Hz; 16000 by default."),
    Parameter("channels", {**NUMBER, "enum": [1, 2]}, "1 (the default) or 2, interleaved; two are mixed."),
    Parameter("profile", TEXT, "How sure a hint must be: `booth` (the default) or `mt`."),
    Parameter("interim_hints", FLAG, "Whether hints come that are not final yet; `false` by default."),
    Parameter("vad_events", FLAG, "Whether `SpeechStarted` and `SpeechEnded` are told; `true` by default."),
    Parameter("abstain_events", FLAG, "Whether `Abstain` is told; `false` by default."),
    Parameter(
        "format", {"type": "string", "enum": ["hints", "term_map"]}, "`hints`, or `term_map`: `TermMap` instead."
    ),
    Parameter("chunk_ms", {**NUMBER, "minimum": 320, "maximum": 30000}, "Audio of one `TermMap`; 960 by default."),
    Parameter("resume", TEXT, "The `resume_token` of a session to take up again; the others do not count then."),
    Parameter(
        "last_seq", {**NUMBER, "minimum": -1}, "With `resume`: `seq` of the last message that came; -1 for none."
    ),
    Parameter("token", TEXT, "A short-lived token in place of an API key, for browsers."),
)

CLOSE_CODES: Mapping[CloseCode, str] = {
    CloseCode.NORMAL: "The session is over: `CloseStream` was answered.",
    CloseCode.RESTART: "The server stops or restarts. Connect again after `retry_after_s`.",
    CloseCode.BROKEN_FRAME: "A frame breaks the websocket protocol.",
    CloseCode.BROKEN_TEXT: "A text frame is not UTF-8.",
    CloseCode.FRAME_TOO_BIG: "A frame has more than `limits.max_frame_bytes`.",
    CloseCode.INTERNAL: "The server broke; its log says why.",
    CloseCode.OVERLOADED: "No room for another session. Connect again after `retry_after_s`.",
    CloseCode.CONFIG: "The address asks for something that there is not.",
    CloseCode.AUTH: "The API key or token is missing, wrong or was removed. Trying again does not help.",
    CloseCode.GLOSSARY: "The glossary, or that version of it, is not served.",
    CloseCode.IDLE: "Nothing came for `limits.idle_timeout_s`. The session can be resumed.",
    CloseCode.SUPERSEDED: "The session was taken up by another connection.",
    CloseCode.RESUME_EXPIRED: "The session, or what it said meanwhile, is forgotten. Open a new one.",
    CloseCode.TOO_FAST: "Audio came faster than `limits.max_realtime_factor`.",
    CloseCode.NOT_READY: "The server is still starting. Connect again after `retry_after_s`.",
}

FATAL_ERRORS: Mapping[str, tuple[CloseCode, str]] = {
    "no_key": (CloseCode.AUTH, "The server wants an API key, and none came."),
    "wrong_key": (CloseCode.AUTH, "The API key is not known."),
    "wrong_token": (CloseCode.AUTH, "The short-lived token is not known, used or too old."),
    "key_removed": (CloseCode.AUTH, "The API key by which the session was let in was removed while it ran."),
    "missing_parameter": (CloseCode.CONFIG, "The address lacks `glossary`, or `last_seq` beside `resume`."),
    "unknown_parameter": (CloseCode.CONFIG, "The address has a parameter that there is not."),
    "repeated_parameter": (CloseCode.CONFIG, "The address gives a parameter twice."),
    "repeated_glossary": (CloseCode.CONFIG, "`glossary` names one twice."),
    "invalid_config": (CloseCode.CONFIG, "A value in the address is out of its range."),
    "unusable_audio": (CloseCode.CONFIG, "The recording cannot be read to its end; only over plain HTTP."),
    "unknown_glossary": (CloseCode.GLOSSARY, "The glossary is not served."),
    "unknown_version": (CloseCode.GLOSSARY, "That version of the glossary is not served."),
    "idle": (CloseCode.IDLE, "Nothing came for `limits.idle_timeout_s`."),
    "superseded": (CloseCode.SUPERSEDED, "The session goes on over another connection."),
    "resume_expired": (CloseCode.RESUME_EXPIRED, "There is no such session any more, or not all of what it said."),
    "too_fast": (CloseCode.TOO_FAST, "Audio came faster than `limits.max_realtime_factor`."),
    "frame_too_big": (CloseCode.FRAME_TOO_BIG, "A frame has more than `limits.max_frame_bytes`."),
    "broken_frame": (CloseCode.BROKEN_FRAME, "A frame breaks the websocket protocol; text that is no UTF-8: 1007."),
    "internal": (CloseCode.INTERNAL, "The session broke; the server's log says why."),
    "overloaded": (CloseCode.OVERLOADED, "All sessions are taken."),
    "not_ready": (CloseCode.NOT_READY, "The server is still getting ready."),
    "restart": (CloseCode.RESTART, "The server stops or restarts."),
}
"""Codes of errors that end a connection, each with the code that it closes with."""

REJECTIONS: Mapping[str, str] = {
    "invalid_message": "The text is not JSON, not an object, or a field is unknown, missing or of another type.",
    "unknown_type": "There is no such message.",
    "invalid_config": "A value of `Configure` is out of its range; the old settings stay.",
    "unknown_glossary": "`Configure` names a glossary that is not served.",
    "repeated_glossary": "`Configure` names a glossary twice.",
    "unknown_version": "`Configure` names a version that is not served.",
    "new_session_only": "A setting that `Configure` cannot change: open a new session with it.",
    "startup_only": "A setting that is chosen when the server starts.",
    "unknown_hint": "`Feedback` names a hint that was never given.",
}
"""Codes of errors that are not fatal: a text frame was refused, and the stream goes on as before."""

WARNINGS: Mapping[str, str] = {
    "no_target_lang": "The glossary has several languages and none was chosen: hints come without translation.",
    "empty_frame": "A binary frame without bytes; it is no end of the stream.",
    "backpressure": "Audio comes faster than it is worked on; the server reads more slowly, and none is lost.",
    "degraded_hop": "The server is behind and decides less often.",
    "restored_hop": "The server has caught up a part.",
    "suspect_sample_rate": "The audio does not sound, or does not come, as the declared sample rate would.",
    "recording_failed": "The session is no longer recorded; it goes on.",
}
