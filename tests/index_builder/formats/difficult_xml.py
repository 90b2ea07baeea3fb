"""Difficult term bases and translation memories."""

from index_builder.formats import Languages
from tests.index_builder.formats.difficult_files import Difficult, Refused

_V2 = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE martif SYSTEM "file:///etc/passwd">
<martif type="TBX" xml:lang="en"><martifHeader/><text><body>
{concepts}
</body></text></martif>"""
_V3 = '<tbx style="dca" type="TBX-Basic" xmlns="urn:iso:std:iso:30042:ed-2"><text><body>\n{}\n</body></text></tbx>'
_TMX = '<?xml version="1.0"?>\n<tmx version="1.4"><header srclang="en"/><body>\n{}\n</body></tmx>'


def _v2(concepts: str, encoding: str = "UTF-8") -> bytes:
    return _V2.format(encoding=encoding, concepts=concepts).encode(encoding)


def _v3(*concepts: str) -> bytes:
    return _V3.format("\n".join(f"<conceptEntry>{each}</conceptEntry>" for each in concepts)).encode()


def _section(language: str, *terms: tuple[str, str]) -> str:
    written = "".join(
        f"<termSec><term>{term}</term>"
        + (f'<termNote type="administrativeStatus">{status}</termNote>' if status else "")
        + "</termSec>"
        for term, status in terms
    )
    return f'<langSec xml:lang="{language}">{written}</langSec>'


def _unit(english: str, german: str = "", inside: str = "") -> str:
    target = f'<tuv xml:lang="de"><seg>{german}</seg></tuv>' if german else ""
    return f'<tu tuid="t1">{inside}<tuv xml:lang="en-GB"><seg>{english}</seg></tuv>{target}</tu>'


_ION2 = """<termEntry id="x1"><descripGrp><descrip type="subjectField">physics</descrip></descripGrp>
<langSet xml:lang="en"><descripGrp><descrip type="definition">charged
  atom</descrip></descripGrp><ntig><termGrp><term>ion</term></termGrp></ntig><tig><term>charged <hi>particle</hi></term></tig></langSet>
