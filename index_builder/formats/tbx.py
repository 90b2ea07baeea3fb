"""TBX (ISO 30042), version 2 (`martif`, `termEntry`, `langSet`, `tig` or `ntig`) and 3 (`conceptEntry`, `langSec`).

A concept is a row: its first usable term in the source language, the others as aliases, and the first term of every
other language as its translation; preferred terms come first. A term that must not be used is rejected by itself.
Data categories are found in both styles, as the value of `type` (DCA) and as the name of an element (DCT).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index_builder.formats import tbx_dialect
from index_builder.formats.columns import Column, Role
from index_builder.formats.languages import Languages, as_code, is_spoken_in
from index_builder.formats.row_draft import RowDraft
from index_builder.formats.rows import GlossaryRow, GlossaryWarning, ParsedGlossary, Place, RejectedRow, reject
from index_builder.formats.xml_tree import Element, EntryElements

_CONCEPTS = frozenset({"termEntry", "conceptEntry"})
_SECTIONS = ("langSet", "langSec")
_TERMS = ("tig", "ntig", "termSec")
_STATUS = ("administrativeStatus", "normativeAuthorization", "usageStatus", "status")
_OWN_COLUMNS: tuple[tuple[Role, str], ...] = (
    ("pronunciations", tbx_dialect.ARPABET),
    ("source_lang", tbx_dialect.SOURCE_LANG),
    ("domain", "subjectField"),
    ("do_not_hint", tbx_dialect.DO_NOT_HINT),
    ("minimum_probability", tbx_dialect.MINIMUM_PROBABILITY),
)
_READ = frozenset(
    {*_STATUS, *(name for _, name in _OWN_COLUMNS), tbx_dialect.ENTRY_ID, tbx_dialect.ROLE, "definition", "note"}
)
_FORBIDDEN = re.compile(r"forbid|obsolet|deprecat|supersed|reject|do.?not.?use", re.IGNORECASE)
_PREFERRED = re.compile(r"prefer", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of a concept; `categories` are its data categories."""

    text: str
    line: int
    categories: Mapping[str, Sequence[str]]

    @property
    def status(self) -> str:
        """Whether it is to be used, in the words of its author."""
        return " ".join(value for name in _STATUS for value in self.categories.get(name, ()))


@dataclass(frozen=True, slots=True)
class _Section:
    """What a concept says in one language."""

    language: str
    terms: Sequence[_Term]
    categories: Mapping[str, Sequence[str]]

    def holds_sources(self, source_lang: str) -> bool:
        """Whether its terms are those that are listened for."""
        is_translation = tbx_dialect.TRANSLATION_ROLE in self.categories.get(tbx_dialect.ROLE, ())
        return is_spoken_in(self.language, source_lang) and not is_translation


def parse_tbx(content: bytes, name: str, languages: Languages) -> ParsedGlossary:
    """Read a term base.

    Raises:
        GlossaryError: it is not sound XML.
    """
    base = _TermBase(name, languages)
    EntryElements(_CONCEPTS, base.take).read(content, name)
    return base.parsed()


class _TermBase:
    """The rows of a term base while it is read."""

    def __init__(self, name: str, languages: Languages) -> None:
        self._name = name
        self._languages = languages
        self._rows: list[GlossaryRow] = []
        self._rejected: list[RejectedRow] = []
        self._warnings: list[GlossaryWarning] = []
        self._second_translations: list[int] = []

    def parsed(self) -> ParsedGlossary:
        """All rows so far."""
        if self._second_translations:
            lines = self._second_translations
            message = (
                f"{self._name}, line {lines[0]}: a language has several terms for one concept; the preferred or first "
                f"is its translation, the others are not shown: {len(lines)} times"
            )
            self._warnings.append(GlossaryWarning("", "second_value", message))
        return ParsedGlossary(
            self._name, tuple(self._rows), (), tuple(self._rejected), tuple(self._warnings), "a TBX term base"
        )

    def take(self, concept: Element) -> None:
        """Read a concept."""
        categories = _categories(concept, *_SECTIONS)
        source_lang = next(iter(categories.get(tbx_dialect.SOURCE_LANG, ())), "")
        wanted = source_lang or self._languages.source
        sections = [_section(element) for element in concept.named(*_SECTIONS)]
        own = [section for section in sections if section.holds_sources(wanted)]
        terms = self._usable([term for section in own for term in section.terms])
        draft = RowDraft(Place(self._name, concept.line), self._warnings)
        for section in sections:
            if not section.holds_sources(wanted):
                self._translate(draft, section, concept.line)
        if terms:
            for term in terms:
                draft.add(Column("term"), [term.text])
            of_parts = [*(section.categories for section in own), *(term.categories for term in terms)]
            _describe(draft, [categories, *of_parts], concept.attributes)
            self._rows.append(draft.row())
        elif not any(section.terms for section in own):
            first = next((term.text for section in sections for term in section.terms), "")
            self._rejected.append(
                reject(Place(self._name, concept.line), first, f"its concept has no term in {wanted}")
            )

    def _translate(self, draft: RowDraft, section: _Section, line: int) -> None:
        usable = self._usable(section.terms)
        if usable:
            code = as_code(section.language) or self._languages.target
            draft.add(Column("translation", code), [usable[0].text])
        if len(usable) > 1:
            self._second_translations.append(line)

    def _usable(self, terms: Sequence[_Term]) -> list[_Term]:
        """The terms that may be used, preferred ones first; the others are rejected."""
        usable: list[_Term] = []
        for term in terms:
            if not _FORBIDDEN.search(term.status):
                usable.append(term)
                continue
            reason = f"its status is {term.status}, so it is not to be used"
            self._rejected.append(reject(Place(self._name, term.line), term.text, reason))
        return sorted(usable, key=lambda term: _PREFERRED.search(term.status) is None)


def _section(element: Element) -> _Section:
    language = element.attributes.get("xml:lang") or element.attributes.get("lang", "")
    terms: list[_Term] = []
    for each in element.named(*_TERMS):
        text = next((term.text() for term in each.named("term")), "")
        if text:
            terms.append(_Term(text, each.line, _categories(each)))
    return _Section(language, terms, _categories(element, *_TERMS))


def _describe(draft: RowDraft, described: Sequence[Mapping[str, Sequence[str]]], attributes: Mapping[str, str]) -> None:
    """Add to a row what its concept, its sections and its terms say, in that order."""

    def values(name: str) -> list[str]:
        return [value for each in described for value in each.get(name, ())]

    identifier = attributes.get("id", "")
    draft.add(Column("id"), [*values(tbx_dialect.ENTRY_ID), *([identifier] if identifier else [])])
    for role, name in _OWN_COLUMNS:
        draft.add(Column(role), values(name))
    notes = dict.fromkeys([*values("definition"), *values("note")])
    draft.add(Column("note"), ["; ".join(notes)] if notes else [])


def _categories(element: Element, *without: str) -> Mapping[str, Sequence[str]]:
    """Data category -> its texts, for all that is in an element but for the elements named here."""
    found: dict[str, list[str]] = {}
    for each in element.around(*without):
        name = each.attributes.get("type") or each.name
        if name in _READ and (text := each.text()):
            found.setdefault(name, []).append(text)
    return found
