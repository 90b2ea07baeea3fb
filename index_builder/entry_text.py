"""The text of a cell, made fit for a glossary: on one line, composed, comparable with other spellings of it."""

import re
import unicodedata

from index_builder.surface import can_be_spoken
from index_builder.surface_text import is_lettered

MAX_TERM = 200
# Characters that turn the direction of the text after them: they could show one entry as another.
# U+FFFE and U+FFFF are no characters, and no XML may hold them.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_ZERO_WIDTH = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


def clean(text: str) -> str:
    """A text on one line, composed (NFC), without control or bidi characters, half surrogate pairs or outer blanks."""
    if not text:
        return ""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    whole = _BIDI_CONTROLS.sub("", text.encode("utf-8", "replace").decode())
    shown = "".join(" " if unicodedata.category(character) == "Cc" else character for character in whole)
    return " ".join(unicodedata.normalize("NFC", shown).split())


def fold(term: str) -> str:
    """What two spellings of one term share: case, compatibility forms and invisible characters do not count."""
    return fold_cleaned(clean(term))


def fold_cleaned(term: str) -> str:
    """`fold` of a text that `clean` gave."""
    if term.isascii():
        return term.casefold()
    return _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", term)).casefold().strip()


def unusable(term: str) -> str:
    """Why a cleaned term gives no hint; "" if it does."""
    if not term:
        return "the term is empty"
    if len(term) > MAX_TERM:
        return f"the term has {len(term)} characters, more than {MAX_TERM}"
    # Most terms are; only the others are worth the questions after this one.
    if is_lettered(term):
        return ""
    if not any(character.isalnum() for character in term):
        return "the term has no letter or digit"
    if not can_be_spoken(term):
        return "the term cannot be written in the letters a to z"
    return ""
