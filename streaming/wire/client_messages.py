"""What a client says beside its audio, in version 1 of the wire protocol: one frozen dataclass each."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMessage:
    """What a client says beside its audio."""

    TYPE: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(ClientMessage):
    """Change what is given, all or nothing; `threshold` (a probability) beats `false_hints_per_hour` beats `profile`.

    Each takes back what was given before of those that it beats, or that beat it.

    `glossary` may name several ("mine,shared"); `version` is one that is served, or "latest", which also follows new
    ones. `mute_entries` are the ids of all entries that are not to be shown, in place of those muted before.
    """

    TYPE: ClassVar[str] = "Configure"
    request_id: str | None = None
    profile: str | None = None
    threshold: float | None = None
    false_hints_per_hour: float | None = None
    max_hints_per_window: int | None = None
    glossary: str | None = None
    version: str | None = None
    mute_entries: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive(ClientMessage):
    """Restart the idle timer; the audio clock stands still."""

    TYPE: ClassVar[str] = "KeepAlive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize(ClientMessage):
    """Decide on everything heard so far; the stream stays usable."""

    TYPE: ClassVar[str] = "Finalize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker(ClientMessage):
    """Say so when everything before this has been worked on."""

    TYPE: ClassVar[str] = "Marker"
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(ClientMessage):
    """What the listener thinks of a hint: `verdict` is "right" or "wrong"."""

    TYPE: ClassVar[str] = "Feedback"
    hint_id: str
    verdict: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseStream(ClientMessage):
    """The audio is over: last hints, `Metadata`, close 1000."""

    TYPE: ClassVar[str] = "CloseStream"


CLIENT_MESSAGES: dict[str, type[ClientMessage]] = {
    kind.TYPE: kind for kind in (Configure, KeepAlive, Finalize, Marker, Feedback, CloseStream)
}
