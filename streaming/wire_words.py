"""What the wire protocol says beside its messages: keys of the address, close codes, codes of errors and warnings."""

from collections.abc import Mapping
from dataclasses import dataclass

from streaming.message_parts import CloseCode
from streaming.typed_json import JsonValue

FLAG: Mapping[str, JsonValue] = {"type": "string", "enum": ["true", "false", "1", "0"]}
TEXT: Mapping[str, JsonValue] = {"type": "string"}
NUMBER: Mapping[str, JsonValue] = {"type": "integer"}


@dataclass(frozen=True, slots=True)
class QueryKey:
    """A key of the address: its JSON schema, and what it means."""

    name: str
    schema: Mapping[str, JsonValue]
    meaning: str


QUERY_KEYS = (
    QueryKey(
        "glossary", TEXT, "What to listen for; the only key that must be there. Several in layers: `mine,shared`."
    ),
    QueryKey("version", TEXT, "`latest` (the default), which follows new versions, or the name of one that is served."),
    QueryKey("source_lang", TEXT, "Language that is spoken; the glossary's by default."),
    QueryKey("target_lang", TEXT, "Language of the translations; needed where the glossary has several."),
    QueryKey("encoding", {"type": "string", "enum": ["linear16"]}, "`linear16`, the default: s16le."),
    QueryKey("sample_rate", {**NUMBER, "minimum": 8000, "maximum": 192000}, "Of the audio, in Hz; 16000 by default."),
    QueryKey("channels", {**NUMBER, "enum": [1, 2]}, "1 (the default) or 2, interleaved; two are mixed."),
    QueryKey("profile", TEXT, "How sure a hint must be: `booth` (the default) or `mt`."),
    QueryKey("interim_hints", FLAG, "Whether hints come that are not final yet; `false` by default."),
    QueryKey("vad_events", FLAG, "Whether `SpeechStarted` and `SpeechEnded` are told; `true` by default."),
    QueryKey("abstain_events", FLAG, "Whether `Abstain` is told; `false` by default."),
    QueryKey("format", {"type": "string", "enum": ["hints", "term_map"]}, "`hints`, or `term_map`: `TermMap` instead."),
    QueryKey("chunk_ms", {**NUMBER, "minimum": 320, "maximum": 30000}, "Audio of one `TermMap`; 960 by default."),
    QueryKey("resume", TEXT, "The `resume_token` of a session to take up again; the other keys do not count then."),
    QueryKey("last_seq", {**NUMBER, "minimum": -1}, "With `resume`: `seq` of the last message that came; -1 for none."),
    QueryKey("token", TEXT, "A short-lived token in place of a key, for browsers."),
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
    CloseCode.AUTH: "The key or token is missing or wrong. Trying again does not help.",
    CloseCode.GLOSSARY: "The glossary, or that version of it, is not served.",
    CloseCode.IDLE: "Nothing came for `limits.idle_timeout_s`. The session can be resumed.",
    CloseCode.SUPERSEDED: "The session was taken up by another connection.",
    CloseCode.RESUME_EXPIRED: "The session, or what it said meanwhile, is forgotten. Open a new one.",
    CloseCode.TOO_FAST: "Audio came faster than `limits.max_realtime_factor`.",
    CloseCode.NOT_READY: "The server is still starting. Connect again after `retry_after_s`.",
}

REJECTIONS: Mapping[str, str] = {
    "invalid_message": "The text is not JSON, not an object, or a field is unknown, missing or of another type.",
    "unknown_type": "There is no such message.",
    "invalid_config": "A value of `Configure` is out of its range; the old settings stay.",
    "unknown_glossary": "`Configure` names a glossary that is not served.",
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
