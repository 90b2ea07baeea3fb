"""Rows as written become entries: cleaned, merged, named, with their spoken forms; nothing is lost without a word.

Every row is an entry, part of one, or rejected: rows = entries + merged + rejected.
"""

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from index_builder.formats.rows import (
    AliasRow,
    GlossaryRow,
    GlossaryWarning,
    ParsedGlossary,
    Place,
    RejectedRow,
    reject,
    shorten,
)
from index_builder.pronounce import SpokenForm, attach_pronunciations
from index_builder.surface import can_be_spoken, spoken_forms
from streaming.errors import GlossaryError
from streaming.term_index import Entry

MAX_TERM = 200
MAX_ID = 100
_MIN_LETTERS = 4
# About four seconds of speech: more than one context can hold.
_MAX_LETTERS = 60
_SHOWN_REJECTS = 3
MAX_FORMS = 64
# Characters that turn the direction of the text after them: they could show one entry as another.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff]")


@dataclass(frozen=True, slots=True)
class GlossaryEntry:
    """An entry and the ways in which it is spoken (at least one)."""

    entry: Entry
    forms: tuple[SpokenForm, ...]


@dataclass(frozen=True, slots=True)
class Glossary:
    """The entries of a glossary and the account of its rows."""

    name: str
    entries: tuple[GlossaryEntry, ...]
    rows: int
    merged: int
    rejected: tuple[RejectedRow, ...]
    warnings: tuple[GlossaryWarning, ...]

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations in the order of the glossary; "" where the language is not named."""
        return tuple(dict.fromkeys(lang for each in self.entries for lang in each.entry.translations))


@dataclass(slots=True)
class _Draft:
    """An entry while its rows are being gathered."""

    term: str
    row_id: str
    note: str
    translations: dict[str, str]
    aliases: list[str] = field(default_factory=list)
    pronunciations: list[str] = field(default_factory=list)
    entry_id: str = ""
    warnings: list[tuple[str, str]] = field(default_factory=list)


def assemble(name: str, parsed: Sequence[ParsedGlossary]) -> Glossary:
    """Merge the rows of one or more files into a glossary.

    Args:
        name: the glossary's name; entries without an id of their own are called `name:000001` and so on.
        parsed: the files.

    Raises:
        GlossaryError: not one row is usable; shows the first rejected rows.
    """
    drafts: dict[str, _Draft] = {}
    by_key: dict[str, _Draft] = {}
    rejected = [row for file in parsed for row in file.rejected]
    for row in (row for file in parsed for row in file.rows):
        reason = _unusable(clean(row.term))
        if reason:
            rejected.append(reject(row.place, row.term, reason))
            continue
        draft = _gather(drafts, row)
        if row.key:
            by_key.setdefault(fold(row.key), draft)
    by_name = by_key | drafts
    alias_rows = [row for file in parsed for row in file.alias_rows]
    rejected += [refusal for row in alias_rows if (refusal := _gather_alias(by_name, row)) is not None]
    rows = sum(len(file.rows) + len(file.alias_rows) + len(file.rejected) for file in parsed)
    if not drafts:
        raise _nothing_usable([file.name for file in parsed], rows, rejected)
    _name_entries(name, list(drafts.values()))
    entries = tuple(_finish(draft) for draft in drafts.values())
    warnings = [warning for file in parsed for warning in file.warnings]
    warnings += [GlossaryWarning(d.entry_id, kind, message) for d in drafts.values() for kind, message in d.warnings]
    warnings += _same_sound(entries)
    return Glossary(name, entries, rows, rows - len(entries) - len(rejected), tuple(rejected), tuple(warnings))


def clean(text: str) -> str:
    """A text on one line, composed (NFC), without control or bidi characters, half surrogate pairs or outer blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    whole = _BIDI_CONTROLS.sub("", text.encode("utf-8", "replace").decode())
    shown = "".join(" " if unicodedata.category(character) == "Cc" else character for character in whole)
    return " ".join(unicodedata.normalize("NFC", shown).split())


def fold(term: str) -> str:
    """What two spellings of one term share: case, compatibility forms and invisible characters do not count."""
    return _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", clean(term))).casefold().strip()


def _unusable(term: str) -> str:
    """Why a cleaned term gives no hint; "" if it does."""
    if not term:
        return "the term is empty"
    if len(term) > MAX_TERM:
        return f"the term has {len(term)} characters, more than {MAX_TERM}"
    if not any(character.isalnum() for character in term):
        return "the term has no letter or digit"
    if not can_be_spoken(term):
        return "the term cannot be written in the letters a to z"
    return ""


def _gather(drafts: dict[str, _Draft], row: GlossaryRow) -> _Draft:
    """Make an entry of a row, or merge it into the one of the same term."""
    term = clean(row.term)
    translations = {code: text for code, value in row.translations.items() if (text := clean(value))}
    draft = drafts.get(fold(term))
    if draft is None:
        draft = drafts[fold(term)] = _Draft(term, clean(row.row_id), clean(row.note), translations)
    else:
        _merge(draft, term, translations, row.place)
    for alias in map(clean, row.aliases):
        reason = _unusable(alias)
        if reason:
            draft.warnings.append(
                ("alias", f"the alias {shorten(alias)!r} is ignored: {reason.replace('term', 'alias')}")
            )
        elif alias != draft.term and alias not in draft.aliases:
            draft.aliases.append(alias)
    draft.pronunciations += [text for text in map(clean, row.pronunciations) if text not in draft.pronunciations]
    return draft


