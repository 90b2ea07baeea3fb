"""Difficult tables and lists, in every encoding."""

from index_builder.formats import Columns, Languages
from tests.index_builder.formats.difficult_files import Difficult, Refused

_ION = (2, "ion", {"de": "Ladungsträger"})
_TABLE = "term;de\nion;Ladungsträger\n"
_CHINESE = "术语表\nterm,zh\nneural network,神经网络\nlord mayor,市长大人，您好\n"

TABLES = (
    Difficult("UTF-8 with a byte order mark", b"\xef\xbb\xbf" + _TABLE.encode(), [_ION]),
    Difficult("UTF-16, little end first", _TABLE.encode("utf-16"), [_ION]),
    Difficult("UTF-16, big end first", b"\xfe\xff" + _TABLE.encode("utf-16-be"), [_ION]),
    Difficult("UTF-16 without a mark", _TABLE.encode("utf-16-le"), [_ION], warnings=["encoding"]),
    Difficult("UTF-16, the other end, without a mark", _TABLE.encode("utf-16-be"), [_ION], warnings=["encoding"]),
    Difficult("UTF-32", b"\xff\xfe\x00\x00" + _TABLE.encode("utf-32-le"), [_ION]),
    Difficult("Windows-1252", _TABLE.encode("cp1252"), [_ION], warnings=["encoding"]),
    Difficult(
        "Windows-1252 of few letters",
        "ion;Größe\nfee;créée\n".encode("cp1252"),
        [(1, "ion", {"de": "Größe"}), (2, "fee", {"de": "créée"})],
        warnings=["encoding", "no_heading"],
    ),
    Difficult(
        "Windows-1252 with its quotes and dashes",
        "term\tde\nion\t„Ion“ – ‚x‘\n".encode("cp1252"),
        [(2, "ion", {"de": "„Ion“ – ‚x‘"})],
        warnings=["encoding"],
    ),
    Difficult(
        "GB18030 under a title",
        _CHINESE.encode("gb18030"),
        [(3, "neural network", {"zh": "神经网络"}), (4, "lord mayor", {"zh": "市长大人，您好"})],
        warnings=["encoding", "comment"],
    ),
    Difficult(
        "four bytes of GB18030",
        "term,zh\nhorse,马𠮷\n".encode("gb18030"),
        [(2, "horse", {"zh": "马𠮷"})],
        warnings=["encoding"],
    ),
    Difficult("sep= of Excel", b"sep=;\r\nterm;de\r\nParis, Texas;Paris\r\n", [(3, "Paris, Texas", {"de": "Paris"})]),
    Difficult(
        "titles above the header",
        b"Glossary of the congress\n\nVersion 3\nterm,de\nion,Ion\n",
        [(5, "ion", {"de": "Ion"})],
        warnings=["comment"],
    ),
    Difficult(
        "a first column without anything",
        b";ion;Ion\n;salt;Salz\n",
        [(1, "ion", {"de": "Ion"}), (2, "salt", {"de": "Salz"})],
        warnings=["no_heading"],
    ),
    Difficult(
        "a row of the header's words in the middle",
        b"ion,Ion\nword,Wort\nterm,Begriff\n",
        [(1, "ion", {"de": "Ion"}), (2, "word", {"de": "Wort"}), (3, "term", {"de": "Begriff"})],
        warnings=["no_heading"],
    ),
    Difficult(
        "quotes that are never closed",
        b'term,de\n"ion,Ion\nsalt,Salz\n',
        [(3, "salt", {"de": "Salz"})],
        rejected=[(2, "never closed")],
    ),
    Difficult(
        "terms that are none",
        b"term,de\n,Leere\n???,Zeichen\nion,Ion\n",
        [(2, "", {"de": "Leere"}), (3, "???", {"de": "Zeichen"}), (4, "ion", {"de": "Ion"})],
        rejected=[(2, "empty"), (3, "no letter")],
    ),
    Difficult(
        "formulas in a foreign table stay texts",
        b"term,de\n=cmd|'/C calc'!A0,'=1+1\n",
        [(2, "=cmd|'/C calc'!A0", {"de": "'=1+1"})],
    ),
    Difficult(
        "path names in ids",
        b"id,term\n../../etc/passwd,ion\nC:\\x,salt\n/etc/shadow,plague\n",
        [(2, "ion", {}), (3, "salt", {}), (4, "plague", {})],
        more={"row_id": "../../etc/passwd"},
    ),
    Difficult(
        "all that a row can say",
        b"id,term,aliases,domain,Do not hint,min_prob,Source language,translation_fr,translation:xq\n"
        b'a,ion,"[""a;b"", ""c""]",physics,ja,"35 %",English,ion,q\n',
        [(2, "ion", {"fr": "ion", "xq": "q"})],
        more={
            "row_id": "a",
            "aliases": ("a;b", "c"),
            "domain": "physics",
            "do_not_hint": True,
            "minimum_probability": 0.35,
            "source_lang": "en",
        },
    ),
    Difficult(
        "values that are none of theirs",
        b"term,do_not_hint,minimum_probability\nion,perhaps,2\n",
        [(2, "ion", {})],
        warnings=["do_not_hint", "minimum_probability"],
        more={"do_not_hint": True, "minimum_probability": 0.0},
    ),
    Difficult(
        "columns chosen by heading",
        "Nr;Wort;Kunde sagt;Pl\n1;ion;Ladung;ładunek\n".encode(),
        [(2, "ion", {"de": "Ladung", "pl": "ładunek"})],
        columns=Columns("wort", "Kunde sagt,Pl=Polish"),
    ),
    Difficult(
        "columns chosen by letter and number",
        b"1,ion,Ion,charge\n2,salt,Salz,sel\n",
        [(1, "ion", {"de": "Ion", "fr": "charge"}), (2, "salt", {"de": "Salz", "fr": "sel"})],
        columns=Columns("B", "3, D=fr"),
    ),
    Difficult(
        "another language's terms",
        b"de,en\nStrom,current\n",
        [(2, "Strom", {"en": "current"})],
        languages=Languages("de", ""),
    ),
    Difficult(
        "a list with semicolons in two of its terms",
        b"ion\nsalt; pepper\nplague\nsun; moon\nx-ray\n",
        [(1, "ion", {}), (2, "salt; pepper", {}), (3, "plague", {}), (4, "sun; moon", {}), (5, "x-ray", {})],
    ),
)

REFUSED_TABLES = (
    Refused(
        "UTF-8 with one damaged byte",
        "term,de\nion,Träger größer\n".encode() + b"salt,\xff\n",
        "damaged UTF-8: byte 0xff",
    ),
    Refused("half a character of UTF-16", b"\xff\xfei\x00o", "damaged UTF-16: byte 0x6f at offset 4"),
    Refused("NUL bytes", b"term\nio\0n\nsalt\n", "NUL byte at offset 7"),
    Refused(
        "bytes of no encoding", b"term\n\x81\xff\xff\x8d\n", r"neither a workbook nor .*0x81 at offset 5 \(line 2\)"
    ),
    Refused("a PDF", b"%PDF-1.7\n", "PDF document.*--from-text"),
    Refused("a column that is not there", b"term,de\nion,Ion\n", "no column 'Z'.*'term', 'de'", Columns("Z")),
    Refused("column 0", b"term,de\nion,Ion\n", "no column '0'", Columns("term", "0")),
    Refused("a header without terms", b"de,fr\nPest,peste\n", "name one of them term.*--source-col"),
)
