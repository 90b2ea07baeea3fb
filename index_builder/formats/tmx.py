"""TMX 1.4: the short segments of a translation memory are terms; sentences are not.

Element names and inline tags follow the TMX 1.4b specification (LISA OSCAR).
"""

from index_builder.formats.languages import Languages, as_code, is_spoken_in
from index_builder.formats.rows import GlossaryRow, ParsedGlossary, Place, RejectedRow, reject
from index_builder.formats.xml_tree import Element, EntryElements

MAX_WORDS = 6
"""A segment of more words is a sentence."""
# Markup of the document that was translated stands in these; <hi> holds text.
_CODES = ("bpt", "ept", "ph", "it", "ut")


def parse_tmx(content: bytes, name: str, languages: Languages) -> ParsedGlossary:
    """Read a translation memory.

    Raises:
        GlossaryError: it is not sound XML.
    """
    rows: list[GlossaryRow] = []
    rejected: list[RejectedRow] = []

    def take(unit: Element) -> None:
        outcome = _row(unit, Place(name, unit.line), languages)
        if isinstance(outcome, GlossaryRow):
            rows.append(outcome)
        else:
            rejected.append(outcome)

    EntryElements(frozenset({"tu"}), take).read(content, name)
    return ParsedGlossary(name, tuple(rows), (), tuple(rejected), (), "TMX")


def _row(unit: Element, place: Place, languages: Languages) -> GlossaryRow | RejectedRow:
    """A translation unit as a row, or why it is none."""
    sources: list[str] = []
    translations: dict[str, str] = {}
    for variant in unit.named("tuv"):
        language = variant.attributes.get("xml:lang") or variant.attributes.get("lang", "")
        text = next((segment.text(*_CODES) for segment in variant.named("seg")), "")
        if text and is_spoken_in(language, languages.source):
            sources.append(text)
        elif text:
            translations.setdefault(as_code(language), text)
    if not sources:
        first = next(iter(translations.values()), "")
        return reject(place, first, f"it has no segment in {languages.source}")
    words = len(sources[0].split())
    if words > MAX_WORDS:
        return reject(place, sources[0], f"the segment has {words} words; one of more than {MAX_WORDS} is no term")
    note = next((each.text() for each in unit.elements if each.name == "note"), "")
    aliases = tuple(text for text in sources[1:] if len(text.split()) <= MAX_WORDS)
    return GlossaryRow(place, sources[0], translations, aliases, row_id=unit.attributes.get("tuid", ""), note=note)
