"""Rows become entries, and the account of the rows adds up."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats import GlossaryFile, GlossaryRow, Languages, ParsedGlossary, Place, parse_glossary
from index_builder.glossary import Glossary, assemble, clean, fold
from index_builder.surface import spoken_forms
from streaming.errors import GlossaryError


def _glossary(text: str, aliases: dict[str, str] | None = None) -> Glossary:
    alias_file = None if aliases is None else GlossaryFile(Path("alt2main.json"), json.dumps(aliases).encode())
    return assemble(
        "g", [parse_glossary(GlossaryFile(Path("g.csv"), text.encode()), Languages("en", "de"), alias_file)]
    )


def _kinds(glossary: Glossary) -> list[str]:
    return [warning.kind for warning in glossary.warnings]


def test_entries_keep_their_order_and_get_stable_ids() -> None:
    """An id is the row's own, else the glossary's name and the entry's number."""
    glossary = _glossary("id,term,translation\n,plague,Pest\nt7,calamity,Unglück\n")
    assert [item.entry.entry_id for item in glossary.entries] == ["g:000001", "t7"]
    assert [item.entry.term for item in glossary.entries] == ["plague", "calamity"]
    assert glossary.entries[0].entry.translations == {"de": "Pest"}
    assert [form.text for form in glossary.entries[1].forms] == ["calamity"]


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        ("", "empty"),
        ("!?", "no letter or digit"),
        ("x" * 10_000, "10000 characters, more than 200"),
        ("😀", "no letter or digit"),
        ("\U00012000", "letters a to z"),
    ],
)
def test_unusable_rows_are_rejected_with_their_place(term: str, reason: str) -> None:
    """File, line, shortened value and reason."""
    glossary = _glossary(f"term,translation\nplague,Pest\n{term},x\n")
    (row,) = glossary.rejected
    assert (row.file, row.line) == ("g.csv", 3)
    assert reason in row.reason
    assert len(row.value) <= 80
    assert (glossary.rows, len(glossary.entries), glossary.merged) == (2, 1, 0)


def test_duplicates_merge() -> None:
    """The same term in another case or form is one entry; other spellings become aliases, notes stay."""
    glossary = _glossary("term,translation\nCafé noir,x\ncafé  noir,x\nCAFÉ NOIR,\n")
    (item,) = glossary.entries
    assert item.entry.term == "Café noir"
    assert item.entry.aliases == ("café noir", "CAFÉ NOIR")
    assert (glossary.rows, glossary.merged, glossary.rejected) == (3, 2, ())
    assert "conflicting_translation" not in _kinds(glossary)


def test_acronym_and_word_of_the_same_letters_keep_both_forms() -> None:
    """The acronym "IT" merged into "it" is still found when it is spelled."""
    (item,) = _glossary("term\nit\nIT\n").entries
    assert [form.text for form in item.forms] == ["it", "i t"]


def test_conflicting_translations_are_told() -> None:
    """The first translation is kept and the warning names both."""
    glossary = _glossary("term,translation\nplague,Pest\nplague,Seuche\n")
    assert glossary.entries[0].entry.translations == {"de": "Pest"}
    (warning,) = glossary.warnings
    assert (warning.entry, warning.kind) == ("g:000001", "conflicting_translation")
    assert "'Seuche'" in warning.message
    assert "'Pest'" in warning.message


def test_aliases_give_forms_of_the_same_entry() -> None:
    """Aliases of the row and of an alias file are forms; the file's lines are merged or rejected."""
    glossary = _glossary(
        "term,aliases\nneural network,neural net;!\n",
        {"NN": "Neural Network", "cat": "dog", "?": "neural network"},
    )
    (item,) = glossary.entries
    assert [form.text for form in item.forms] == ["neural network", "neural net", "n n"]
    assert item.entry.aliases == ("neural net", "NN")
    assert [row.reason for row in glossary.rejected] == [
        "its main term 'dog' is not in the glossary",
        "the alias has no letter or digit",
    ]
    assert "the alias '!' is ignored" in glossary.warnings[0].message
    assert (glossary.rows, glossary.merged) == (4, 1)


def test_alias_file_may_use_the_key_of_the_seed() -> None:
    """An alias points to the key of a JSON row even where its term is written otherwise."""
    glossary = _glossary('{"sgd": {"term": "stochastic gradient descent"}}', {"gradient noise": "sgd"})
    assert glossary.entries[0].entry.aliases == ("gradient noise",)


def test_ids_that_cannot_be_kept_are_replaced() -> None:
    """A second use of an id, or one too long, gets a made id and a warning; made ids never collide."""
    glossary = _glossary(f"id,term\nx,plague\nx,calamity\n{'y' * 101},burials\ng:000002,breach\n")
    ids = [item.entry.entry_id for item in glossary.entries]
    assert ids == ["x", "g:000002-", "g:000003", "g:000002"]
    assert _kinds(glossary) == ["id", "id"]


@pytest.mark.parametrize("name", ["a/b", "<b>", "a'b", "a\u200bb", "é́\u0301"])
def test_ids_of_other_characters_are_replaced(name: str) -> None:
    """An id that could surprise a page or a shell gets a made one and a warning that names it."""
    glossary = _glossary(f"id,term\n{name},plague\nA 1._:-é,calamity\n")
    assert [item.entry.entry_id for item in glossary.entries] == ["g:000001", "A 1._:-é"]
    (warning,) = glossary.warnings
    assert (warning.entry, warning.kind) == ("g:000001", "id")
    assert "g:000001 is used instead" in warning.message


