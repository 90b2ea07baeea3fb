"""Entries as JSON, one object a line."""

import json
from collections.abc import Mapping, Sequence

from streaming.entries import Entry


def export_json_lines(entries: Sequence[Entry]) -> bytes:
    """Write one object a line in UTF-8; fields that an entry does not have are left out."""
    return "".join(json.dumps(_fields(entry), ensure_ascii=False) + "\n" for entry in entries).encode()


def _fields(entry: Entry) -> Mapping[str, object]:
    optional: dict[str, object] = {
        "translations": dict(entry.translations),
        "aliases": list(entry.aliases),
        "pronunciations": list(entry.pronunciations),
        "domain": entry.domain,
        "note": entry.note,
        "do_not_hint": entry.do_not_hint,
        "minimum_probability": entry.minimum_probability,
    }
    present = {name: value for name, value in optional.items() if value}
    return {"id": entry.entry_id, "term": entry.term, "source_lang": entry.source_lang, **present}
