"""The codec of the wire protocol, and how events become messages.

Nothing here knows of a connection: `termcue listen --json` prints the same messages.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from streaming.errors import WireError
from streaming.events import SAMPLE_RATE, Abstention, Hint, HintWithdrawn, SpeechEnded, SpeechStarted
from streaming.wire.client_messages import (
    CLIENT_MESSAGES,
    ClientMessage,
    CloseStream,
    Configure,
    Feedback,
    Finalize,
    KeepAlive,
    Marker,
)
from streaming.wire.message_parts import (
    AlternativePart,
    AudioPart,
    CloseCode,
    EffectivePart,
    GlossaryPart,
    LatencyPart,
    Limits,
    PercentilesPart,
)
from streaming.wire.messages import (
    FINALIZE_MARKER,
    HINTS_PATH,
    PROTOCOL_VERSION,
    SERVER_MESSAGES,
    Abstain,
    Begin,
    Configured,
    Error,
    GlossaryUpdated,
    HintRetracted,
    Lag,
    MarkerReached,
    Metadata,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    TermMap,
    Warning,
)
from streaming.wire.typed_json import FieldError, JsonObject, JsonValue, read_record, shown, write_record

__all__ = [
    "CLIENT_MESSAGES",
    "FINALIZE_MARKER",
    "HINTS_PATH",
    "PROTOCOL_VERSION",
    "SERVER_MESSAGES",
    "Abstain",
    "AlternativePart",
    "AudioPart",
    "Begin",
    "ClientMessage",
    "CloseCode",
    "CloseStream",
    "Configure",
    "Configured",
    "EffectivePart",
    "Error",
    "Feedback",
    "Finalize",
    "GlossaryPart",
    "GlossaryUpdated",
    "HintRetracted",
    "KeepAlive",
    "Lag",
    "LatencyPart",
    "Limits",
    "Marker",
    "MarkerReached",
    "Metadata",
    "PercentilesPart",
    "RejectedMessage",
    "ServerMessage",
    "SpeechEndedMessage",
    "SpeechStartedMessage",
    "TermHint",
    "TermMap",
    "Warning",
    "abstain_message",
    "chosen_translation",
    "decode_client",
    "decode_server",
    "encode",
    "hint_message",
    "latency_ms",
    "seconds",
    "speech_message",
    "withdrawal_message",
]

_SCORE_DIGITS = 6
_LONGEST_ID = 256
_CONFIGURE_CLASSES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (
            *("encoding", "sample_rate", "channels"),
            *("source_lang", "target_lang"),
            *("interim_hints", "vad_events", "abstain_events", "format", "chunk_ms"),
        ),
        ("new-session-only", "open a new session with it"),
    ),
    **dict.fromkeys(("model", "device", "hop_ms"), ("startup-only", "it is chosen when the server starts")),
}
"""Real settings that `Configure` does not change: their class, and what to do."""


class RejectedMessage(WireError):
    """A client message that is answered with a non-fatal `Error`; the stream goes on as before."""

    def __init__(self, code: str, message: str, *, field: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.request_id = request_id


def encode(message: ServerMessage | ClientMessage) -> str:
    """A message -> one line of JSON, `type` first, characters of every script as they are."""
    return json.dumps({"type": message.TYPE, **write_record(message)}, ensure_ascii=False, allow_nan=False)


def decode_client(text: str) -> ClientMessage:
    """A client's text frame -> its message.

    Raises:
        RejectedMessage: the text is not a JSON object, its type or a field is unknown, a value is out of its type.
    """
    payload, type_name = _envelope(text)
    given_id = payload.get("request_id")
    request_id = given_id if isinstance(given_id, str) and len(given_id) <= _LONGEST_ID else None
    _refuse_long_ids(payload)
    kind = CLIENT_MESSAGES.get(type_name)
    if kind is None:
        known = ", ".join(CLIENT_MESSAGES)
        raise RejectedMessage("unknown_type", f"there is no message {shown(type_name)}; there are: {known}")
    if kind is Configure:
        _refuse_fixed_settings(payload, request_id)
    try:
        return read_record(kind, payload, strict=True)
    except FieldError as error:
        code = "invalid_config" if kind is Configure else "invalid_message"
        raise RejectedMessage(
            code, f"{type_name}: {error}", field=error.field.partition("[")[0][:_LONGEST_ID], request_id=request_id
        ) from error


def decode_server(text: str) -> ServerMessage | None:
    """A server's text frame -> its message; unknown fields are passed over.

    Returns:
        The message, or None for a type that a newer server may send.

    Raises:
        WireError: the text is not a message, or lacks a field of its type.
    """
    try:
        payload, type_name = _envelope(text)
        kind = SERVER_MESSAGES.get(type_name)
        return None if kind is None else read_record(kind, payload, strict=False)
    except (RejectedMessage, FieldError) as error:
        raise WireError(f"the server sent what breaks protocol {PROTOCOL_VERSION}: {error}") from error


def seconds(sample: int) -> float:
    """A sample index as seconds of the audio clock."""
    return sample / SAMPLE_RATE


def chosen_translation(translations: Mapping[str, str], target_lang: str | None) -> str | None:
    """The translation into `target_lang`; one whose language the glossary does not name also serves.

    Without a chosen language it is the only one there is; None where there is none or a choice is needed.
    """
    if target_lang is None:
        return next(iter(translations.values())) if len(translations) == 1 else None
    return translations.get(target_lang, translations.get(""))


def hint_message(hint: Hint, *, seq: int, target_lang: str | None, spent: LatencyPart | None = None) -> TermHint:
    """A hint of the pipeline as it goes over the wire, with the translation into `target_lang`.

    `spent` says what of the wall clock went where; its `since_term_end` does not count.
    """
    return TermHint(
        seq=seq,
        hint_id=hint.hint_id,
        rev=hint.rev,
        is_final=hint.is_final,
        term=hint.term,
        translation=chosen_translation(hint.translations, target_lang),
        entry_id=hint.entry_id,
        start=seconds(hint.start_sample),
        end=seconds(hint.end_sample),
        start_sample=hint.start_sample,
        end_sample=hint.end_sample,
        emitted=seconds(hint.emitted_sample),
        score=round(hint.score, _SCORE_DIGITS),
        raw_similarity=None if hint.raw_similarity is None else round(hint.raw_similarity, _SCORE_DIGITS),
        rank=hint.rank,
        occurrence=hint.occurrence,
        glossary_version=hint.glossary_version,
        alternatives=tuple(
            AlternativePart(
                term=rival.term,
                translation=chosen_translation(rival.translations, target_lang),
                score=round(rival.score, _SCORE_DIGITS),
            )
            for rival in hint.alternatives
        ),
        latency_ms=replace(spent or LatencyPart(since_term_end=0), since_term_end=latency_ms(hint)),
    )


def latency_ms(hint: Hint) -> int:
    """Milliseconds of the audio clock from the term's end to its hint."""
    return round((hint.emitted_sample - hint.end_sample) * 1000 / SAMPLE_RATE)


