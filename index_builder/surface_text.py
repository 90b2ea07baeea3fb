"""A written term in plain letters: transliterated to ASCII, its signs and titles written out as words."""

import re
import unicodedata
from typing import Literal, TypeAlias

from anyascii import anyascii

# anyascii writes Greek letters as they look or sound in modern Greek; science names them.
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψως",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega sigma".split(),
        strict=True,
    )
)
_SIGNS = {
    "&": " and ", "%": " percent ", "+": " plus ", "=": " equals ", "@": " at ", "°": " degrees ", "§": " section ",
    "½": " one half ", "¼": " one quarter ", "¾": " three quarters ", "µ": " micro ", "×": " times ",
    "²": " squared ", "³": " cubed ", "±": " plus minus ", "∞": " infinity ", "√": " square root ", "≈": " about ",
    "<": " less than ", ">": " greater than ", "≤": " at most ", "≥": " at least ",
    "™": "", "®": "", "©": "", "\u00ad": "", "’": "'", "‘": "'", "ʼ": "'", "`": "'",
}  # fmt: skip
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen"}
_ABBREVIATIONS = {
    "dr": "doctor", "mr": "mister", "mrs": "missus", "st": "saint", "mt": "mount", "vs": "versus", "jr": "junior",
    "sr": "senior", "prof": "professor", "no": "number", "inc": "incorporated", "ltd": "limited",
}  # fmt: skip
_TEMPERATURES = {"C": "celsius", "F": "fahrenheit"}
_SIMPLE = re.compile(r"[A-Za-z]{4,}(?: [A-Za-z]{4,})*")
_LETTERED = re.compile(r"[A-Za-z][A-Za-z']*(?: [A-Za-z][A-Za-z']*)*")
_MONEY = re.compile(r"([$€£¥])\s*(\d[\d,.]*\d|\d)")
_DOTTED = re.compile(r"\b(?:[A-Za-z]{1,2}\.){2,}(?:[A-Za-z]\b)?")
_ABBREVIATED = re.compile(r"\b(?:([A-Za-z]{2,4})\.(?=\s|$)|(Dr|Jr|Mr|Mrs|Mt|Sr|St|[Vv]s)(?=\s|$))")
_SHARP = re.compile(r"(?<=[A-Za-z])#")
_NUMBERED = re.compile(r"#(?=\d)")
_RANGE = re.compile(r"(?<=\d)\s?[–—]\s?(?=\d)")
_DEGREES = re.compile(r"°\s?([CF])\b")

Writing: TypeAlias = Literal["", "symbol", "abbreviation"]
"""What had to be written out: nothing, a sign, or a title such as "Dr."."""


def is_simple(text: str) -> bool:
    """Whether a text is words of four or more plain letters, which are said as they stand."""
    return _SIMPLE.fullmatch(text) is not None


def is_lettered(text: str) -> bool:
    """Whether a text is words of plain letters and apostrophes: no sign in it, and all of its words are said."""
    return _LETTERED.fullmatch(text) is not None


def plain(text: str) -> tuple[str, Writing]:
    """Transliterate to ASCII and write signs and titles out as words."""
    if is_simple(text):
        return text, ""
    if is_lettered(text):
        said = _titles_written_out(text)
        return said, "abbreviation" if said != text else ""
    signed = _with_signs(text)
    # anyascii writes an emoji as ":name:" and leaves nothing of some signs; both part words.
    ascii_text = anyascii(signed)
    dotted = _DOTTED.sub(lambda match: match[0].replace(".", "").upper(), ascii_text)
    whole = _titles_written_out(dotted)
    said = re.sub(r"(?<=[A-Za-z])\.(?=[A-Za-z])", " dot ", whole)
    if said != whole or _letters(signed) != _letters(unicodedata.normalize("NFKC", text)):
        return said, "symbol"
    return said, "abbreviation" if whole != dotted else ""


def _titles_written_out(text: str) -> str:
    return _ABBREVIATED.sub(lambda match: _ABBREVIATIONS.get((match[1] or match[2]).lower(), match[0]), text)


def _with_signs(text: str) -> str:
    """Currencies, signs and single Greek letters as words."""
    text = _MONEY.sub(lambda match: f"{match[2]} {_CURRENCIES[match[1]]}", text)
    text = _DEGREES.sub(lambda match: f" degrees {_TEMPERATURES[match[1]]} ", text)
    text = _RANGE.sub(" to ", _NUMBERED.sub("number ", text))
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = _SHARP.sub(" sharp", unicodedata.normalize("NFKC", text))
    if text.isascii():
        return text
    return "".join(_greek_name(text, index) or character for index, character in enumerate(text))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _greek_name(text: str, index: int) -> str:
    """The name of a Greek letter that stands alone among other signs; "" within a Greek word."""
    name = _GREEK.get(text[index].lower(), "")
    neighbours = (text[max(0, index - 1) : index] + text[index + 1 : index + 2]).lower()
    return f" {name} " if name and not any(letter in _GREEK for letter in neighbours) else ""
