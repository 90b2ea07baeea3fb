"""What a client asks for in the address it connects to, checked against what is served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from streaming.audio import AudioFormat
from streaming.decision import DecisionConfig
from streaming.errors import AudioError, WireError
from streaming.events import Event
from streaming.index.entry_register import EntryRegister
from streaming.pacing import Pace
from streaming.pipeline_ports import Scorer, SearchedGlossary
from streaming.protocol import CloseCode
from streaming.wire.typed_json import shown

DEFAULT_PROFILE = "booth"
LATEST = "latest"
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_PARAMETERS = (
    *("glossary", "version", "source_lang", "target_lang", "encoding", "sample_rate", "channels", "profile"),
    *("interim_hints", "vad_events", "abstain_events", "format", "chunk_ms"),
)
# Parameters of the connection, not of the session: the shell reads them.
_CONNECTION_PARAMETERS = ("resume", "last_seq", "token")
_MIN_CHUNK_MS, _DEFAULT_CHUNK_MS, _MAX_CHUNK_MS = 320, 960, 30_000


class HintPipeline(Protocol):
    """The way from bytes to events, as `streaming.pipeline.Pipeline` goes it."""

    @property
    def received_samples(self) -> int:
        """Length of the stream so far in samples at 16 kHz."""
        ...

    def feed(self, chunk: bytes) -> list[Event]:
        """Bytes of any length -> the events that can be told by now."""
        ...

    def flush(self) -> list[Event]:
        """Decide on everything heard so far; the stream stays usable."""
        ...

    def finish(self) -> list[Event]:
        """Decide on the rest of the stream and end it."""
        ...

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds spent in each stage since the start of the stream."""
        ...

    @property
    def dropped_windows(self) -> int:
        """Hops with speech on which nothing was decided, because the machine was too slow."""
        ...

    @property
    def tells_interim(self) -> bool:
        """Whether its scorers are to tell tentative candidates."""
        ...

    def pace(self, pace: Pace) -> None:
        """Decide so often from the next hop on."""
        ...

    def configure(self, decision: DecisionConfig) -> None:
        """Decide by `decision` from the next hop on."""
        ...

    def replace_index(self, index: SearchedGlossary, scorer: Scorer) -> int:
        """Listen for the entries of another index from the next hop on; the first sample of that hop."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What one session listens for, and what it tells; `decision` is the profile's.

    `version` is `LATEST`, which follows new ones, or the only one that the session wants. With `term_map_ms` hints are
    told by chunks of so much audio.
    """

    glossary: str
    format: AudioFormat
    profile: str
    decision: DecisionConfig
    source_lang: str
    target_lang: str | None = None
    interim_hints: bool = False
    vad_events: bool = True
    abstain_events: bool = False
    version: str = LATEST
    term_map_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """A client takes up the session of `token`, whose messages up to number `last_seq` it has (-1: none)."""

    token: str
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedGlossary:
    """A version of a glossary that clients may listen for.

    `profiles` maps the name of a profile to how it decides; `target_langs` are the codes of the translations
    ("" where the glossary does not name the language); `open` makes the pipeline of one session; `take_over` makes an
    open pipeline listen for this glossary from its next hop on, and gives the first sample of that hop; `register`
    knows the entries.
    """

    version: str
    terms: int
    profiles: Mapping[str, DecisionConfig]
    open: Callable[[SessionSettings], HintPipeline]
    take_over: Callable[[HintPipeline], int]
    register: EntryRegister
    source_lang: str = "en"
    target_langs: tuple[str, ...] = ()


class RefusedSession(WireError):
    """A session that cannot be opened; the connection closes with `close_code`."""

    def __init__(self, code: str, close_code: CloseCode, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code
        self.field = field


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


def served_glossary(
    glossary_id: str, version: str, served: Mapping[str, ServedGlossary], *, also: ServedGlossary | None = None
) -> ServedGlossary:
    """The glossary that is asked for, if that version of it is served.

    Args:
        glossary_id: of one glossary, or of several, the first of which wins: "mine,shared".
        version: `LATEST`, or the version.
        served: what is served.
        also: a version of it that may be taken too, though it is no longer served.

    Raises:
        RefusedSession: it is not (4404), or one is named twice (4400).
    """
    glossary = served.get(glossary_id)
    if glossary is None:
        raise _no_such_glossary(glossary_id, served)
    if version in (LATEST, glossary.version):
        return glossary
    if also is not None and version == also.version:
        return also
    message = f"version {shown(version)} of {glossary_id} is not served: ask for {LATEST} or {glossary.version}"
    raise RefusedSession("unknown_version", CloseCode.GLOSSARY, message, field="version")


def _no_such_glossary(glossary_id: str, served: Mapping[str, ServedGlossary]) -> RefusedSession:
    names = glossary_id.split(",")
    unknown = next((one for one in names if one not in served), None)
    twice = next((one for one in names if names.count(one) > 1), None)
    if unknown is not None:
        message = f"there is no glossary {shown(unknown)} here; there are: {', '.join(served) or 'none'}"
    elif twice is not None:
        message = f"glossary = {shown(glossary_id)} names {shown(twice)} twice: name each glossary once"
        return RefusedSession("repeated_glossary", CloseCode.CONFIG, message, field="glossary")
    else:
        message = f"{len(names)} glossaries cannot be laid over each other here: name fewer"
    return RefusedSession("unknown_glossary", CloseCode.GLOSSARY, message, field="glossary")


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
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _unfit(key, text, "give a whole number")
    return int(text)


def _flag(asked: Mapping[str, str], key: str, *, default: bool) -> bool:
    text = asked.get(key)
    if text is None:
        return default
    if text not in _FLAGS:
        raise _unfit(key, text, "give true or false")
    return _FLAGS[text]