def _merge(draft: _Draft, term: str, translations: Mapping[str, str], place: Place) -> None:
    # "IT" and "it" are one entry, but they are spoken differently.
    if term != draft.term and term not in draft.aliases:
        draft.aliases.append(term)
    for code, text in translations.items():
        if (kept := draft.translations.setdefault(code, text)) != text:
            language = f" ({code})" if code else ""
            draft.warnings.append(
                (
                    "conflicting_translation",
                    f"{place.file}, line {place.line}: {shorten(draft.term)!r} is translated{language} as "
                    f"{shorten(text)!r} too; {shorten(kept)!r}, the first, is kept",
                )
            )


def _gather_alias(drafts: Mapping[str, _Draft], row: AliasRow) -> RejectedRow | None:
    alias = clean(row.alias)
    draft = drafts.get(fold(row.main))
    if draft is None:
        return reject(row.place, row.alias, f"its main term {shorten(row.main)!r} is not in the glossary")
    reason = _unusable(alias)
    if reason:
        return reject(row.place, row.alias, reason.replace("term", "alias"))
    if alias not in (draft.term, *draft.aliases):
        draft.aliases.append(alias)
    return None


def _name_entries(name: str, drafts: Sequence[_Draft]) -> None:
    """Give each entry its own id, or one made of the glossary's name and its number."""
    used: set[str] = set()
    for draft in drafts:
        if draft.row_id and draft.row_id not in used and _may_be_id(draft.row_id):
            draft.entry_id = draft.row_id
            used.add(draft.row_id)
    for number, draft in enumerate(drafts, 1):
        if draft.entry_id:
            continue
        draft.entry_id = f"{name}:{number:06d}"
        while draft.entry_id in used:
            draft.entry_id += "-"
        used.add(draft.entry_id)
        if draft.row_id:
            draft.warnings.append(
                (
                    "id",
                    f"the id {shorten(draft.row_id)!r} of {shorten(draft.term)!r} is taken, longer than {MAX_ID} or "
                    f"has other characters than letters, digits, blanks and ._:-; {draft.entry_id} is used instead",
                )
            )


def _may_be_id(text: str) -> bool:
    return len(text) <= MAX_ID and all(character.isalnum() or character in "._:- " for character in text)


def _finish(draft: _Draft) -> GlossaryEntry:
    texts = dict.fromkeys(form for written in (draft.term, *draft.aliases) for form in spoken_forms(written))
    if (count := len(texts)) > MAX_FORMS:
        texts = dict.fromkeys(itertools.islice(texts, MAX_FORMS))
        draft.warnings.append(
            (
                "forms",
                f"{shorten(draft.term)!r} has {count} spoken forms; only the first {MAX_FORMS} are used: split it",
            )
        )
    forms, complaints = attach_pronunciations(draft.term, list(texts), draft.pronunciations)
    draft.warnings += [("pronunciation", complaint) for complaint in complaints]
    shortest = min(texts, key=_weight)
    if _weight(shortest) < _MIN_LETTERS:
        draft.warnings.append(("short", f"{shortest!r} is very short: expect false hints, or give a longer term"))
    if min(map(len, texts)) > _MAX_LETTERS:
        draft.warnings.append(
            ("long", f"{shorten(draft.term)!r} takes longer to say than the context holds: give a shorter alias")
        )
    entry = Entry(draft.entry_id, draft.term, draft.translations, tuple(draft.aliases), draft.note)
    return GlossaryEntry(entry, forms)


def _weight(form: str) -> int:
    """Letters of a spoken form; a letter said by its name counts as two."""
    return sum(len(word) if len(word) > 1 else 2 for word in form.split())


def _same_sound(entries: Sequence[GlossaryEntry]) -> list[GlossaryWarning]:
    """Entries that nobody can tell apart by ear, because they share a spoken form."""
    first: dict[str, Entry] = {}
    warnings: list[GlossaryWarning] = []
    for entry in entries:
        for form in entry.forms:
            other = first.setdefault(form.text, entry.entry)
            if other is not entry.entry:
                message = f"{shorten(entry.entry.term)!r} and {shorten(other.term)!r} are both spoken {form.text!r}"
                warnings.append(GlossaryWarning(entry.entry.entry_id, "same_sound", message))
    return warnings


def _nothing_usable(names: Sequence[str], rows: int, rejected: Sequence[RejectedRow]) -> GlossaryError:
    first = "; ".join(f"{row.file} line {row.line}: {row.value!r}: {row.reason}" for row in rejected[:_SHOWN_REJECTS])
    found = f"none of its {rows} rows is usable ({first})" if rejected else "it holds no row"
    return GlossaryError(
        f"no usable term in {', '.join(names)}: {found}; put a term in the first column of each row, or under a header "
        f"`term`"
    )
