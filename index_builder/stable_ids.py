"""Entries without an id of their own keep the one that the published version gave them, wherever their rows now stand.

Ids made of numbers would otherwise move on with every row that is inserted, and with them what is muted, what was
hinted already, and what two versions differ in.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from index_builder.entry_text import fold
from index_builder.glossary import Glossary
from streaming.entries import Entry


def keep_ids(glossary: Glossary, published: Iterable[Entry]) -> Glossary:
    """The glossary with the ids of the published version where an entry has the same term, and new ones elsewhere.

    Ids of another form than "name:000001" come from the glossary's author and stay as they are.
    """
    made = re.compile(rf"{re.escape(glossary.name)}:(\d{{6,}})-*")
    known = {entry.entry_id: fold(entry.term) for entry in published}
    if not known:
        return glossary
    by_term = {term: entry_id for entry_id, term in known.items() if made.fullmatch(entry_id)}
    own = {each.entry.entry_id for each in glossary.entries if not made.fullmatch(each.entry.entry_id)}
    following = max((int(found[1]) for entry_id in known if (found := made.fullmatch(entry_id))), default=0) + 1
    renamed: dict[str, str] = {}
    for each in glossary.entries:
        if each.entry.entry_id in own:
            continue
        kept = by_term.get(fold(each.entry.term))
        if kept is None:
            kept = f"{glossary.name}:{following:06d}"
            following += 1
        renamed[each.entry.entry_id] = kept
    return _renamed(glossary, renamed)


def _renamed(glossary: Glossary, renamed: dict[str, str]) -> Glossary:
    entries = tuple(
        replace(each, entry=replace(each.entry, entry_id=renamed.get(each.entry.entry_id, each.entry.entry_id)))
        for each in glossary.entries
    )
    warnings = tuple(
        replace(
            warning,
            entry=renamed.get(warning.entry, warning.entry),
            message=warning.message.replace(warning.entry, renamed.get(warning.entry, warning.entry))
            if warning.kind == "id"
            else warning.message,
        )
        for warning in glossary.warnings
    )
    return replace(glossary, entries=entries, warnings=warnings)