def test_too_many_forms_are_cut_with_their_count() -> None:
    """Only the first 64 spoken forms of an entry are kept, its term's first; the warning says how many there were."""
    names = {f"{one}{two} house": "plague" for one in "bcdfghjkl" for two in ("adam", "ofer", "imon", "alin", "edan")}
    more = {f"{alias} two": main for alias, main in names.items()}
    (item,) = (glossary := _glossary("term\nplague\n", names | more)).entries
    assert len(item.forms) == 64
    assert item.forms[0].text == "plague"
    (warning,) = glossary.warnings
    assert (warning.entry, warning.kind) == ("g:000001", "forms")
    assert "has 91 spoken forms; only the first 64" in warning.message


def test_fields_of_a_row_reach_its_entry() -> None:
    """Domain, language, pronunciations, and what forbids or limits hints."""
    rows = (
        GlossaryRow(Place("g", 1), "plague", source_lang="en-gb", domain=" medicine\t", pronunciations=("P L EY G",)),
        GlossaryRow(Place("g", 2), "kernel", do_not_hint=True, minimum_probability=0.75),
    )
    plague, kernel = (item.entry for item in assemble("g", [ParsedGlossary("g", rows)], source_lang="fr").entries)
    assert (plague.source_lang, plague.domain, plague.pronunciations) == ("en-gb", "medicine", ("P L EY G",))
    assert (plague.do_not_hint, plague.minimum_probability) == (False, 0.0)
    assert (kernel.source_lang, kernel.do_not_hint, kernel.minimum_probability) == ("fr", True, 0.75)


def test_repeated_rows_fill_gaps_and_the_stricter_wins() -> None:
    """A later row adds what is missing; other values are told; a forbidden hint stays forbidden."""
    rows = (
        GlossaryRow(Place("g", 1), "plague", minimum_probability=0.5),
        GlossaryRow(Place("g", 2), "plague", row_id="p", domain="medicine", do_not_hint=True, minimum_probability=0.25),
        GlossaryRow(Place("g", 3), "Plague", row_id="q", domain="history", note="x"),
    )
    glossary = assemble("g", [ParsedGlossary("g", rows, reading="a list of terms")])
    (item,) = glossary.entries
    assert (item.entry.entry_id, item.entry.domain, item.entry.note) == ("p", "medicine", "x")
    assert (item.entry.do_not_hint, item.entry.minimum_probability) == (True, 0.5)
    assert [warning.message for warning in glossary.warnings] == [
        "g, line 3: 'plague' has another id here; 'p', the first, is kept",
        "g, line 3: 'plague' has another domain here; 'medicine', the first, is kept",
    ]
    assert glossary.readings == ("g: a list of terms",)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("term\nion\n", "short"),
        (f"term\n{'abcde ' * 20}\n", "long"),
        ("term\nSQL\nS.Q.L. \n", "same_sound"),
        ("term,pronunciation\nplague,XYZ\n", "pronunciation"),
    ],
)
def test_lint(text: str, kind: str) -> None:
    """Terms that will be heard too often or never, sound like another or have a bad pronunciation are told."""
    assert _kinds(_glossary(text)) == [kind]


def test_spelled_acronyms_are_not_short() -> None:
    """Three letters said by their names are long enough."""
    assert _kinds(_glossary("term\nSGD\n")) == []


def test_nothing_usable_shows_the_first_rejects() -> None:
    """A glossary without a usable term is refused with examples."""
    with pytest.raises(
        GlossaryError, match=r"none of its 2 rows is usable \(g\.csv line 2: '!'.*line 3.*header `term`"
    ):
        _glossary("term,translation\n!,x\n,y\n")
    with pytest.raises(GlossaryError, match="never closed"):
        _glossary('"open\n')
    with pytest.raises(GlossaryError, match="it holds no row"):
        _glossary("term,translation\n")


def test_several_files_are_one_glossary() -> None:
    """Rows of two files merge, and the account covers both."""
    files = [
        ParsedGlossary(name, (GlossaryRow(Place(name, 1), "plague", {"": name}),), (), ())
        for name in ("a.csv", "b.csv")
    ]
    glossary = assemble("g", files)
    assert (glossary.rows, len(glossary.entries), glossary.merged) == (2, 1, 1)
    assert "b.csv, line 1" in glossary.warnings[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a\t b\n", "a b"),
        ("e\u0301", "é"),
        ("a\x07b", "a b"),
        ("a\u202eb\u2066c\u2069", "abc"),
        ("\ud800x", "?x"),
        ("plain", "plain"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    """One line, composed, writable as UTF-8."""
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [("ＳＧＤ", "sgd"), ("Straße", "STRASSE"), ("a\u200bb", "ab"), ("con\u00adsider", "consider"), ("x  y", "X Y")],
)
def test_fold(left: str, right: str) -> None:
    """Case, width and invisible characters do not make another term."""
    assert fold(left) == fold(right)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=4), st.sampled_from(["", "x", "y"])), max_size=15))
def test_every_row_is_accounted_for(rows: list[tuple[str, str, str]]) -> None:
    """Rows = entries + merged + rejected; ids are unique; forms can be traced to their entry's texts."""
    parsed = ParsedGlossary(
        "g",
        tuple(GlossaryRow(Place("g", i), term, {"": said}, row_id=name) for i, (term, said, name) in enumerate(rows)),
    )
    try:
        glossary = assemble("g", [parsed])
    except GlossaryError:
        assert not any(spoken_forms(clean(term)) and any(map(str.isalnum, clean(term))) for term, _, _ in rows)
        return
    assert glossary.rows == len(rows) == len(glossary.entries) + glossary.merged + len(glossary.rejected)
    assert len({item.entry.entry_id for item in glossary.entries}) == len(glossary.entries)
    for item in glossary.entries:
        allowed = {form for text in (item.entry.term, *item.entry.aliases) for form in spoken_forms(text)}
        assert {form.text for form in item.forms} == allowed
