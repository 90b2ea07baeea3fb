"""Glossaries in JSON: the seed's two shapes, one object a line, and alias files."""

import json
from pathlib import Path

import pytest

from index_builder.formats import GlossaryFile, Languages, ParsedGlossary, parse_glossary, read_glossary
from streaming.errors import GlossaryError


def _parse(text: str, target: str = "", name: str = "g") -> ParsedGlossary:
    return parse_glossary(GlossaryFile(Path(name), text.encode()), Languages("en", target))


SEED = {
    "neural network": {
        "url": "http://example.org",
        "term": "Neural network",
        "target_translations": {"zh": "神经网络", "de": "Neuronales Netz"},
        "short_description": "a model",
        "confused": False,
    },
    "ion": "Ion",
    "broken": 5,
}


def test_seed_glossary_as_an_object() -> None:
    """The seed's object keyed by term, with lines, and a member of another kind rejected."""
    parsed = _parse(json.dumps(SEED, indent=1), target="de")
    first, second = parsed.rows
    assert (first.term, first.key, first.note) == ("Neural network", "neural network", "a model")
    assert first.translations == {"zh": "神经网络", "de": "Neuronales Netz"}
    assert (second.term, dict(second.translations)) == ("ion", {"de": "Ion"})
    assert [row.place.line for row in parsed.rows] == [2, 12]
    assert [(row.value, row.line) for row in parsed.rejected] == [("broken", 13)]


def test_seed_glossary_as_a_list() -> None:
    """A list of objects or strings; fields may be lists; numbers are no terms."""
    text = '["plague", {"source": "ion", "de": "Ion", "aliases": ["ions", 3], "pronunciations": ["AY AH N"], "id": 7},\n 4, null]'
    parsed = _parse(text)
    assert [row.term for row in parsed.rows] == ["plague", "ion"]
    row = parsed.rows[1]
    assert (row.translations, row.aliases, row.pronunciations, row.row_id) == (
        {"de": "Ion"},
        ("ions", "3"),
        ("AY AH N",),
        "7",
    )
    assert [rejected.line for rejected in parsed.rejected] == [2, 2]


def test_first_of_several_translations_is_taken() -> None:
    """A list where one text is wanted gives its first, and the others are told; values that are no text give none."""
    parsed = _parse(
        '[{"term": ["ion"], "target_translations": {"de": [null, "Ion", "Ladungsträger", "Ion"], "fr": true}},\n'
        '{"term": "salt", "id": ["a", "b"], "fr": "sel", "french": ["sel", "gabelle"], "de": ["Salz", "Salz"]}]'
    )
    assert [(row.term, row.translations, row.row_id) for row in parsed.rows] == [
        ("ion", {"de": "Ion"}, ""),
        ("salt", {"fr": "sel", "de": "Salz"}, "a"),
    ]
    assert [(warning.kind, warning.message) for warning in parsed.warnings] == [
        ("second_value", f"g, line {line}: of several values of {what} counts, and {other!r} is ignored; write one")
        for line, what, other in (
            (1, "translation into de the first, 'Ion',", "Ladungsträger"),
            (2, "id the first, 'a',", "b"),
            (2, "translation into fr the first, 'sel',", "gabelle"),
        )
    ]


def test_further_terms_are_aliases_and_notes_are_joined() -> None:
    """Nothing of a list is lost that can be kept: names of the same thing, and what is for the reader."""
    parsed = _parse('[{"term": ["SGD", "descent"], "aliases": ["a"], "note": ["n", "m", "n"], "domain": ["x", "y"]}]')
    (row,) = parsed.rows
    assert (row.term, row.aliases, row.note, row.domain) == ("SGD", ("descent", "a"), "n; m", "x; y")
    assert parsed.warnings == ()


def test_provenance_is_not_the_term() -> None:
    """A field "source" beside "term" says something else."""
    assert _parse('[{"source": "Wikipedia", "term": "ion"}]').rows[0].term == "ion"


def test_key_that_stands_twice_is_kept() -> None:
    """JSON parsers drop the first of two equal keys; a glossary may not."""
    assert len(_parse('{"a b": {"de": "x"}, "a b": {"de": "y"}}').rows) == 2


@pytest.mark.parametrize(
    "text", ["[", "{", '{"a"}', '{"a": 1,}', '["a" "b"]', "[1] 2", "{1: 2}", "[" * 100_000, "[tru]"]
)
def test_broken_json_is_refused_with_its_place(text: str) -> None:
    """The message names line and column."""
    with pytest.raises(GlossaryError, match=r"not sound JSON at line 1, column \d+"):
        _parse(text)


@pytest.mark.parametrize("text", ["null", "123", "NaN", '"ion"', "term,de"])
def test_json_file_of_a_single_value_is_refused(text: str) -> None:
    """A file called .json holds an object or a list; anything else does not become a term."""
    with pytest.raises(GlossaryError, match="an object or a list is expected; correct it there"):
        parse_glossary(GlossaryFile(Path("g.JSON"), text.encode()), Languages())