def abstain_message(abstention: Abstention, *, seq: int) -> Abstain:
    """An abstention of the pipeline as it goes over the wire."""
    return Abstain(
        seq=seq,
        start=seconds(abstention.start_sample),
        end=seconds(abstention.end_sample),
        reason=abstention.reason,
        best_score=round(abstention.best_score, _SCORE_DIGITS),
        threshold=None if abstention.threshold is None else round(abstention.threshold, _SCORE_DIGITS),
    )


def withdrawal_message(withdrawn: HintWithdrawn, *, seq: int) -> HintRetracted:
    """A withdrawn hint of the pipeline as it goes over the wire."""
    return HintRetracted(seq=seq, hint_id=withdrawn.hint_id, reason=withdrawn.reason)


def speech_message(event: SpeechStarted | SpeechEnded, *, seq: int) -> SpeechStartedMessage | SpeechEndedMessage:
    """A speech bound of the pipeline as it goes over the wire."""
    kind = SpeechStartedMessage if isinstance(event, SpeechStarted) else SpeechEndedMessage
    return kind(seq=seq, timestamp=seconds(event.sample))


def _envelope(text: str) -> tuple[JsonObject, str]:
    """The object without its type, and its type. Raises RejectedMessage."""
    try:
        payload: JsonValue = json.loads(text, parse_constant=_refuse_constant)
        # An escaped half of a surrogate pair would pass here and fail where it is echoed.
        json.dumps(payload, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RejectedMessage("invalid_message", f"{shown(text)} is not JSON") from error
    if not isinstance(payload, dict):
        raise RejectedMessage("invalid_message", f"{shown(text)} is not a JSON object")
    type_name = payload.pop("type", None)
    if not isinstance(type_name, str):
        raise RejectedMessage("invalid_message", f"type must be a string, not {shown(type_name)}", field="type")
    return payload, type_name


def _refuse_long_ids(payload: JsonObject) -> None:
    """Ids come back in answers, which are kept."""
    for name in ("id", "request_id", "hint_id"):
        given = payload.get(name)
        if isinstance(given, str) and len(given) > _LONGEST_ID:
            reason = f"{name} has {len(given)} characters: give at most {_LONGEST_ID}"
            raise RejectedMessage("invalid_message", reason, field=name)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_fixed_settings(payload: JsonObject, request_id: str | None) -> None:
    for name in payload:
        if name in _CONFIGURE_CLASSES:
            setting_class, cure = _CONFIGURE_CLASSES[name]
            code = setting_class.replace("-", "_")
            raise RejectedMessage(code, f"{name} is {setting_class}: {cure}", field=name, request_id=request_id)
