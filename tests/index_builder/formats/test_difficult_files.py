"""Every format with every trap: what comes of each row, and what is refused."""

from collections import Counter
from pathlib import Path

import pytest

from index_builder.entry_text import clean, unusable
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from streaming.errors import GlossaryError
from tests.index_builder.formats.difficult_files import Difficult, Refused
from tests.index_builder.formats.difficult_tables import REFUSED_TABLES, TABLES
from tests.index_builder.formats.difficult_workbooks import REFUSED_WORKBOOKS, WORKBOOKS
from tests.index_builder.formats.difficult_xml import REFUSED_XML, XML_FILES
from tests.index_builder.formats.raw_workbook import rows, workbook

FILES = (*TABLES, *WORKBOOKS, *XML_FILES)
REFUSED = (*REFUSED_TABLES, *REFUSED_WORKBOOKS, *REFUSED_XML)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.trap)
def test_difficult_file_gives_its_rows(file: Difficult) -> None:
    """Rows, warnings and further fields are those that a human would read."""
    parsed = parse_glossary(GlossaryFile(Path(file.name), file.content), file.languages, None, file.columns)
    assert [(row.place.line, row.term, row.translations) for row in parsed.rows] == list(file.rows)
    assert [warning.kind for warning in parsed.warnings] == list(file.warnings)
    assert {name: getattr(parsed.rows[0], name) for name in file.more} == file.more
    assert parsed.reading


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.trap)
def test_no_row_of_a_difficult_file_is_lost(file: Difficult) -> None:
    """Each row is an entry, merged, or rejected with its line, its value and the reason."""
    parsed = parse_glossary(GlossaryFile(Path(file.name), file.content), file.languages, None, file.columns)
    glossary = assemble("g", [parsed])
    usable = [row for row in file.rows if not unusable(clean(row[1]))]
    assert glossary.rows == len(usable) + len(file.rejected)
    assert glossary.rows == len(glossary.entries) + glossary.merged + len(glossary.rejected)
    assert Counter(row.line for row in glossary.rejected) == Counter(line for line, _ in file.rejected)
    for row, (line, reason) in zip(sorted(glossary.rejected, key=lambda row: row.line), file.rejected, strict=True):
        assert (row.line, reason in row.reason) == (line, True), row
        assert row.file.startswith(file.name)


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.trap)
def test_harmful_and_broken_files_are_refused(file: Refused) -> None:
    """One sentence tells what is wrong with the file and what cures it; nothing is fetched, run or filled."""
    with pytest.raises(GlossaryError, match=file.message) as refused:
        parse_glossary(GlossaryFile(Path(file.name), file.content), Languages(), None, file.columns)
    assert file.name in str(refused.value)
    assert "; " in str(refused.value)


def test_ids_that_are_paths_name_no_file() -> None:
    """An id never leads out of a folder: one with other characters than an id's is replaced, and told."""
    (file,) = [file for file in TABLES if file.trap == "path names in ids"]
    glossary = assemble("g", [parse_glossary(GlossaryFile(Path("g"), file.content), Languages())])
    assert [entry.entry.entry_id for entry in glossary.entries] == ["g:000001", "g:000002", "g:000003"]
    assert sum(warning.kind == "id" for warning in glossary.warnings) == 3


def test_traps_have_names_of_their_own() -> None:
    """A failing trap can be found by its name."""
    assert [trap for trap, count in Counter(file.trap for file in (*FILES, *REFUSED)).items() if count > 1] == [
        "XML that is broken off"
    ]


def test_rejected_row_of_a_workbook_names_its_sheet() -> None:
    """Also where the workbook has only one: whoever looks for the row finds it under this name."""
    content = workbook({"Law": rows(("term", "de"), ("tort", "Delikt"), ("!?", "x"))})
    parsed = parse_glossary(GlossaryFile(Path("terms.xlsx"), content), Languages())
    (rejected,) = assemble("g", [parsed]).rejected
    assert (rejected.file, rejected.line) == ("terms.xlsx, sheet 'Law'", 3)
