"""Findings about entries, each with what to do."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import index_builder.lint_sound
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import Glossary, assemble
from index_builder.lint import findings_by_kind, lint
from index_builder.lint_sound import Sounds
from streaming.entries import make_form

WORDS = {"country": 1 / 2_250, "leisure": 1 / 300_000}


def _log_prob(word: str) -> float:
    return math.log(WORDS[word]) if word in WORDS else -math.inf


def _glossary(text: str) -> Glossary:
    return assemble("g", [parse_glossary(GlossaryFile(Path("g.csv"), text.encode()), Languages("en", "de"))])


def _found(text: str) -> list[tuple[str, str]]:
    return [(finding.entry, finding.kind) for finding in lint(_glossary(text), _log_prob)]


def test_missing_translations_are_those_that_others_have() -> None:
    """Each language that any entry has is expected of all; without any translation nothing is missing."""
    glossary = _glossary("term,de,zh\nplague,Pest,瘟疫\nkernel,Kern,\nburial,,\n")
    findings = lint(glossary, _log_prob)
    assert [(finding.entry, finding.kind) for finding in findings] == [
        ("g:000002", "missing_translation"),
        ("g:000003", "missing_translation"),
    ]
    assert findings[0].message == "'kernel' has no translation into zh"
    assert findings[1].message == "'burial' has no translation into de, zh"
    assert _found("term\nplague\nkernel\n") == []


def test_everyday_words_are_told_with_how_often_they_are_said() -> None:
    """Only single words, and only those said at least twice in an hour of talk."""
    (finding,) = lint(_glossary("term\ncountry\nleisure\nthird country\nmitochondria\n"), _log_prob)
    assert (finding.entry, finding.kind) == ("g:000001", "everyday_word")
    assert "'country' is an everyday word: in an hour of any talk it is said about 4 times" in finding.message


def test_forms_of_another_entry_are_told_apart_from_equal_terms() -> None:
    """Two terms that are said alike, and an alias that is another entry's term."""
    (same,) = lint(_glossary("term\nSQL\nS.Q.L.\n"), _log_prob)
    assert (same.entry, same.kind) == ("g:000002", "same_sound")
    (other,) = lint(_glossary("term,aliases\nplague,\npestilence,plague\n"), _log_prob)
    assert (other.entry, other.kind) == ("g:000002", "another_form")
    assert "'plague', an alias of 'pestilence', and 'plague' are both spoken 'plague'" in other.message


def test_sound_alikes_name_both_terms_and_why() -> None:
    """Homophones and near-homophones are different findings."""
    glossary = _glossary("term\ncite\nsite\naffect\neffect\n")
    said = ["S AY T", "S AY T", "AH F EH K T", "IH F EH K T"]
    forms = [
        make_form(i, item.forms[0].text, [[tuple(said[i].split())]], "term", item.entry.term)
        for i, item in enumerate(glossary.entries)
    ]
    homophone, near = lint(glossary, _log_prob, Sounds(forms, np.eye(4, dtype=np.float32)))
    assert (homophone.entry, homophone.kind) == ("g:000001", "homophone")
    assert homophone.message.startswith("'cite' and 'site' (g:000002) sound the same")
    assert (near.entry, near.kind) == ("g:000003", "near_homophone")
    assert "(one sound differs, one letter differs, similarity 0.00)" in near.message


def test_what_is_not_compared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glossary too large for it says so in one finding."""
    monkeypatch.setattr(index_builder.lint_sound, "MAX_COMPARED", 1)
    glossary = _glossary("term\ncite\nsite\n")
    forms = [make_form(i, text, [], "term", text) for i, text in enumerate(("cite", "site"))]
    (finding,) = lint(glossary, _log_prob, Sounds(forms, np.eye(2, dtype=np.float32)))
    assert (finding.entry, finding.kind) == ("", "not_compared")


def test_terms_that_are_never_shown_need_no_translation() -> None:
    """do_not_hint entries are listened for, so that no other takes their place; nobody reads them."""
    glossary = _glossary("term,de\nplague,Pest\n")
    silent = replace(glossary.entries[0].entry, entry_id="x", term="country", translations={}, do_not_hint=True)
    entries = (*glossary.entries, replace(glossary.entries[0], entry=silent))
    assert lint(replace(glossary, entries=entries), _log_prob) == ()


def test_findings_are_counted_by_kind() -> None:
    """In the order in which kinds come up."""
    findings = lint(_glossary("term,de\nkernel,\ncountry,Land\nion,Ion\n"), _log_prob)
    assert findings_by_kind(findings) == {"short": 1, "missing_translation": 1, "everyday_word": 1}
