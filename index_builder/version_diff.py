"""What differs between two versions of a glossary, entry by entry and field by field."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from streaming.entries import Entry

_FIELDS = tuple(field.name for field in fields(Entry) if field.name != "entry_id")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after; a translation is the field `translation_de`, one that is not there is None."""

    field: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """An entry of both versions that is not the same in them; `term` is the new one."""

    entry_id: str
    term: str
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Entries by id: those of the new version only, of the old one only, and those that changed, each in its order."""

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[ChangedEntry, ...]


def diff_entries(old: Sequence[Entry], new: Sequence[Entry]) -> VersionDiff:
    """Compare two versions."""
    before = {entry.entry_id: entry for entry in old}
    after = {entry.entry_id: entry for entry in new}
    changed = (
        ChangedEntry(entry.entry_id, entry.term, changes)
        for entry in new
        if entry.entry_id in before and (changes := _changes(before[entry.entry_id], entry))
    )
    return VersionDiff(
        added=tuple(entry for entry in new if entry.entry_id not in before),
        removed=tuple(entry for entry in old if entry.entry_id not in after),
        changed=tuple(changed),
    )


def _changes(old: Entry, new: Entry) -> tuple[FieldChange, ...]:
    before, after = _values(old), _values(new)
    names = dict.fromkeys([*before, *after])
    return tuple(
        FieldChange(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def _values(entry: Entry) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in _FIELDS:
        value = getattr(entry, name)
        if name == "translations":
            values |= {f"translation_{lang}" if lang else "translation": text for lang, text in value.items()}
        else:
            values[name] = value
    return values
