"""Tables parted by some sign."""

import contextlib
import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats import GlossaryFile, Languages, ParsedGlossary, parse_glossary
from index_builder.formats.delimited import _records
from streaming.errors import GlossaryError


def _parse(text: str, target: str = "") -> ParsedGlossary:
    return parse_glossary(GlossaryFile(Path("g.csv"), text.encode()), Languages("en", target))


def _pairs(text: str, target: str = "") -> list[tuple[str, dict[str, str]]]:
    return [(row.term, dict(row.translations)) for row in _parse(text, target).rows]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_tables_are_recognised(delimiter: str, end: str, bom: str) -> None:
    """Any of four delimiters, any end of line, with or without a byte order mark."""
    lines = [delimiter.join(cells) for cells in (("term", "de"), ("plague", "Pest"), ("lord mayor", "Bürgermeister"))]
    assert _pairs(bom + end.join(lines) + end) == [("plague", {"de": "Pest"}), ("lord mayor", {"de": "Bürgermeister"})]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("plague\nlord mayor\n", [("plague", {}), ("lord mayor", {})]),
        ("term\nplague", [("plague", {})]),
        ("plague,Pest\nion,Ion\n", [("plague", {"de": "Pest"}), ("ion", {"de": "Ion"})]),
        ("English,German,zh-CN\nion,Ion,离子\n", [("ion", {"de": "Ion", "zh-cn": "离子"})]),
        ("de;en\nPest;plague\n", [("plague", {"de": "Pest"})]),
        ("Source;Target\nion;Ion\n", [("ion", {"de": "Ion"})]),
        ("term,translation,source\nion,Ion,IUPAC\n", [("ion", {"de": "Ion"})]),
        ('term,translation\n"Paris, Texas","Paris; Texas"\n', [("Paris, Texas", {"de": "Paris; Texas"})]),
        ('term,translation\n"two\nlines",x\nion,Ion\n', [("two\nlines", {"de": "x"}), ("ion", {"de": "Ion"})]),
        ('term,translation\n5" disk,Diskette\n', [('5" disk', {"de": "Diskette"})]),
        ("ion,Ion\n\n,,\n  \nplague,Pest\n", [("ion", {"de": "Ion"}), ("plague", {"de": "Pest"})]),
        ("word\nphrase\nEnglish\n", [("word", {}), ("phrase", {}), ("English", {})]),
        ("Paris, Texas\nplague\nion\nsalt\n", [("Paris, Texas", {}), ("plague", {}), ("ion", {}), ("salt", {})]),
    ],
)
def test_columns_are_recognised(text: str, pairs: list[tuple[str, dict[str, str]]]) -> None:
    """By header names, by language, by position, or a bare list."""
    assert _pairs(text, target="de") == pairs


def test_optional_columns() -> None:
    """Ids, notes, several aliases and pronunciations are read from their columns."""
    (row,) = _parse(
        "id,term,aliases,pronunciations,note\nt1,SQL,sequel; my sql,S IY K W AH L / EH S | K Y UW | EH L,db\n"
    ).rows
    assert (row.row_id, row.note, row.aliases) == ("t1", "db", ("sequel", "my sql"))
    assert row.pronunciations == ("S IY K W AH L", "EH S | K Y UW | EH L")


def test_second_term_column_is_an_alias() -> None:
    """A column named by the source language beside "term" is another name."""
    assert _parse("term,en\nion,charged particle\n").rows[0].aliases == ("charged particle",)


def test_lines_are_counted_in_the_file() -> None:
    """Each row knows the line where it begins, also after cells of several lines."""
    rows = _parse('term,translation\n"a\nb",x\n\nion,Ion\n').rows
    assert [row.place.line for row in rows] == [2, 5]