<langSet xml:lang="DE"><tig><term>Träger</term></tig></langSet></termEntry>"""

XML_FILES = (
    Difficult(
        "TBX 2 with a document type that is never fetched",
        _v2(_ION2),
        [(4, "ion", {"de": "Träger"})],
        more={"row_id": "x1", "aliases": ("charged particle",), "domain": "physics", "note": "charged atom"},
    ),
    Difficult("TBX 2 in Windows-1252", _v2(_ION2, "windows-1252"), [(4, "ion", {"de": "Träger"})]),
    Difficult("TBX 2 in UTF-16", _v2(_ION2, "UTF-16"), [(4, "ion", {"de": "Träger"})]),
    Difficult(
        "TBX 2 in GB18030, after blank lines",
        b"\n\n" + _v2(_ION2.replace("Träger", "离子"), "gb18030"),
        [(4, "ion", {"de": "离子"})],
    ),
    Difficult(
        "forbidden, obsolete and rejected terms",
        _v3(
            _section("en", ("old", "obsolete"), ("bad", "forbidden"), ("ion", ""), ("charge", "preferredTerm-admn-sts"))
            + _section("de", ("Jon", "deprecatedTerm-admn-sts"), ("Ion", "admittedTerm-admn-sts")),
            "\n" + _section("en", ("gone", "supersededTerm-admn-sts")) + _section("de", ("weg", "")),
        ),
        [(2, "charge", {"de": "Ion"})],
        rejected=[(2, "obsolete"), (2, "forbidden"), (2, "deprecated"), (4, "superseded")],
        more={"aliases": ("ion",)},
    ),
    Difficult(
        "several terms of the other language",
        _v3(_section("en", ("ion", "")) + _section("de", ("Ladung", ""), ("Ion", "preferred"))),
        [(2, "ion", {"de": "Ion"})],
        warnings=["second_value"],
    ),
    Difficult(
        "regions, a language without a name, and none of the source",
        _v3(
            _section("en-US", ("color", ""))
            + _section("en-GB", ("colour", ""))
            + _section("de-AT", ("Farbe", ""))
            + _section("und", ("x", "")),
            _section("de", ("Pest", "")),
            _section("en", ("", "")),
        ),
        [(2, "color", {"de-at": "Farbe", "": "x"})],
        rejected=[(3, "no term in en"), (4, "no term in en")],
        more={"aliases": ("colour",)},
        languages=Languages("en", ""),
    ),
    Difficult(
        "categories as elements, with prefixes",
        b'<t:tbx xmlns:t="urn:iso:std:iso:30042:ed-2" xmlns:min="m" style="dct"><t:text><t:body><t:conceptEntry id="c">'
        b"<min:subjectField>law</min:subjectField><t:langSec xml:lang='en'><t:termSec><t:term>tort</t:term>"
        b"<min:administrativeStatus>forbidden</min:administrativeStatus></t:termSec><t:termSec><t:term>wrong</t:term>"
        b"</t:termSec></t:langSec></t:conceptEntry></t:body></t:text></t:tbx>",
        [(1, "wrong", {})],
        rejected=[(1, "forbidden")],
        more={"domain": "law"},
    ),
    Difficult(
        "a translation memory",
        _TMX.format(
            "\n".join(
                [
                    _unit(
                        "data &amp; <bpt i='1'>&lt;b&gt;</bpt>files<ept i='1'>&lt;/b&gt;</ept>",
                        "Daten",
                        "<note>n</note>",
                    ),
                    _unit("one two three four five six seven", "lang"),
                    '<tu><tuv xml:lang="de"><seg>nur</seg></tuv></tu>',
                    _unit("one two three four five six"),
                ]
            )
        ).encode(),
        [(3, "data & files", {"de": "Daten"}), (6, "one two three four five six", {})],
        rejected=[(4, "7 words"), (5, "no segment in en")],
        more={"row_id": "t1", "note": "n"},
    ),
    Difficult(
        "a list of tags is no XML", b"<b>\n<strong>\nion\n", [(1, "<b>", {}), (2, "<strong>", {}), (3, "ion", {})]
    ),
)

_BOMB = "<!DOCTYPE tbx [<!ENTITY a0 'lol'>" + "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(9)) + "]>"
REFUSED_XML = (
    Refused("a bomb of entities", (_BOMB + "<tbx><term>&a9;</term></tbx>").encode(), "entity 'a0' is declared"),
    Refused(
        "one entity of a great length",
        b"<!DOCTYPE tbx [<!ENTITY a '" + b"x" * 100_000 + b"'>]><tbx>" + b"&a;" * 1000 + b"</tbx>",
        "entity 'a' is declared",
    ),
    Refused(
        "an external entity",
        b'<!DOCTYPE tmx [<!ENTITY e SYSTEM "file:///etc/passwd">]><tmx><tu><tuv xml:lang="en"><seg>&e;</seg></tuv></tu></tmx>',
        "entity 'e' is declared",
    ),
    Refused(
        "an external parameter entity",
        b'<!DOCTYPE tmx [<!ENTITY % p SYSTEM "http://x/y.dtd"> %p;]><tmx/>',
        "entity 'p' is declared",
    ),
    Refused(
        "an entity of the document type that is not fetched",
        _v2("<termEntry><langSet xml:lang='en'><tig><term>a&nbsp;b</term></tig></langSet></termEntry>"),
        "&nbsp; is not declared",
    ),
    Refused("elements without end", b"<tbx>" + b"<a>" * 1000, "nested deeper than 64"),
    Refused("an entry without end", _v3("<a/>" * 100_001), "more than 100000 elements"),
    Refused("XML that is broken off", _v2(_ION2)[:-20], "not sound XML at line 8"),
    Refused("a page", b"<?xml version='1.0'?><html/>", "root <html>, neither TBX"),
    Refused(
        "an encoding that nobody knows", b"<?xml version='1.0' encoding='x-none'?><tbx/>", "x-none, which is not known"
    ),
    Refused(
        "an encoding that makes no text", b"<?xml version='1.0' encoding='zlib'?><tbx/>", "zlib, which is not known"
    ),
    Refused(
        "another encoding than declared", b"<?xml version='1.0' encoding='utf-8'?><tbx>\xff</tbx>", "not the utf-8"
    ),
    Refused(
        "what is declared as UTF-16 and is ASCII of even length",
        b"<?xml version='1.0' encoding='utf-16'?><tbx></tbx>",
        "not the utf-16 that it should be: .* BOM; save it as UTF-8",
    ),
    Refused(
        "what is declared as UTF-16 and is ASCII of odd length",
        b"<?xml version='1.0' encoding='utf-16'?><tbx> </tbx>",
        "not the utf-16 that it should be",
    ),
)
