"""The glossaries that are served, as they are at any time: versions are replaced while sessions listen.

Sessions on several threads look their glossary up before each frame, and find another object where there is a new
version. An immutable mapping is swapped; nothing that a session holds ever changes.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from streaming.sessions.served_glossary import ServedGlossary

SEPARATOR = ","
_MOST_LAYERS = 8
# Combinations of glossaries that are kept; another one is put together again when a session asks.
_MOST_COMBINATIONS = 32

Combine: TypeAlias = Callable[[Sequence[ServedGlossary]], ServedGlossary]
"""Several glossaries as one, of which the first wins where two have the same term."""


class Catalogue(Mapping[str, ServedGlossary]):
    """Glossaries by id; "mine,shared" is several in layers, of which the first wins. Safe for concurrent use."""

    def __init__(self, served: Mapping[str, ServedGlossary], combine: Combine | None = None) -> None:
        """Serve these; without `combine`, only one at a time."""
        self._served = dict(served)
        self._combine = combine
        self._combined: OrderedDict[str, tuple[tuple[ServedGlossary, ...], ServedGlossary]] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, glossary_id: str) -> ServedGlossary:
        if SEPARATOR not in glossary_id:
            return self._served[glossary_id]
        names = glossary_id.split(SEPARATOR)
        if self._combine is None or len(names) > _MOST_LAYERS or len(set(names)) < len(names):
            raise KeyError(glossary_id)
        layers = tuple(self._served[name] for name in names)
        with self._lock:
            known = self._combined.get(glossary_id)
            if known is None or any(old is not new for old, new in zip(known[0], layers, strict=True)):
                known = layers, self._combine(layers)
            self._combined[glossary_id] = known
            self._combined.move_to_end(glossary_id)
            if len(self._combined) > _MOST_COMBINATIONS:
                self._combined.popitem(last=False)
            return known[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._served)

    def __len__(self) -> int:
        return len(self._served)

    def replace(self, glossary_id: str, glossary: ServedGlossary) -> None:
        """Serve another version of a glossary, or a new one; sessions find it before their next frame."""
        with self._lock:
            self._served = {**self._served, glossary_id: glossary}
            # What was put together from the old one must not keep it in memory until somebody asks again.
            self._combined = OrderedDict(
                (name, known) for name, known in self._combined.items() if glossary_id not in name.split(SEPARATOR)
            )