@pytest.mark.parametrize(
    ("line", "reason"),
    [('"never closed,x', "never closed"), ('"closed"late,x', "follows a closing quote"), ("a" * 140_000, "131072")],
)
def test_unreadable_row_is_rejected_and_the_next_is_read(line: str, reason: str) -> None:
    """A broken quote costs its own line only."""
    parsed = _parse(f"term,translation\n{line}\nion,Ion\n")
    assert [row.term for row in parsed.rows] == ["ion"]
    assert [(row.file, row.line) for row in parsed.rejected] == [("g.csv", 2)]
    assert reason in parsed.rejected[0].reason
    assert len(parsed.rejected[0].value) <= 80


def test_ignored_columns_are_told() -> None:
    """A column that is not understood gives a warning, with or without a header."""
    assert "'colour'" in _parse("term,colour\nion,red\n").warnings[0].message
    assert "by a language code such as de" in _parse("term,Klingonisch\nion,x\n").warnings[0].message
    assert "columns 3 to 4" in _parse("ion,Ion,a,b\nsalt,Salz,c,d\n").warnings[0].message


def test_a_table_whose_heading_is_not_known_is_told() -> None:
    """What may be a heading is an entry then, with the way out; a plain list, or chosen columns, need no word."""
    parsed = _parse("Fachwort;Deutung\nion;Ion\n")
    assert [row.term for row in parsed.rows] == ["Fachwort", "ion"]
    (warning,) = parsed.warnings
    assert warning.kind == "no_heading"
    assert "line 1: no heading was recognised, so this line is read as an entry, 'Fachwort'" in warning.message
    assert "--source-col and --target-col" in warning.message
    assert _parse("ion\nsalt\n").warnings == ()
    assert _parse("term;de\nion;Ion\n").warnings == ()


@pytest.mark.parametrize("sign", ["-", "–", "=", "->", ":"])
def test_a_list_that_holds_translations_is_told(sign: str) -> None:
    """What stands between a term and its translation for the eye only makes both one term, and that is said."""
    parsed = _parse(f"\nion {sign} Ion\nsalt {sign} Salz\nre-entry\n")
    assert [row.term for row in parsed.rows] == [f"ion {sign} Ion", f"salt {sign} Salz", "re-entry"]
    (warning,) = parsed.warnings
    assert warning.kind == "unparted"
    assert f"line 2: each line is read as one term, with the '{sign}' in it (2 rows like this)" in warning.message
    assert "write a tab or a semicolon instead" in warning.message
    assert _parse("re-entry\nsalt:water\nratio 1:2\n").warnings == ()
    (one,) = _parse("salt\nion: Ion\nkernel\n").warnings
    assert "line 2: each line is read as one term, with the ':' in it (1 row like this)" in one.message
    assert _parse(f"term\tde\nion {sign} x\tIon\n").warnings == ()


@pytest.mark.parametrize("header", ["term,German,de", "term,de,de", "term,translation,target"])
def test_second_column_of_a_language_is_told(header: str) -> None:
    """Of two columns for one language the first counts where it is filled, and that is said."""
    parsed = _parse(f"{header}\nion,Ion,Jon\nsalt,,Salz\n")
    assert [list(row.translations.values()) for row in parsed.rows] == [["Ion"], ["Salz"]]
    assert [warning.kind for warning in parsed.warnings] == ["repeated_language", "second_value"]
    assert "g.csv, line 2: " in parsed.warnings[1].message
    assert "in 1 row;" in parsed.warnings[1].message


def test_cells_beyond_the_header_are_told() -> None:
    """They are ignored, with one warning for the file: the first line and the number of rows. Empty ones are not."""
    parsed = _parse("term,de\nion,Ion,,\nask not,x,y,z,q\nsalt,Salz,z\n")
    (warning,) = parsed.warnings
    assert warning.kind == "extra_cells"
    assert warning.message.startswith("g.csv, line 3: cells beyond the 2 columns of the header are ignored, in 2 rows;")


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;"])
def test_delimiter_of_a_spreadsheet_is_taken(first: str) -> None:
    """The first line by which Excel names the delimiter is no row; lines are counted with it."""
    parsed = _parse(f"{first}\nterm;de\nParis, Texas;Paris\n")
    assert [(row.place.line, row.term, row.translations) for row in parsed.rows] == [
        (3, "Paris, Texas", {"de": "Paris"})
    ]
    assert parsed.warnings == ()


