"""Inflected forms that sound like another entry are given up: "buffalos" must not be heard where "buffaloes" is said.

What an author wrote goes before what was made of it by rule. Two forms sound alike where their pronunciations, or their
letters, differ by one symbol at most; all such pairs share a spelling with one symbol less (the symmetric delete of
Garbe 2012).
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeAlias

from index_builder.pronounce import Pronunciation

Symbols: TypeAlias = tuple[Hashable, ...]
_BY_RULE = frozenset({"plural", "possessive"})


def kept_apart(
    owners: Sequence[int], texts: Sequence[str], kinds: Sequence[str], ways: Sequence[Sequence[Pronunciation]]
) -> list[bool]:
    """Which forms stay: all but the inflected ones that sound like what another entry has of its own.

    Args:
        owners: the entry of each form.
        texts: its words parted by one blank.
        kinds: how it came from what was written.
        ways: its pronunciations.
    """
    if not _BY_RULE.intersection(kinds):
        # A large glossary has no inflected forms, and its spellings with one symbol less would take gigabytes.
        return [True] * len(kinds)
    own: dict[Symbols, set[int]] = {}
    for owner, text, kind, said in zip(owners, texts, kinds, ways, strict=True):
        if kind not in _BY_RULE:
            for shorter in _neighbourhood(text, said):
                own.setdefault(shorter, set()).add(owner)
    return [
        kind not in _BY_RULE or all(own.get(shorter, set()) <= {owner} for shorter in _neighbourhood(text, said))
        for owner, text, kind, said in zip(owners, texts, kinds, ways, strict=True)
    ]


def _neighbourhood(text: str, said: Sequence[Pronunciation]) -> Iterator[Symbols]:
    """Letters and pronunciations, and each of them with one symbol less; word bounds are not heard."""
    letters: Symbols = ("letters", *text.replace(" ", ""))
    yield from _with_one_less(letters)
    for words in said:
        yield from _with_one_less(("sounds", *(symbol for word in words for symbol in word)))


def _with_one_less(symbols: Symbols) -> Iterator[Symbols]:
    yield symbols
    # The first tells what the symbols are. What is left must tell something: one sound is in everything.
    if len(symbols) > 3:
        for place in range(1, len(symbols)):
            yield symbols[:place] + symbols[place + 1 :]