@pytest.mark.parametrize("text", ['[{"term": NaN}]', "[Infinity]", '{"a": -Infinity}'])
def test_numbers_that_json_lacks_are_refused(text: str) -> None:
    """NaN and Infinity are no JSON, though Python reads them."""
    with pytest.raises(GlossaryError, match=r"line 1, column \d+: .*holds NaN, Infinity"):
        _parse(text)


def test_number_without_end_is_no_term() -> None:
    """A number too large for a float gives no text."""
    assert _parse('[{"term": 1e999, "de": "x"}]').rows[0].term == ""


@pytest.mark.parametrize("text", ["[]", "{}"])
def test_empty_json_has_no_rows(text: str) -> None:
    """An empty list is sound; the glossary is refused later, with all its files."""
    assert _parse(text).rows == ()


def test_aliases_are_read_beside(tmp_path: Path) -> None:
    """`alt2main.json` gives alias rows; a main term that is no text is rejected."""
    (tmp_path / "g.csv").write_text("term\nneural network\n")
    (tmp_path / "alt2main.json").write_text('{"neural nets": "neural network",\n "x": 3}')
    parsed = read_glossary(tmp_path / "g.csv", aliases=tmp_path / "alt2main.json")
    assert [(row.alias, row.main) for row in parsed.alias_rows] == [("neural nets", "neural network")]
    assert [(row.file, row.line) for row in parsed.rejected] == [("alt2main.json", 2)]


@pytest.mark.parametrize(
    ("text", "message"), [('["x"]', "object of"), ("alias,main", "not sound JSON"), ("", "not sound JSON")]
)
def test_alias_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """An alias file must be a JSON object."""
    (tmp_path / "g.csv").write_text("ion\n")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(GlossaryError, match=message):
        read_glossary(tmp_path / "g.csv", aliases=tmp_path / "a.json")


def test_one_object_a_line() -> None:
    """A bad line costs itself only; each row has its line, whatever the file is called."""
    parsed = _parse('{"term": "ion", "de": "Ion"}\n\n{"term": \n"salt"\n[1]\n{"id": "x", "source_term": "plague"}\n')
    assert [(row.place.line, row.term, row.row_id) for row in parsed.rows] == [
        (1, "ion", ""),
        (4, "salt", ""),
        (6, "plague", "x"),
    ]
    assert [(row.line, row.value) for row in parsed.rejected] == [(3, '{"term":'), (5, "[1]")]
    assert parsed.reading == "JSON, one object a line, UTF-8"


@pytest.mark.parametrize(
    ("text", "name", "terms"),
    [
        ('{"term": "ion", "de": "Ion"}', "g", ["ion"]),
        ('{"term": "ion", "colour": "red"}', "g.jsonl", ["ion"]),
        ('{"ion": "Ion", "salt": "Salz"}', "g", ["ion", "salt"]),
        ('{"ion": {"de": "Ion"}}', "g.json", ["ion"]),
        ('{"ion": {"de": "Ion"},\n "salt": {"de": "Salz"}}', "g", ["ion", "salt"]),
    ],
)
def test_a_single_object_is_an_entry_or_keyed_by_term(text: str, name: str, terms: list[str]) -> None:
    """It is an entry where its name says so or all of its keys are fields; else its keys are terms."""
    assert [row.term for row in _parse(text, name=name).rows] == terms


def test_fields_of_an_entry() -> None:
    """Domain, language, silence and probability are read; translations by any name of theirs."""
    (row,) = _parse(
        '[{"term": "ion", "domain": "physics", "source_lang": "English", "do_not_hint": true, "min_probability": 0.4,'
        ' "translation_de": "Ion", "translation:x-y": "q", "translations": {"fr": "ion", "und": "z"}}]'
    ).rows
    assert (row.domain, row.source_lang, row.do_not_hint, row.minimum_probability) == ("physics", "en", True, 0.4)
    assert row.translations == {"de": "Ion", "x-y": "q", "fr": "ion", "": "z"}


@pytest.mark.parametrize(("value", "kept"), [("1.5", 0.0), ('"high"', 0.0), ("-1", 0.0), ('"35 %"', 0.35)])
def test_probability_out_of_range_is_told(value: str, kept: float) -> None:
    """What is no probability is ignored with a warning that names the line."""
    parsed = _parse(f'[{{"term": "ion",\n "minimum_probability": {value}}}]', name="g.json")
    assert parsed.rows[0].minimum_probability == kept
    assert [warning.kind for warning in parsed.warnings] == ([] if kept else ["minimum_probability"])


def test_lists_without_end_are_left_alone() -> None:
    """A value nested deeper than anyone writes is no text, and no traceback."""
    assert _parse('[{"term": ["ion"], "note": ' + "[" * 300 + "]" * 300 + "}]").rows[0].note == ""
