"""Rows gathered into the entries they belong to: duplicates merged, aliases joined, ids given; every loss is told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from index_builder.entry_text import clean, fold, fold_cleaned, unusable
from index_builder.formats.rows import AliasRow, GlossaryRow, Place, RejectedRow, reject, shorten
from streaming.entries import Entry

MAX_ID = 100
_LABELS = {"row_id": "id", "source_lang": "language"}


@dataclass(slots=True)
class Draft:
    """An entry while its rows are being gathered; `warnings` are kinds and messages."""

    term: str
    row_id: str = ""
    translations: dict[str, str] = field(default_factory=dict)
    note: str = ""
    domain: str = ""
    source_lang: str = ""
    do_not_hint: bool = False
    minimum_probability: float = 0.0
    aliases: list[str] = field(default_factory=list)
    pronunciations: list[str] = field(default_factory=list)
    entry_id: str = ""
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def entry(self, source_lang: str) -> Entry:
        """The entry; `source_lang` is the language of a term whose row does not name it."""
        return Entry(
            self.entry_id,
            self.term,
            self.translations,
            tuple(self.aliases),
            self.note,
            self.source_lang or source_lang,
            self.domain,
            tuple(self.pronunciations),
            self.do_not_hint,
            self.minimum_probability,
        )


def gather(rows: Iterable[GlossaryRow], alias_rows: Iterable[AliasRow]) -> tuple[list[Draft], list[RejectedRow]]:
    """The entries of all rows, in the order of their first rows, without ids; and the rows that are none."""
    drafts: dict[str, Draft] = {}
    by_key: dict[str, Draft] = {}
    rejected: list[RejectedRow] = []
    for row in rows:
        term = clean(row.term)
        reason = unusable(term)
        if reason:
            rejected.append(reject(row.place, row.term, reason))
            continue
        draft = _gather(drafts, term, row)
        if row.key:
            by_key.setdefault(fold(row.key), draft)
    by_name = by_key | drafts
    rejected += [refusal for row in alias_rows if (refusal := _gather_alias(by_name, row)) is not None]
    return list(drafts.values()), rejected


def name_entries(name: str, drafts: Sequence[Draft]) -> None:
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


def _gather(drafts: dict[str, Draft], term: str, row: GlossaryRow) -> Draft:
    """Make an entry of a row whose cleaned term is usable, or merge it into the one of the same term."""
    key = fold_cleaned(term)
    draft = drafts.get(key)
    if draft is None:
        draft = drafts[key] = _begun(term, row)
    else:
        # "IT" and "it" are one entry, but they are spoken differently.
        if term != draft.term and term not in draft.aliases:
            draft.aliases.append(term)
        draft.warnings += _merge_fields(draft, row)
    for alias in map(clean, row.aliases):
        reason = unusable(alias)
        if reason:
            draft.warnings.append(
                ("alias", f"the alias {shorten(alias)!r} is ignored: {reason.replace('term', 'alias')}")
            )
        elif alias != draft.term and alias not in draft.aliases:
            draft.aliases.append(alias)
    if row.pronunciations:
        draft.pronunciations += [text for text in map(clean, row.pronunciations) if text not in draft.pronunciations]
    return draft


def _begun(term: str, row: GlossaryRow) -> Draft:
    """An entry of one row; its aliases and pronunciations are not looked at."""
    return Draft(
        term,
        clean(row.row_id),
        {code: text for code, value in row.translations.items() if (text := clean(value))},
        clean(row.note),
        clean(row.domain),
        clean(row.source_lang),
        row.do_not_hint,
        row.minimum_probability,
    )


def _merge_fields(draft: Draft, row: GlossaryRow) -> Iterator[tuple[str, str]]:
    """Take from a row what its entry lacks; what the entry has otherwise stays, and is told."""
    place = row.place
    for code, value in row.translations.items():
        text = clean(value)
        if text and (kept := draft.translations.setdefault(code, text)) != text:
            language = f" ({code})" if code else ""
            yield (
                "conflicting_translation",
                f"{_at(place)}: {shorten(draft.term)!r} is translated{language} as {shorten(text)!r} too; "
                f"{shorten(kept)!r}, the first, is kept",
            )
    for name in ("row_id", "note", "domain", "source_lang"):
        if not (text := clean(getattr(row, name))):
            continue
        kept = getattr(draft, name) or text
        setattr(draft, name, kept)
        if kept != text:
            yield (
                "conflicting_field",
                f"{_at(place)}: {shorten(draft.term)!r} has another {_LABELS.get(name, name)} here; "
                f"{shorten(kept)!r}, the first, is kept",
            )
    # The stricter row wins: a hint that somebody forbade is worse than one that is missing.
    draft.do_not_hint |= row.do_not_hint
    draft.minimum_probability = max(draft.minimum_probability, row.minimum_probability)


def _gather_alias(drafts: Mapping[str, Draft], row: AliasRow) -> RejectedRow | None:
    alias = clean(row.alias)
    draft = drafts.get(fold(row.main))
    if draft is None:
        return reject(row.place, row.alias, f"its main term {shorten(row.main)!r} is not in the glossary")
    reason = unusable(alias)
    if reason:
        return reject(row.place, row.alias, reason.replace("term", "alias"))
    if alias not in (draft.term, *draft.aliases):
        draft.aliases.append(alias)
    return None


def _at(place: Place) -> str:
    return f"{place.file}, line {place.line}"


def _may_be_id(text: str) -> bool:
    return len(text) <= MAX_ID and all(character.isalnum() or character in "._:- " for character in text)
