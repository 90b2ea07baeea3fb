"""The report as a page that needs nothing but a browser."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import index_builder.lint_page
from index_builder.formats import GlossaryFile, GlossaryWarning, Languages, RejectedRow, parse_glossary
from index_builder.glossary import Glossary, assemble
from index_builder.lint_page import lint_page
from index_builder.report import IndexReport
from index_builder.self_test import EntryResult, SelfTest

EVIL = "<script>alert('x')</script>\"&"


class _Page(HTMLParser):
    """The tags, attributes and texts of a page; void tags apart, all must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _glossary(text: str = "term,de,aliases\nplague,Pest,pestilence\nkernel,,\n") -> Glossary:
    file = GlossaryFile(Path("g.csv"), text.encode())
    return assemble("talks", [parse_glossary(file, Languages("en", "de"))], inflections="always")


def _report(glossary: Glossary, **changes: object) -> IndexReport:
    report = IndexReport(
        id=glossary.name,
        version="20261014T091203Z-0123456789ab",
        rows=glossary.rows,
        entries=len(glossary.entries),
        merged=glossary.merged,
        forms=sum(len(each.forms) for each in glossary.entries),
        rejected=glossary.rejected,
        warnings=glossary.warnings,
        seconds=1.0,
        target_langs=glossary.target_langs,
        form_kinds=glossary.form_kinds,
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def _text(page: str) -> str:
    return " ".join(" ".join(_Page(page).texts).split())


def test_page_tells_counts_findings_and_forms() -> None:
    """What a human wants to know before the talk, each form with how it came about."""
    glossary = _glossary("term,de,aliases\nplague,Pest,pestilence\nkernel,Kern,\nkernel,Nukleus,\n!?,x,\n")
    text = _text(lint_page(_report(glossary), glossary))
    assert "4 rows = 2 entries + 1 merged + 1 rejected" in text
    assert "Rejected rows (1)" in text
    assert "the term has no letter or digit" in text
    assert "Translations that contradict each other 1" in text
    assert "plague · pestilence alias · plagues plural · plague's possessive" in text


def test_gravest_findings_come_first() -> None:
    """Kinds in the order in which they harm; one that is not known comes last."""
    glossary = _glossary()
    kinds = ("novelty", "missing_translation", "homophone", "everyday_word")
    warnings = tuple(GlossaryWarning("talks:000001", kind, kind) for kind in kinds)
    text = _text(lint_page(_report(glossary, warnings=warnings), glossary))
    order = ["Terms that sound the same", "Too common", "Missing translations", "Novelty"]
    assert [text.index(title) for title in order] == sorted(text.index(title) for title in order)


def test_self_test_is_shown_with_the_worst_first() -> None:
    """Recall of each entry, what was hinted instead, and how its false hints are estimated."""
    glossary = _glossary()
    rows = (
        EntryResult("talks:000001", 3, 3, (), 0, 1.5),
        EntryResult("talks:000002", 3, 1, ("talks:000001",), 2, 10.5),
    )
    test = SelfTest("booth", 2, 90.0, ("espeak-a",), 2, 12.0, rows)
    text = _text(lint_page(_report(glossary, self_test=test), glossary))
    assert "Self-test: 67% heard" in text
    assert "kernel 1 of 3 plague 2 10.50 plague 3 of 3 1.50" in text
    assert "an estimate" in text


@pytest.mark.parametrize("where", ["term", "translation", "alias", "rejected", "message", "id", "name"])
def test_text_of_the_glossary_is_never_markup(where: str) -> None:
    """Wherever it stands."""
    cells = {"term": "plague", "translation": "Pest", "alias": ""} | {where: EVIL.replace('"', "")}
    glossary = _glossary(f"term,de,aliases\n{cells['term']},{cells['translation']},{cells['alias']}\n")
    if where == "name":
        glossary = replace(glossary, name=EVIL)
    changes = {
        "rejected": (RejectedRow(EVIL, 1, EVIL, EVIL),) if where == "rejected" else (),
        "warnings": (GlossaryWarning("x", EVIL if where == "id" else "short", EVIL),),
    }
    page = _Page(lint_page(_report(glossary, **changes), glossary))
    assert "script" not in page.tags
    assert any("alert('x')" in text for text in page.texts)


def test_nothing_comes_from_outside() -> None:
    """No script, link, picture or font; the page's own policy forbids them too."""
    page = lint_page(_report(_glossary()), _glossary())
    parsed = _Page(page)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(parsed.tags)
    assert not [name for name, _ in parsed.attributes if name in ("src", "href", "srcset") or name.startswith("on")]
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?:", page)


def test_large_glossaries_are_cut_with_their_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser must be able to open the page."""
    monkeypatch.setattr(index_builder.lint_page, "SHOWN_ENTRIES", 2)
    monkeypatch.setattr(index_builder.lint_page, "SHOWN_FINDINGS", 1)
    glossary = _glossary("term,de\nplague,\nkernel,\nburial,Grab\n")
    warnings = tuple(GlossaryWarning("", "missing_translation", f"number {n}") for n in range(3))
    text = _text(lint_page(_report(glossary, warnings=warnings), glossary))
    assert "and 1 more" in text
    assert "and 2 more: --json" in text
    assert "number 0" in text
    assert "number 1" not in text


@given(st.text(max_size=30))
def test_any_message_stays_text(message: str) -> None:
    """Tags are balanced and the message is shown as it is."""
    glossary = _glossary()
    page = lint_page(_report(glossary, warnings=(GlossaryWarning("", "novelty", message),)), glossary)
    plain = lint_page(_report(glossary, warnings=(GlossaryWarning("", "novelty", ""),)), glossary)
    assert _Page(page).tags == _Page(plain).tags
