"""Every spoken form can be traced to what its author wrote."""

from pathlib import Path

import pytest

from index_builder.entry_forms import MAX_FORMS, inflected_forms, written_forms
from index_builder.formats import GlossaryFile, GlossaryRow, Languages, ParsedGlossary, Place, parse_glossary
from index_builder.glossary import INFLECTED_GLOSSARY, Glossary, assemble
from index_builder.inflections import Inflections
from index_builder.pronounce import SpokenForm
from streaming.spotting.scoring_config import ScoringConfig


def _assemble(text: str, inflections: Inflections = "always") -> Glossary:
    return assemble(
        "g", [parse_glossary(GlossaryFile(Path("g.csv"), text.encode()), Languages())], inflections=inflections
    )


def _forms(glossary: Glossary) -> list[list[str]]:
    return [[form.text for form in item.forms] for item in glossary.entries]


@pytest.mark.parametrize(
    ("term", "kinds"),
    [
        ("Kalman filter", {"kalman filter": "term"}),
        ("NASA", {"n a s a": "spelled", "nasa": "abbreviation"}),
        ("GPT-4", {"g p t four": "number"}),
        ("R²", {"r squared": "symbol"}),
        ("#1", {"number one": "number"}),
        ("25 °C", {"twenty five degrees celsius": "number"}),
        ("AT&T", {"a t and t": "symbol"}),
        ("Dr. Smith", {"doctor smith": "abbreviation"}),
        ("World War II", {"world war two": "number", "world war the second": "number", "world war i i": "spelled"}),
    ],
)
def test_kinds_of_written_forms(term: str, kinds: dict[str, str]) -> None:
    """Words as they stand, letters, abbreviations, numbers and signs are told apart; each names its text."""
    forms = written_forms(term, ())
    assert {form.text: form.kind for form in forms} == kinds
    assert {form.written for form in forms} == {term}


def test_forms_of_aliases_name_their_alias() -> None:
    """The term comes first, and a text that both give is the term's."""
    forms = written_forms("Stochastic gradient", ["SGD", "stochastic-gradient", "noisy gradient"])
    assert [(form.text, form.kind, form.written) for form in forms] == [
        ("stochastic gradient", "term", "Stochastic gradient"),
        ("s g d", "spelled", "SGD"),
        ("noisy gradient", "alias", "noisy gradient"),
    ]


def test_inflected_forms_name_kind_and_text() -> None:
    """Plural, possessive and joined prefix of the term and of its alias; numbers are not inflected."""
    forms = inflected_forms(written_forms("e-mail", ["NASA", "GPT-4"]))
    assert [(form.text, form.kind, form.written) for form in forms] == [
        ("email", "hyphen", "e-mail"),
        ("e mails", "plural", "e-mail"),
        ("e mail's", "possessive", "e-mail"),
        ("n a s a's", "plural", "NASA"),
        ("nasas", "plural", "NASA"),
        ("nasa's", "possessive", "NASA"),
    ]


@pytest.mark.parametrize(
    ("said", "ending"),
    [(("K", "AE", "T"), ("S",)), (("D", "AO", "G"), ("Z",)), (("CH", "ER", "CH"), ("IH", "Z"))],
)
def test_given_pronunciations_are_inflected_too(said: tuple[str, ...], ending: tuple[str, ...]) -> None:
    """A user's pronunciation gets the ending that its last sound asks for."""
    (plural, possessive) = inflected_forms([SpokenForm("zorb", ((said,),), "term", "zorb")])
    assert plural.given == possessive.given == (((*said, *ending),),)


def test_irregular_plurals_ask_the_model() -> None:
    """Men is not man with an ending."""
    plural, _ = inflected_forms([SpokenForm("man", ((("M", "AE", "N"),),), "term", "man")])
    assert (plural.text, plural.given) == ("men", ())


def test_forms_of_an_entry_are_bounded() -> None:
    """Inflections take what room is left."""
    forms = [SpokenForm(f"term {'a' * n}bc", (), "term", str(n)) for n in range(MAX_FORMS - 1)]
    assert len(inflected_forms(forms)) == 1
    assert inflected_forms([*forms, SpokenForm("last")]) == []


def test_forms_of_another_entry_stay_its_own() -> None:
    """What one entry says as it is written is no inflection of another; of two inflections the first counts."""
    glossary = _assemble("term\nnetwork\nnetworks\nNETWORK's\n")
    assert _forms(glossary) == [["network"], ["networks"], ["network's"]]
    assert _forms(_assemble("term\nbus\nbuse\n")) == [["bus", "buses", "bus's"], ["buse", "buse's"]]


def test_never_and_always() -> None:
    """Never adds nothing; auto adds to a small glossary what always does."""
    text = "term\nyoung man\nprudently\n"
    assert _forms(_assemble(text, "never")) == [["young man"], ["prudently"]]
    assert _assemble(text, "auto") == _assemble(text, "always")
    assert _forms(_assemble(text, "auto"))[0] == ["young man", "young men", "young man's"]


def test_auto_leaves_a_large_glossary_as_it_is_written() -> None:
    """Beyond the number of forms that the scorer aligns at each hop there is no inflection at all."""
    assert ScoringConfig().exhaustive_forms == INFLECTED_GLOSSARY
    letters = "bcdfghjklmnpqrst"
    terms = [f"{a}o{b}i{c}o" for a in letters for b in letters for c in letters]

    def forms(count: int, inflections: Inflections) -> int:
        rows = tuple(GlossaryRow(Place("g", i), term) for i, term in enumerate(terms[:count]))
        glossary = assemble("g", [ParsedGlossary("g", rows)], inflections=inflections)
        return sum(len(item.forms) for item in glossary.entries)

    assert forms(500, "auto") == INFLECTED_GLOSSARY
    assert forms(501, "auto") == 501
    assert forms(501, "always") == 1503
