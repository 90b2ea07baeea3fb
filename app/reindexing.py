"""What `termcue reindex` does with a glossary that has been read: review, page."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.glossaries import build_with
from app.linting import linted
from app.loaded_model import load_model
from app.notes import note
from app.places import Places
from app.self_testing import self_test
from index_builder.formats import GlossaryFile
from index_builder.glossary import Glossary
from index_builder.lint_page import lint_page
from index_builder.report import IndexReport
from streaming.durable import replace_file
from streaming.encoding.providers import Provider
from streaming.errors import GlossaryError
from streaming.model_folder import ModelFolder
from streaming.term_index import TermIndex


@dataclass(frozen=True, slots=True)
class Review:
    """Finds out about an index what its report should tell: the lint, and where entries are to be said, the self-test.

    `self_test_entries` is 0 for no self-test.
    """

    glossary: Glossary
    folder: ModelFolder
    provider: Provider
    self_test_entries: int = 0

    def __call__(self, index: TermIndex, report: IndexReport) -> IndexReport:
        """The report with findings and self-test. Raises SynthesisError where the entries cannot be spoken."""
        found = linted(report, self.glossary, self.folder, index)
        if not self.self_test_entries:
            return found
        outcome = self_test(load_model(self.folder, self.provider), index, self.self_test_entries)
        return replace(found, self_test=outcome)


def checked(review: Review, files: Sequence[GlossaryFile], places: Places, started: float) -> IndexReport:
    """The report of a glossary that is not published; it is built only where it must be listened with.

    Args:
        review: with the glossary.
        files: that it was read from.
        places: where what is computed of forms is kept.
        started: when its reading began, by `time.monotonic`.
    """
    if review.self_test_entries:
        index, built = build_with(review.glossary, files, review.folder, "check", places, review.provider)
        report = replace(review(index, built), version="")
    else:
        read = _checked_report(review.glossary, 0.0)
        report = linted(read, review.glossary, review.folder, None, review.provider)
    return replace(report, seconds=round(time.monotonic() - started, 3))


def write_page(path: Path, report: IndexReport, glossary: Glossary) -> None:
    """Write the report as a page. Raises GlossaryError where the disk refuses."""
    try:
        replace_file(path, lint_page(report, glossary).encode())
    except OSError as error:
        raise GlossaryError(
            f"cannot write the page {path}: {error.strerror or error}; name a file in a folder that is there"
        ) from error
    note(f"the report is in {path}")


def _checked_report(glossary: Glossary, seconds: float) -> IndexReport:
    """The report of a glossary that was read and not built: it has no version."""
    return IndexReport(
        id=glossary.name,
        version="",
        rows=glossary.rows,
        entries=len(glossary.entries),
        merged=glossary.merged,
        forms=sum(len(entry.forms) for entry in glossary.entries),
        rejected=glossary.rejected,
        warnings=glossary.warnings,
        seconds=round(seconds, 3),
        target_langs=glossary.target_langs,
        form_kinds=glossary.form_kinds,
        readings=glossary.readings,
    )
