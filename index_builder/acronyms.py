"""Acronyms of a text with what they stand for: "stochastic gradient descent (SGD)".

The long form is found by letters from the right, the first one at the beginning of a word: A. S. Schwartz and M. A.
Hearst, "A simple algorithm for identifying abbreviation definitions in biomedical text", 2003.
"""

import re

_IN_PARENTHESES = re.compile(r"((?:[^\W_][\w'’-]*\s+){1,8})\(\s*([A-Z][A-Za-z0-9-]{1,9}?)s?\s*\)")


def expansions(text: str) -> dict[str, str]:
    """Acronym -> its long form, the first where there are several."""
    found: dict[str, str] = {}
    for match in _IN_PARENTHESES.finditer(text):
        short = match[2]
        words = match[1].split()
        # A long form has few more words than its acronym has letters.
        longest = min(len(words), len(short) + 5, 2 * len(short))
        long = long_form(short, " ".join(words[-longest:]))
        if long and sum(map(str.isupper, short)) >= 2:
            found.setdefault(short, long)
    return found


def long_form(short: str, text: str) -> str:
    """The end of `text` that `short` stands for; "" if its letters do not stand there in order."""
    at = len(text)
    for index in range(len(short) - 1, -1, -1):
        letter = short[index].lower()
        if not letter.isalnum():
            continue
        at -= 1
        while at >= 0 and not (text[at].lower() == letter and (index or _begins_word(text, at))):
            at -= 1
        if at < 0:
            return ""
    return text[at:].strip()


def _begins_word(text: str, at: int) -> bool:
    return at == 0 or not text[at - 1].isalnum()