def test_comments_before_the_header_are_skipped_and_told() -> None:
    """Lines that begin with "#" before a header are no rows, which a note says."""
    parsed = _parse('# terms, of "us\n\n# 2026\nterm;de\nion;Ion\n#metoo;x\n')
    assert [(row.place.line, row.term) for row in parsed.rows] == [(5, "ion"), (6, "#metoo")]
    (warning,) = parsed.warnings
    assert warning.message == "g.csv, line 1: lines that begin with '#' before the header are skipped: 2"


def test_terms_that_begin_with_a_hash_are_kept_without_a_header() -> None:
    """Where no header follows, "#" begins a term."""
    assert [row.term for row in _parse("#metoo\nplague\n").rows] == ["#metoo", "plague"]
    assert [row.term for row in _parse("#metoo\n#one\n").rows] == ["#metoo", "#one"]


def test_header_without_a_term_column_is_refused() -> None:
    """When all columns are languages but none is the source, the cure is named."""
    with pytest.raises(GlossaryError, match="name one of them term, source or en"):
        _parse("de,fr\nPest,peste\n")


_CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12
)


@given(st.lists(st.tuples(_CELL, _CELL), max_size=12), st.sampled_from(",;\t|"))
def test_quoted_tables_lose_no_row(rows: list[tuple[str, str]], delimiter: str) -> None:
    """Whatever stands in quoted cells, each row that is not blank comes back."""
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [("term", "note"), *rows]]
    parsed = _parse("\n".join(quoted))
    expected = [(term.strip(), note.strip()) for term, note in rows if term.strip() or note.strip()]
    assert [(row.term, row.note) for row in parsed.rows] == expected
    assert parsed.rejected == ()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    """No content gives a traceback."""
    with contextlib.suppress(GlossaryError):
        lines = [row.place.line for row in _parse(text).rows]
        assert lines == sorted(lines)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='"\r\n'))), st.sampled_from(",;\t|"))
def test_lines_without_quotes_are_what_the_reader_makes_of_them(lines: list[str], delimiter: str) -> None:
    """They go a shorter way."""
    slow = csv.reader([f"{line}\n" for line in lines], delimiter=delimiter, skipinitialspace=True, strict=True)
    assert [cells for _, cells in _records(lines, delimiter)] == [cells or [""] for cells in slow]


@pytest.mark.parametrize(
    ("text", "mark", "rows"),
    [
        ("1. photosynthesis\n2. central bank\n", "1.", "2 rows"),
        ("central bank\n- photosynthesis\n", "-", "1 row"),
        ("* leisure\n", "*", "1 row"),
        ("# what I need\nleisure\n", "#", "1 row"),
        ("(1) leisure\n(2) plague\n", "(1)", "2 rows"),
        ("1.) leisure\n", "1.)", "1 row"),
        ("a) leisure\n+ plague\n", "a)", "2 rows"),
    ],
)
def test_marks_of_a_list_are_told(text: str, mark: str, rows: str) -> None:
    """They are read as a part of the term, which would then never be heard, or be shown with its bullet."""
    [warning] = [each for each in _parse(text).warnings if each.kind == "list_mark"]
    assert repr(mark) in warning.message
    assert rows in warning.message


@pytest.mark.parametrize(
    "text",
    [
        "3D printing\nC# sharp\n",
        "e. coli\nc. elegans\n",
        "a. m. meeting\n",
        "leisure\n-ology\n",
        "term,de\n- a,b\n",
        "1.5 million\n",
    ],
)
def test_terms_that_only_look_like_marks_are_not(text: str) -> None:
    """Nor are the cells of a table, where nobody writes bullets."""
    assert not [each for each in _parse(text).warnings if each.kind == "list_mark"]
