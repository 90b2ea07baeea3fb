"""A recorded session once more: the same frames into a session of this process, and what it says now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode

from app.replay_comparison import HintDifference, differences, hints_in, products
from app.replayed_glossaries import GlossaryMove, LoadGlossary, ReplayedGlossaries, glossary_moves
from streaming.errors import RecordingError
from streaming.protocol import Limits
from streaming.session import Output, Session, open_session
from streaming.sessions.recorded_files import Resumption
from streaming.sessions.recorded_session import Received, RecordedSession
from streaming.sessions.session_settings import LATEST
from streaming.wire.messages import Begin, Error, Lag, ServerMessage, Warning

# Positions are rounded to milliseconds where a session says how far behind it is.
_ROUNDING_S = 0.0005
_FAR_BEHIND_S = 60.0

SameVersion: TypeAlias = Callable[[str, str], bool]
"""Whether the glossary versions of two names hold the same."""


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Something that was otherwise when the session was recorded."""

    what: str
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay went.

    Attributes:
        duration_s: audio that was heard.
        recorded_hints: final hints of the recording, and the terms of its term maps.
        replayed_hints: those of the replay.
        circumstances: what was otherwise; it may explain the differences.
        differences: in the hints.
    """

    duration_s: float
    recorded_hints: int
    replayed_hints: int
    circumstances: tuple[Circumstance, ...]
    differences: tuple[HintDifference, ...]


def replay(recording: RecordedSession, model_id: str, load: LoadGlossary, is_same: SameVersion) -> Replay:
    """Hear a recorded session again, with the glossary moving and the server falling behind where they did.

    Args:
        recording: the session.
        model_id: of the model behind `load`.
        load: gives the glossaries that were listened for.
        is_same: tells which versions are the same.

    Raises:
        RecordingError: there is no session in it, or it cannot be opened here.
    """
    begin = recording.begin
    if begin is None:
        raise RecordingError(f"{recording.folder} holds no session: it was refused, or the server stopped before it")
    moves = glossary_moves(recording, begin)
    glossaries = ReplayedGlossaries(load)
    glossaries.move_to(moves[0])
    session, said = _open(recording, begin, glossaries)
    said += _heard_again(recording, session, _Timeline(glossaries, moves[1:], pace_steps(recording.messages)))
    before = products(recording.messages)
    after = products(output for output in said if isinstance(output, ServerMessage))
    found = differences(before, after)
    while found and found[-1].kind == "extra" and not recording.is_whole:
        # What the last frames gave may not have reached the disk.
        found.pop()
    versions = [
        Circumstance(f"glossary {name}", old, new) for name, old, new in glossaries.replaced if not is_same(old, new)
    ]
    return Replay(
        duration_s=session.received_s,
        recorded_hints=hints_in(before),
        replayed_hints=hints_in(after),
        circumstances=(*_otherwise(recording, begin, model_id, said), *versions),
        differences=tuple(found),
    )


@dataclass(frozen=True, slots=True)
class PaceStep:
    """The session decided less often from `at_s` of its audio on, or took that back."""

    at_s: float
    is_slower: bool


def pace_steps(messages: Sequence[ServerMessage]) -> list[PaceStep]:
    """Where a session fell behind by a step or caught up by one: a warning tells which, the `Lag` after it where.

    How far it was behind in between is not told, and by which lags a server decides is its own affair.
    """
    steps, code = [], ""
    for message in messages:
        match message:
            case Warning(code="degraded_hop" | "restored_hop" as told):
                code = told
            case Lag() if code:
                steps.append(PaceStep(message.audio_processed_s, code == "degraded_hop"))
                code = ""
    return steps


class _Timeline:
    """What happened to the session beside its frames, by the audio clock."""

    def __init__(
        self, glossaries: ReplayedGlossaries, moves: Sequence[GlossaryMove], steps: Sequence[PaceStep]
    ) -> None:
        self._glossaries = glossaries
        self._moves = list(reversed(moves))
        self._steps = list(reversed(steps))

    def reach(self, session: Session) -> list[Output]:
        """Let happen what did before the next frame; what the session says to it."""
        now_s = session.received_s + _ROUNDING_S
        while self._moves and self._moves[-1].at_s <= now_s:
            self._glossaries.move_to(self._moves.pop())
        said: list[Output] = []
        while self._steps and self._steps[-1].at_s <= now_s:
            # One step at a time is taken, however far behind.
            said += session.pace(_FAR_BEHIND_S if self._steps.pop().is_slower else 0.0)
        return said


def _heard_again(recording: RecordedSession, session: Session, timeline: _Timeline) -> list[Output]:
    said: list[Output] = []
    for received in recording.received():
        said += timeline.reach(session)
        said += _give(session, received)
    return said


def _give(session: Session, received: Received) -> list[Output]:
    match received:
        case bytes():
            return session.receive_audio(received)
        case str():
            return session.receive_text(received)
        case Resumption():
            # It only lets go of half a PCM frame: what was missed has been told already.
            session.resumed(session.last_seq)
            return []


def _open(recording: RecordedSession, begin: Begin, glossaries: ReplayedGlossaries) -> tuple[Session, list[Output]]:
    asked = dict(parse_qsl(recording.header.query, keep_blank_values=True))
    served = glossaries.get(asked.get("glossary", ""))
    if served is not None and asked.get("version", LATEST) not in (LATEST, served.version):
        # The version that was asked for is gone; that it is another one is told as a circumstance.
        del asked["version"]
    session, said = open_session(
        urlencode(asked), glossaries, session_id=recording.header.session_id, limits=begin.limits or Limits()
    )
    if session is None:
        reason = next((output.message for output in said if isinstance(output, Error)), "it was refused")
        raise RecordingError(f"{recording.folder} cannot be replayed here: {reason}")
    return session, said


def _otherwise(recording: RecordedSession, begin: Begin, model_id: str, said: Sequence[Output]) -> list[Circumstance]:
    greeting = next(output for output in said if isinstance(output, Begin))
    pairs = (
        ("model", recording.header.model_id, model_id),
        ("threshold", f"{begin.threshold:.6g}", f"{greeting.threshold:.6g}"),
    )
    return [Circumstance(what, before, after) for what, before, after in pairs if before != after]
