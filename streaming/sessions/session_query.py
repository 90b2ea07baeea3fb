"""What a client asks for in the address it connects to, checked against what is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from streaming.audio import AudioFormat
from streaming.errors import AudioError
from streaming.protocol import CloseCode
from streaming.sessions.closing import RefusedSession
from streaming.sessions.served_glossary import ServedGlossary, served_glossary
from streaming.sessions.session_settings import LATEST, SessionSettings
from streaming.wire.typed_json import shown

DEFAULT_PROFILE = "booth"
_MOST_DIGITS = 9
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_PARAMETERS = (
    *("glossary", "version", "source_lang", "target_lang", "encoding", "sample_rate", "channels", "profile"),
    *("interim_hints", "vad_events", "abstain_events", "format", "chunk_ms"),
)
# Parameters of the connection, not of the session: the shell reads them.
_CONNECTION_PARAMETERS = ("resume", "last_seq", "token")
_MIN_CHUNK_MS, _DEFAULT_CHUNK_MS, _MAX_CHUNK_MS = 320, 960, 30_000


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """A client takes up the session of `token`, whose messages up to number `last_seq` it has (-1: none)."""

    token: str
    last_seq: int


def settings_of_query(query: str, served: Mapping[str, ServedGlossary]) -> tuple[SessionSettings, ServedGlossary]:
    """The part of the address after "?" -> the settings of a session, and the glossary as it is served now.

    Raises:
        RefusedSession: a parameter is unknown, given twice or out of range (4400), or the glossary or its version is
            not served (4404). The value of an unknown parameter is never repeated: it may be a secret.
    """
    asked = _unique_pairs(query)
    glossary_id, glossary = _asked_glossary(asked, served)
    profile = asked.get("profile", DEFAULT_PROFILE)
    if profile not in glossary.profiles:
        raise _unfit("profile", profile, f"it is one of {', '.join(glossary.profiles)}")
    source_lang = asked.get("source_lang", glossary.source_lang)
    if source_lang != glossary.source_lang:
        raise _unfit("source_lang", source_lang, f"{glossary_id} is spoken in {glossary.source_lang}")
    settings = SessionSettings(
        glossary=glossary_id,
        version=asked.get("version", LATEST),
        format=_format(asked),
        profile=profile,
        decision=glossary.profiles[profile],
        source_lang=source_lang,
        target_lang=_target_lang(asked, glossary),
        interim_hints=_flag(asked, "interim_hints", default=False),
        vad_events=_flag(asked, "vad_events", default=True),
        abstain_events=_flag(asked, "abstain_events", default=False),
        term_map_ms=_term_map_ms(asked),
    )
    return settings, glossary


def resume_of(query: str) -> ResumeRequest | None:
    """What the part of the address after "?" says of a session to take up; None for a new session.

    Raises:
        RefusedSession: `last_seq` is missing or no number.
    """
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if "resume" not in asked:
        return None
    text = asked.get("last_seq", "")
    if text == "-1":
        return ResumeRequest(asked["resume"], -1)
    if not text:
        raise RefusedSession(
            "missing_parameter",
            CloseCode.CONFIG,
            "resume needs last_seq: the seq of the last message",
            field="last_seq",
        )
    return ResumeRequest(asked["resume"], _integer(asked, "last_seq", 0))


def _unfit(field: str, value: str, cure: str) -> RefusedSession:
    return RefusedSession("invalid_config", CloseCode.CONFIG, f"{field} = {shown(value)}: {cure}", field=field)


def _unique_pairs(query: str) -> dict[str, str]:
    asked: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _CONNECTION_PARAMETERS:
            continue
        if name not in _PARAMETERS:
            raise RefusedSession(
                "unknown_parameter",
                CloseCode.CONFIG,
                f"there is no parameter {shown(name)} in the address; there are: {', '.join(_PARAMETERS)}",
                field=name,
            )
        if name in asked:
            raise RefusedSession(
                "repeated_parameter", CloseCode.CONFIG, f"{name} is given twice: give it once", field=name
            )
        asked[name] = value
    return asked


def _asked_glossary(asked: Mapping[str, str], served: Mapping[str, ServedGlossary]) -> tuple[str, ServedGlossary]:
    glossary_id = asked.get("glossary")
    if glossary_id is None:
        there = ", ".join(served) or "none"
        message = f"glossary is missing in the address: add ?glossary=ID with one of {there}"
        raise RefusedSession("missing_parameter", CloseCode.CONFIG, message, field="glossary")
    return glossary_id, served_glossary(glossary_id, asked.get("version", LATEST), served)


def _target_lang(asked: Mapping[str, str], glossary: ServedGlossary) -> str | None:
    target_lang = asked.get("target_lang")
    if target_lang is not None and target_lang not in glossary.target_langs and "" not in glossary.target_langs:
        raise _unfit(
            "target_lang", target_lang, f"there are translations into: {', '.join(glossary.target_langs) or 'none'}"
        )
    return target_lang


def _term_map_ms(asked: Mapping[str, str]) -> int | None:
    form = asked.get("format", "hints")
    if form not in ("hints", "term_map"):
        raise _unfit("format", form, "give hints or term_map")
    chunk_ms = _integer(asked, "chunk_ms", _DEFAULT_CHUNK_MS)
    if not _MIN_CHUNK_MS <= chunk_ms <= _MAX_CHUNK_MS:
        raise _unfit("chunk_ms", str(chunk_ms), f"give {_MIN_CHUNK_MS}..{_MAX_CHUNK_MS}")
    return chunk_ms if form == "term_map" else None


def _format(asked: Mapping[str, str]) -> AudioFormat:
    default = AudioFormat()
    try:
        return AudioFormat(
            sample_rate=_integer(asked, "sample_rate", default.sample_rate),
            channels=_integer(asked, "channels", default.channels),
            encoding=asked.get("encoding", default.encoding),
        )
    except AudioError as error:
        raise RefusedSession("invalid_config", CloseCode.CONFIG, str(error)) from error


def _integer(asked: Mapping[str, str], key: str, default: int) -> int:
    text = asked.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise _unfit(key, text, "give a whole number")
    if len(text) > _MOST_DIGITS:
        raise _unfit(key, text, f"give a number of at most {_MOST_DIGITS} digits")
    return int(text)


def _flag(asked: Mapping[str, str], key: str, *, default: bool) -> bool:
    text = asked.get(key)
    if text is None:
        return default
    if text not in _FLAGS:
        raise _unfit(key, text, "give true or false")
    return _FLAGS[text]
