"""Entries as TBX, version 3 (ISO 30042:2019, style DCA): a concept each."""

import re
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from index_builder.formats import tbx_dialect
from index_builder.formats.languages import is_spoken_in
from streaming.entries import Entry

_NAMESPACE = "urn:iso:std:iso:30042:ed-2"
_HEAD = b"<?xml version='1.0' encoding='UTF-8'?>\n"
# An XML name without a colon; "c1" is kept for concepts that get a number.
_XML_ID = re.compile(r"(?!c\d+$)[A-Za-z_][A-Za-z0-9._-]*")


def export_tbx(entries: Sequence[Entry]) -> bytes:
    """Write a term base in UTF-8."""
    languages = {entry.source_lang for entry in entries}
    main = min(languages) if len(languages) == 1 else "und"
    root = Element("tbx", {"type": "TBX-Basic", "style": "dca", "xml:lang": main, "xmlns": _NAMESPACE})
    described = SubElement(SubElement(SubElement(root, "tbxHeader"), "fileDesc"), "sourceDesc")
    SubElement(described, "p").text = "Exported by TermCue"
    body = SubElement(SubElement(root, "text"), "body")
    used: set[str] = set()
    for number, entry in enumerate(entries, 1):
        fits = _XML_ID.fullmatch(entry.entry_id) is not None and entry.entry_id not in used
        used.add(entry.entry_id)
        concept = SubElement(body, "conceptEntry", {"id": entry.entry_id if fits else f"c{number}"})
        _write(concept, entry, fits)
    indent(root, " ")
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=False)
    return _HEAD + written


def _write(concept: Element, entry: Entry, id_fits: bool) -> None:
    _add(concept, "descrip", "subjectField", entry.domain)
    for category, value in _own_fields(entry, id_fits):
        _add(concept, "admin", category, value)
    if entry.note:
        SubElement(concept, "note").text = entry.note
    source = SubElement(concept, "langSec", {"xml:lang": entry.source_lang or tbx_dialect.NO_LANGUAGE})
    for place, term in enumerate((entry.term, *entry.aliases)):
        section = SubElement(source, "termSec")
        SubElement(section, "term").text = term
        for pronunciation in entry.pronunciations if place == 0 else ():
            _add(section, "termNote", tbx_dialect.ARPABET, pronunciation)
    for code, translation in entry.translations.items():
        target = SubElement(concept, "langSec", {"xml:lang": code or tbx_dialect.NO_LANGUAGE})
        # It would be an alias without this.
        if is_spoken_in(code, entry.source_lang):
            _add(target, "admin", tbx_dialect.ROLE, tbx_dialect.TRANSLATION_ROLE)
        SubElement(SubElement(target, "termSec"), "term").text = translation


def _own_fields(entry: Entry, id_fits: bool) -> Iterator[tuple[str, str]]:
    """What the standard has no category for."""
    yield tbx_dialect.SOURCE_LANG, entry.source_lang
    yield tbx_dialect.ENTRY_ID, "" if id_fits else entry.entry_id
    yield tbx_dialect.DO_NOT_HINT, "yes" if entry.do_not_hint else ""
    yield tbx_dialect.MINIMUM_PROBABILITY, repr(entry.minimum_probability) if entry.minimum_probability else ""


def _add(element: Element, tag: str, category: str, value: str) -> None:
    if value:
        SubElement(element, tag, {"type": category}).text = value
