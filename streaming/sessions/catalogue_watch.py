"""Looks for new versions of the served glossaries, loads them on its own thread and hands them over."""

import logging
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from streaming.errors import TermCueError
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.served_glossary import ServedGlossary

POLL_S = 0.5
# So long a version that is being loaded is waited for; one that takes longer is left behind.
_LAST_LOAD_S = 2.0
logger = logging.getLogger(__name__)


class WatchedGlossary(Protocol):
    """Where a glossary comes from."""

    def stamp(self) -> str | None:
        """What changes with every new version and costs next to nothing to read; None while there is none."""
        ...

    def load(self) -> ServedGlossary:
        """The newest version. Raises TermCueError or OSError where it cannot be used."""
        ...

    def doubt(self, old: ServedGlossary, new: ServedGlossary) -> str | None:
        """Why a new version, found by itself, may not be meant; None for one that is beyond doubt."""
        ...


class CatalogueWatch:
    """Keeps a catalogue up to date, as a context manager around its use.

    A version that cannot be used is logged once, and the old one stays; the next one is tried again. So is a doubtful
    one, until it comes once more or somebody asks for it. All of a new version is loaded, and compared with the old
    one, before any session sees it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        sources: Callable[[], Mapping[str, WatchedGlossary]],
        stamps: Mapping[str, str | None],
        poll_s: float = POLL_S,
        stopping: threading.Event | None = None,
    ) -> None:
        """Watch; nothing runs before the context is entered.

        Args:
            catalogue: what is kept up to date.
            sources: what there is to watch, asked at every poll, so that new glossaries are served too.
            stamps: of what the catalogue holds, taken before it was loaded.
            poll_s: seconds between two looks.
            stopping: set when nothing is to be loaded any more, for those who load.
        """
        self._catalogue = catalogue
        self._sources = sources
        self._stamps = dict(stamps)
        self._doubted: dict[str, str] = {}
        self._poll_s = poll_s
        self._looking = threading.Lock()
        self._stop = stopping or threading.Event()
        self._thread = threading.Thread(target=self._run, name="glossaries", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking; a version being loaded is finished first, unless that takes long."""
        self._stop.set()
        self._thread.join(_LAST_LOAD_S)

    def look(self, *, is_asked: bool = False) -> list[str]:
        """Look once; the ids of the glossaries that were replaced. Where somebody asked for it, nothing is doubted."""
        replaced = []
        with self._looking:
            for glossary_id, source in self._sources().items():
                stamp = source.stamp()
                is_new = stamp is not None and stamp != self._stamps.get(glossary_id)
                # Who asks is told of a glossary that is gone, or of one that is doubted.
                if not is_new and not (is_asked and (stamp is None or glossary_id in self._doubted)):
                    continue
                if stamp is not None:
                    self._stamps[glossary_id] = stamp
                if self._replace(glossary_id, source, is_asked=is_asked):
                    replaced.append(glossary_id)
        return replaced

    def reload(self, glossary_id: str) -> None:
        """Load the newest version of a glossary at once, whether or not it looks new; nothing for an unknown one.

        Raises:
            TermCueError: it cannot be used; the old version stays.
            OSError: it cannot be read; the old version stays.
        """
        with self._looking:
            source = self._sources().get(glossary_id)
            if source is not None:
                self._stamps[glossary_id] = source.stamp()
                self._serve(glossary_id, source.load())

    def _replace(self, glossary_id: str, source: WatchedGlossary, *, is_asked: bool) -> bool:
        old = self._catalogue.get(glossary_id)
        try:
            new = source.load()
            doubt = None if is_asked or old is None else source.doubt(old, new)
            if doubt is not None and self._doubted.get(glossary_id) != new.version:
                self._doubted[glossary_id] = new.version
                logger.warning(
                    "%s: %s; what was there before is served on. If this is meant, save it once more as it is",
                    glossary_id,
                    doubt,
                )
                return False
            return self._serve(glossary_id, new)
        except (TermCueError, OSError) as error:
            if self._stop.is_set():
                return False
            kept = "it is not served" if old is None else f"version {old.version} is served on"
            logger.warning("the new version of %s cannot be used, %s: %s", glossary_id, kept, error)
            return False

    def _serve(self, glossary_id: str, new: ServedGlossary) -> bool:
        self._doubted.pop(glossary_id, None)
        old = self._catalogue.get(glossary_id)
        if old is not None and new.version == old.version:
            return False
        if old is not None:
            # So that no session has to read all entries of both.
            old.register.prepare()
            new.register.prepare()
        self._catalogue.replace(glossary_id, new)
        logger.info("%s: version %s is served now", glossary_id, new.version)
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.look()
            except Exception:
                # The outermost edge of this thread: whatever broke, what is served is served on.
                logger.exception("looking for new versions of glossaries failed; it is tried again")
