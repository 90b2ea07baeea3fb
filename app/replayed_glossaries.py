"""The glossaries of a recorded session as they were served at each time of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from streaming.session import ServedGlossary
from streaming.sessions.recorded_session import RecordedSession
from streaming.wire.messages import Begin, Configured, GlossaryUpdated

LoadGlossary: TypeAlias = Callable[[str, str], ServedGlossary]
"""A glossary by its id, in the version of that name, or in the current one where that is gone."""


@dataclass(frozen=True, slots=True)
class GlossaryMove:
    """From `at_s` of the audio clock on, that version of a glossary was served."""

    at_s: float
    glossary_id: str
    version: str


def glossary_moves(recording: RecordedSession, begin: Begin) -> list[GlossaryMove]:
    """Which versions a session listened for, the first one included."""
    glossary_id = begin.glossary.id
    moves = [GlossaryMove(0.0, glossary_id, begin.glossary.version)]
    for message in recording.messages:
        if isinstance(message, Configured) and message.effective.glossary is not None:
            # The update that follows is of this glossary.
            glossary_id = message.effective.glossary
        elif isinstance(message, GlossaryUpdated):
            moves.append(GlossaryMove(message.effective_at, glossary_id, message.to_version))
    return moves


class ReplayedGlossaries(Mapping[str, ServedGlossary]):
    """Glossaries by id, each in the version that `move_to` asked for last; no others are served."""

    def __init__(self, load: LoadGlossary) -> None:
        self._load = load
        self._served: dict[str, ServedGlossary] = {}
        self._loaded: dict[tuple[str, str], ServedGlossary] = {}

    def move_to(self, move: GlossaryMove) -> None:
        """Serve that version from here on. Raises what `load` raises."""
        key = move.glossary_id, move.version
        if key not in self._loaded:
            self._loaded[key] = self._load(*key)
        self._served[move.glossary_id] = self._loaded[key]

    @property
    def replaced(self) -> list[tuple[str, str, str]]:
        """The versions that are gone, each with its glossary before it and the one that stands for it behind it."""
        return [
            (glossary_id, version, glossary.version)
            for (glossary_id, version), glossary in self._loaded.items()
            if glossary.version != version
        ]

    def __getitem__(self, glossary_id: str) -> ServedGlossary:
        return self._served[glossary_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._served)

    def __len__(self) -> int:
        return len(self._served)
