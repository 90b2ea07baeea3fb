"""The glossaries that clients may listen for, and which of them is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streaming.decision_config import DecisionConfig
from streaming.index.entry_register import EntryRegister
from streaming.protocol import CloseCode
from streaming.sessions.closing import RefusedSession
from streaming.sessions.hint_pipeline import HintPipeline
from streaming.sessions.session_settings import LATEST, SessionSettings
from streaming.wire.typed_json import shown


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
