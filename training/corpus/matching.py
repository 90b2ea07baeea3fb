"""Which terms of a glossary are said in a row of words: longest first, none overlapping another."""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from training.corpus.keys import normal_form

LONGEST = 5
"""Tokens of the longest form that is looked for."""
_LEAST_CHARACTERS = 3
_MARKS = "".join(set(string.punctuation) - set("+#'")) + "“”„«»…‘’¿¡"


def tokens_of(text: str) -> list[str]:
    """Normalised words without the punctuation around them: "Newton's state-of-the-art," -> newton state of the art.

    A leading dot and trailing + and # stay: .net, c++ and c# are other words than net and c.
    """
    tokens: list[str] = []
    for word in text.split():
        bare = word.rstrip(_MARKS).lstrip(_MARKS.replace(".", "") + "'")
        tokens += normal_form(bare).split(" ") if bare else []
    return [token for token in tokens if token]


def is_usable_term(text: str) -> bool:
    """Whether a form is worth looking for: three characters or more, most of them no digits, at most five tokens."""
    tokens = tokens_of(text)
    joined = "".join(tokens)
    digits = sum(character.isdigit() for character in joined)
    return len(joined) >= _LEAST_CHARACTERS and 2 * digits <= len(joined) and len(tokens) <= LONGEST


@dataclass(frozen=True, slots=True)
class Match:
    """A term, and the words [first, last) in which it is said."""

    term: str
    first: int
    last: int


class TermMatcher:
    """Looks terms up in transcripts.

    Args:
        forms: (how it is said, its term); unusable forms are passed over, and of equal ones the first counts.
    """

    def __init__(self, forms: Iterable[tuple[str, str]]) -> None:
        self._terms: dict[str, str] = {}
        sizes: dict[str, set[int]] = {}
        for form, term in forms:
            if is_usable_term(form):
                tokens = tokens_of(form)
                self._terms.setdefault(" ".join(tokens), term)
                sizes.setdefault(tokens[0], set()).add(len(tokens))
        self._sizes: Mapping[str, tuple[int, ...]] = {token: tuple(found) for token, found in sizes.items()}

    def __len__(self) -> int:
        return len(self._terms)

    def find(self, words: Sequence[str]) -> list[Match]:
        """Matches in order of place: five tokens before four, and so on; of equal length the earlier one first."""
        placed = [(token, place) for place, word in enumerate(words) for token in tokens_of(word)]
        tokens = [token for token, _ in placed]
        found: list[tuple[int, int, str]] = []
        for start, token in enumerate(tokens):
            for size in self._sizes.get(token, ()):
                term = self._terms.get(" ".join(tokens[start : start + size]))
                if term is not None and start + size <= len(tokens):
                    found.append((-size, start, term))
        taken = bytearray(len(tokens))
        matches: list[Match] = []
        for size, start, term in sorted(found):
            end = start - size
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                matches.append(Match(term, placed[start][1], placed[end - 1][1] + 1))
        return sorted(matches, key=lambda match: (match.first, match.last))
