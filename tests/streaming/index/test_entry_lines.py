"""Entries and forms of a large index are parsed when they are asked for, and are the same as those parsed at once."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import term_index
from streaming.entries import Entry, Form, make_form, render_line, render_lines
from streaming.errors import IndexFolderError
from streaming.index import entry_lines, index_folder
from streaming.index.entry_lines import EntryLines
from streaming.index.index_folder import IndexFacts, NewContent, write_index_folder
from streaming.index.mapped_arrays import pack_array
from streaming.index.vector_search import ExactSearch
from streaming.term_index import TermIndex

ENTRIES = [Entry(f"id{i}", f"term {i}", {"de": f"Begriff\u2028 {i}"}, note="x" * (i % 3)) for i in range(30)]
FORMS = [make_form(i, text, [[("K", "AE")]]) for i in range(30) for text in ("plague", "ion", "filter")[: 1 + i % 3]]


LINES, OFFSETS = render_lines(ENTRIES, FORMS)
CONTENT = b"".join(LINES)


def _same(one: Form, other: Form) -> bool:
    return (one.entry_index, one.text, one.kind) == (other.entry_index, other.text, other.kind)


def test_any_order_gives_what_was_written() -> None:
    """Items by number, from the end, in slices and in turn; beyond the ends there is nothing."""
    lines = EntryLines(CONTENT, OFFSETS)
    assert (len(lines.entries), len(lines.forms)) == (len(ENTRIES), len(FORMS))
    assert lines.entries[17] == ENTRIES[17]
    assert lines.entries[-1] == ENTRIES[-1]
    assert list(lines.entries) == list(lines.entries[:]) == ENTRIES
    assert lines.entries[5:2:-1] == tuple(ENTRIES[5:2:-1])
    for number in (0, 40, 7, len(FORMS) - 1):
        assert _same(lines.forms[number], FORMS[number])
        assert lines.entry_of(number) == FORMS[number].entry_index
    assert all(_same(one, other) for one, other in zip(lines.forms, FORMS, strict=True))
    assert lines.parse_all()[0] == tuple(ENTRIES)
    for end in (len(FORMS), -len(FORMS) - 1):
        with pytest.raises(IndexError):
            lines.forms[end]


_TEXTS = st.text(st.characters(codec="utf-8"))


@given(
    _TEXTS, st.dictionaries(_TEXTS, _TEXTS), st.lists(_TEXTS).map(tuple), st.booleans(), st.sampled_from([0.0, 0.25])
)
def test_lines_are_what_json_writes(
    text: str, translations: dict[str, str], aliases: tuple[str, ...], do_not_hint: bool, probability: float
) -> None:
    """Written by hand for speed: the same bytes."""
    said = [[("AH", "B"), ("K",)], [("AH",), ("T", "S")]]
    entry = Entry(text, text, translations, aliases, text, do_not_hint=do_not_hint, minimum_probability=probability)
    forms = [make_form(0, "ab c", said, "term", text), make_form(0, "c", [], "alias" + text, "other" + text)]
    row = {
        "entry_id": text,
        "term": text,
        "translations": translations,
        **({"aliases": aliases} if aliases else {}),
        **({"note": text} if text else {}),
        **({"do_not_hint": True} if do_not_hint else {}),
        **({"minimum_probability": probability} if probability else {}),
        "forms": [
            {"text": "ab c", "pronunciations": ["AH B | K", "AH | T S"]},
            {"text": "c", "pronunciations": [], "kind": "alias" + text, "written": "other" + text},
        ],
    }
    assert render_line(entry, forms) == (json.dumps(row, ensure_ascii=False) + "\n").encode()


def test_nothing_is_parsed_before_it_is_asked_for() -> None:
    """A damaged line is told when its entry is read, with its number; the others are of use."""
    offsets = OFFSETS
    content = bytearray(CONTENT)
    content[offsets[4, 0]] = ord("!")
    lines = EntryLines(bytes(content), offsets)
    assert lines.entries[3] == ENTRIES[3]
    with pytest.raises(IndexFolderError, match=r"line 5 of entries\.jsonl is damaged"):
        lines.entries[4]
    with pytest.raises(IndexFolderError, match="line 5"):
        lines.parse_all()


def test_offsets_that_do_not_fit_are_refused() -> None:
    """Lines must cover the file, each entry with a line and a form; a count that lies is told at the entry."""
    content, good = CONTENT, OFFSETS
    for row, column, value in ((0, 0, 1), (-1, 0, len(content) - 1), (3, 1, int(good[2, 1])), (2, 0, int(good[1, 0]))):
        wrong = good.copy()
        wrong[row, column] = value
        with pytest.raises(ValueError, match="do not fit"):
            EntryLines(content, wrong)
    wrong = good.copy()
    wrong[3:, 1] += 1
    with pytest.raises(IndexFolderError, match="it has 3 forms, 4 were told"):
        EntryLines(content, wrong).forms[5]


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TermIndex, TermIndex]:
    """An index in memory, and the same as if it were large: mapped and parsed late."""
    monkeypatch.setattr(index_folder, "MAPPED_BYTES", 1)
    monkeypatch.setattr(term_index, "PARSED_FORMS", 1)
    vectors = np.random.default_rng(0).standard_normal((len(FORMS), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    background = np.arange(4 * len(FORMS), dtype=np.float32).reshape(-1, 4)
    index = TermIndex(ENTRIES, FORMS, vectors, background, "e", "v1")
    index.save(tmp_path / "v")
    return index, TermIndex.load(tmp_path / "v", "e")


def test_mapped_index_is_the_same_index(large: tuple[TermIndex, TermIndex], tmp_path: Path) -> None:
    """Entries, forms, vectors, statistics, search and facts; saved again, the same bytes; its folder may go."""
    index, mapped = large
    assert not isinstance(mapped.entries, tuple)
    mapped.save(tmp_path / "w")
    for path in (tmp_path / "v").iterdir():
        assert path.read_bytes() == (tmp_path / "w" / path.name).read_bytes()
        path.unlink()
    assert list(mapped.entries) == list(index.entries)
    assert all(_same(one, other) for one, other in zip(mapped.forms, index.forms, strict=True))
    np.testing.assert_array_equal(mapped.background, index.background)
    np.testing.assert_array_equal(mapped.vectors_of([3, 1]), index.vectors[[3, 1]])
    assert mapped.neighbours(index.vectors[9], 3) == index.neighbours(index.vectors[9], 3)
    assert mapped.target_langs == index.target_langs == ("de",)
    assert mapped.search_facts.kind == "exact"


def test_parsed_entries_are_kept_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry asked for twice is the same object, until others have taken its place."""
    monkeypatch.setattr(entry_lines, "_KEPT", 2)
    lines = EntryLines(CONTENT, OFFSETS)
    first = lines.entries[0]
    assert lines.entries[0] is first
    assert [lines.entries[i] for i in (1, 2)] == ENTRIES[1:3]
    assert lines.entries[0] is not first


def test_folder_whose_line_counts_lie_is_refused(tmp_path: Path) -> None:
    """A small index is parsed at once, so that damage is told when it is loaded."""
    vectors = np.eye(len(FORMS), dtype=np.float32)
    content, offsets = CONTENT, OFFSETS.copy()
    offsets[3:, 1] += 1
    files: dict[str, NewContent] = {
        "index.faiss": ExactSearch.of(vectors).pack()[0],
        "entries.jsonl": content,
        "offsets.npy": pack_array(offsets),
        "background.npy": pack_array(np.zeros((len(FORMS) + 1, 4), np.float32)),
    }
    facts = IndexFacts("v", "e", len(FORMS), len(ENTRIES), len(FORMS), ())
    write_index_folder(tmp_path / "v", facts, files)
    with pytest.raises(IndexFolderError, match=r"the index folder .* is damaged"):
        TermIndex.load(tmp_path / "v", "e")
