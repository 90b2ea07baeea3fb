"""Rows as written become entries: cleaned, merged, named, with their spoken forms; nothing is lost without a word.

Every row is an entry, part of one, or rejected: rows = entries + merged + rejected.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index_builder.entry_drafts import Draft, gather, name_entries
from index_builder.entry_forms import MAX_FORMS, inflected_forms, written_forms
from index_builder.entry_text import MAX_TERM, clean, fold
from index_builder.formats.rows import GlossaryWarning, ParsedGlossary, RejectedRow, shorten
from index_builder.inflections import Inflections
from index_builder.pronounce import SpokenForm, attach_pronunciations
from streaming.entries import Entry
from streaming.errors import GlossaryError
from streaming.records import record

__all__ = ["MAX_FORMS", "MAX_TERM", "Glossary", "GlossaryEntry", "assemble", "clean", "fold"]

INFLECTED_GLOSSARY = 1500
"""With more forms than these the scorer no longer aligns all of them at each hop, and more forms cost hints."""
_MIN_LETTERS = 4
# About four seconds of speech: more than one context can hold.
_MAX_LETTERS = 60
_SHOWN_REJECTS = 3


@record
class GlossaryEntry:
    """An entry and the ways in which it is spoken (at least one)."""

    entry: Entry
    forms: tuple[SpokenForm, ...]


@dataclass(frozen=True, slots=True)
class Glossary:
    """The entries of a glossary, the account of its rows, and as what each file was read."""

    name: str
    entries: tuple[GlossaryEntry, ...]
    rows: int
    merged: int
    rejected: tuple[RejectedRow, ...]
    warnings: tuple[GlossaryWarning, ...]
    readings: tuple[str, ...] = ()

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations in the order of the glossary; "" where the language is not named."""
        return tuple(dict.fromkeys(lang for each in self.entries for lang in each.entry.translations))

    @property
    def form_kinds(self) -> dict[str, int]:
        """How many spoken forms there are of each kind, the most frequent first."""
        return dict(Counter(form.kind for each in self.entries for form in each.forms).most_common())


def assemble(
    name: str, parsed: Sequence[ParsedGlossary], *, inflections: Inflections = "never", source_lang: str = "en"
) -> Glossary:
    """Merge the rows of one or more files into a glossary.

    Args:
        name: the glossary's name; entries without an id of their own are called `name:000001` and so on.
        parsed: the files.
        inflections: whether plurals, possessives and joined prefixes are listened for; "auto": only where all forms
            together are at most `INFLECTED_GLOSSARY`.
        source_lang: language of the terms whose rows do not name it.

    Raises:
        GlossaryError: not one row is usable; shows the first rejected rows.
    """
    drafts, unused = gather(
        (row for file in parsed for row in file.rows), (row for file in parsed for row in file.alias_rows)
    )
    rejected = [*(row for file in parsed for row in file.rejected), *unused]
    rows = sum(len(file.rows) + len(file.alias_rows) + len(file.rejected) for file in parsed)
    if not drafts:
        raise _nothing_usable([file.name for file in parsed], rows, rejected)
    name_entries(name, drafts)
    written = [_finish(draft, source_lang) for draft in drafts]
    warnings = [warning for file in parsed for warning in file.warnings]
    warnings += [GlossaryWarning(d.entry_id, kind, message) for d in drafts for kind, message in d.warnings]
    warnings += _same_sound(written)
    entries = tuple(written if inflections == "never" else _inflect(written, inflections))
    merged = rows - len(entries) - len(rejected)
    readings = tuple(f"{file.name}: {file.reading}" for file in parsed if file.reading)
    return Glossary(name, entries, rows, merged, tuple(rejected), tuple(warnings), readings)


def _finish(draft: Draft, source_lang: str) -> GlossaryEntry:
    forms = written_forms(draft.term, draft.aliases)
    if (count := len(forms)) > MAX_FORMS:
        forms = forms[:MAX_FORMS]
        draft.warnings.append(
            (
                "forms",
                f"{shorten(draft.term)!r} has {count} spoken forms; only the first {MAX_FORMS} are used: split it",
            )
        )
    said, complaints = attach_pronunciations(draft.term, forms, draft.pronunciations)
    draft.warnings += [("pronunciation", complaint) for complaint in complaints]
    shortest = min([len(form.text) for form in forms])
    # A longer text weighs enough, however many of its characters are blanks.
    lightest = min((form.text for form in forms), key=_weight) if shortest < 2 * _MIN_LETTERS else ""
    if lightest and _weight(lightest) < _MIN_LETTERS:
        draft.warnings.append(("short", f"{lightest!r} is very short: expect false hints, or give a longer term"))
    if shortest > _MAX_LETTERS:
        draft.warnings.append(
            ("long", f"{shorten(draft.term)!r} takes longer to say than the context holds: give a shorter alias")
        )
    return GlossaryEntry(draft.entry(source_lang), said)


def _inflect(entries: Sequence[GlossaryEntry], inflections: Inflections) -> Sequence[GlossaryEntry]:
    """The entries with the inflections that are no other entry's form; all of them, or none where they are too many."""
    taken = {form.text for each in entries for form in each.forms}
    forms = sum(len(each.forms) for each in entries)
    inflected: list[GlossaryEntry] = []
    for each in entries:
        fresh = [form for form in inflected_forms(each.forms) if form.text not in taken]
        taken.update(form.text for form in fresh)
        forms += len(fresh)
        if inflections == "auto" and forms > INFLECTED_GLOSSARY:
            return entries
        inflected.append(replace(each, forms=(*each.forms, *fresh)))
    return inflected


def _weight(form: str) -> int:
    """Letters of a spoken form; a letter said by its name counts as two."""
    return sum(len(word) if len(word) > 1 else 2 for word in form.split())


def _same_sound(entries: Sequence[GlossaryEntry]) -> list[GlossaryWarning]:
    """Entries that nobody can tell apart by ear, because a form of one is a form of the other."""
    first: dict[str, tuple[Entry, SpokenForm]] = {}
    warnings: list[GlossaryWarning] = []
    for each in entries:
        for form in each.forms:
            other, said = first.setdefault(form.text, (each.entry, form))
            if other is each.entry:
                continue
            is_term = form.written == each.entry.term and said.written == other.term
            both = f"{_named(form, each.entry)} and {_named(said, other)}"
            message = f"{both} are both spoken {form.text!r}; only the first entry can be hinted for it"
            warnings.append(GlossaryWarning(each.entry.entry_id, "same_sound" if is_term else "another_form", message))
    return warnings


def _named(form: SpokenForm, entry: Entry) -> str:
    term = repr(shorten(entry.term))
    return term if form.written in ("", entry.term) else f"{shorten(form.written)!r}, an alias of {term},"


def _nothing_usable(names: Sequence[str], rows: int, rejected: Sequence[RejectedRow]) -> GlossaryError:
    first = "; ".join(f"{row.file} line {row.line}: {row.value!r}: {row.reason}" for row in rejected[:_SHOWN_REJECTS])
    found = f"none of its {rows} rows is usable ({first})" if rejected else "it holds no row"
    return GlossaryError(
        f"no usable term in {', '.join(names)}: {found}; put a term in the first column of each row, or under a header "
        f"`term`"
    )
