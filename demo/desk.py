"""What the page asks of the program around it: glossaries to read, and a place where uploads are published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that comes with the program; `title` is for people, `name` for addresses."""

    name: str
    title: str
    path: Path


@dataclass(frozen=True, slots=True)
class DialStop:
    """From this probability on, a glossary of this size gives so many false hints an hour of speech.

    `recall` is the share of the spoken terms that is found, of the hardest and of the easiest voice that the model was
    measured on, at `measured_at` false hints an hour, the nearest to `per_hour` within what was measured; `terms` is
    how many the glossaries of that measurement held. None where nothing was measured.
    """

    per_hour: float
    threshold: float
    recall: tuple[float, float] | None = None
    terms: tuple[int, int] | None = None
    measured_at: float | None = None


@dataclass(frozen=True, slots=True)
class OpenedGlossary:
    """A version of a glossary and what the dial can be set to.

    `table` is its heading and then each entry as texts, as a file with these columns is read; translations stand in
    columns named `translation:de`.
    """

    id: str
    version: str
    table: Sequence[Sequence[str]]
    dial: Sequence[DialStop] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """A glossary file as it came from the page.

    Attributes:
        glossary_id: under which it is to be published.
        file_name: its own name and nothing but it.
        content: of the file.
        made_of: the version that it is an edition of; "" for a file of its own.
    """

    glossary_id: str
    file_name: str
    content: bytes
    made_of: str = ""


@dataclass(frozen=True, slots=True)
class PublishedUpload:
    """What became of an upload.

    Attributes:
        report: of the build, as `termcue reindex --json` gives it.
        is_new: False where the current version holds the same already.
        previous: the version before, "" for the first one.
        changes: entries that were added, removed and changed, in words, of each at most some.
        counts: how many there were of each.
    """

    report: Mapping[str, object]
    is_new: bool
    previous: str = ""
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class GlossaryDesk(Protocol):
    """Glossaries as the page reads and writes them; every call may block."""

    def open(self, glossary_id: str) -> OpenedGlossary:
        """The version that is served. Raises TermCueError for one that cannot be read here."""
        ...

    def publish(self, upload: Upload) -> PublishedUpload:
        """Publish a file under an id, served when this returns.

        Raises:
            TermCueError: with the cure; also where `made_of` is the last version no more.
        """
        ...
