"""Normal forms of terms and the integers that stand for them where tensors are compared across ranks."""

import hashlib
import re
import unicodedata

_APART = re.compile(r"[\s\-_‐-―/]+")
_POSSESSIVE = re.compile(r"['’]s?$")
_LETTERS = (1 << 63) - 1


def normal_form(term: str) -> str:
    """Lower case, one blank for blanks, hyphens and slashes, no possessive: "Kalman's-Filter " -> "kalman filter"."""
    words = _APART.split(unicodedata.normalize("NFKC", term).casefold().strip())
    return " ".join(word for word in (_POSSESSIVE.sub("", word) for word in words) if word)


def key_of(text: str) -> int:
    """A stable non-negative 63-bit integer for a normal form."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") & _LETTERS
