"""Pronunciations of spoken forms: the user's first, else a grapheme-to-phoneme model's, letters by their names."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from index_builder.surface import plain_word
from streaming.records import record
from streaming.symbols import PHONEMES

MAX_PRONUNCIATIONS = 3
# Symbols of a pronunciation; the longest word of any dictionary has fewer than 50, and a term 200 letters.
LONGEST_PRONUNCIATION = 100
Word: TypeAlias = tuple[str, ...]
Pronunciation: TypeAlias = tuple[Word, ...]

_SYMBOLS = frozenset(PHONEMES[2:])
_NAMES = {
    "a": ("EY", "AH"), "b": ("B IY",), "c": ("S IY",), "d": ("D IY",), "e": ("IY",), "f": ("EH F",), "g": ("JH IY",),
    "h": ("EY CH",), "i": ("AY",), "j": ("JH EY",), "k": ("K EY",), "l": ("EH L",), "m": ("EH M",), "n": ("EH N",),
    "o": ("OW",), "p": ("P IY",), "q": ("K Y UW",), "r": ("AA R",), "s": ("EH S",), "t": ("T IY",), "u": ("Y UW",),
    "v": ("V IY",), "w": ("D AH B AH L Y UW",), "x": ("EH K S",), "y": ("W AY",), "z": ("Z IY", "Z EH D"),
}  # fmt: skip
_VOICED_ENDINGS = {"f": "S", "h": "IH Z", "k": "Z", "s": "IH Z", "x": "IH Z"}


class Pronouncer(Protocol):
    """A grapheme-to-phoneme model."""

    def pronounce(self, words: Sequence[str]) -> list[list[Word]]:
        """For each word (a-z and ') its ARPAbet pronunciations, the best first; an empty list if it knows none."""
        ...


@record
class SpokenForm:
    """A way to say an entry: words parted by one blank, and the user's pronunciations of it.

    A given pronunciation has as many words as `text`, or one that runs over all of them. `written` is the term or
    alias that it says, `kind` how it came from it.
    """

    text: str
    given: tuple[Pronunciation, ...] = ()
    kind: str = "term"
    written: str = ""


def attach_pronunciations(
    term: str, forms: Sequence[SpokenForm], written: Sequence[str]
) -> tuple[tuple[SpokenForm, ...], list[str]]:
    """Give the user's pronunciations to the forms that they pronounce.

    Args:
        term: the written term.
        forms: its spoken forms, the likeliest first, at least one.
        written: ARPAbet texts, words parted by "|".

    Returns:
        the forms, and a complaint for each pronunciation that could not be used as written.
    """
    if not written:
        return tuple(forms), []
    given: dict[str, list[Pronunciation]] = {form.text: [] for form in forms}
    texts = list(given)
    complaints: list[str] = []
    for text in written:
        pronunciation = tuple(_unstressed(word.upper().split()) for word in text.split("|") if word.strip())
        unknown = [symbol for word in pronunciation for symbol in word if symbol not in _SYMBOLS]
        if unknown or not pronunciation:
            complaints.append(f"the pronunciation {text!r} of {term!r} is ignored: {unknown or text!r} is not ARPAbet")
            continue
        if (count := sum(map(len, pronunciation))) > LONGEST_PRONUNCIATION:
            complaints.append(
                f"the pronunciation {text[:40] + '…'!r} of {term!r} is ignored: it has {count} symbols, and "
                f"{LONGEST_PRONUNCIATION} are the most"
            )
            continue
        fitting = [form for form in texts if len(form.split()) == len(pronunciation)]
        if fitting:
            given[fitting[0]].append(pronunciation)
        elif len(pronunciation) == 1 and plain_word(term):
            # "SQL" with "S IY K W AH L": the user says a word where we would have spelled.
            given.setdefault(plain_word(term), []).append(pronunciation)
        else:
            if len(pronunciation) > 1:
                complaints.append(
                    f"the pronunciation {text!r} has {len(pronunciation)} words, {texts[0]!r} has "
                    f"{len(texts[0].split())}: its bounds are guessed"
                )
            given[texts[0]].append((tuple(symbol for word in pronunciation for symbol in word),))
    known = {form.text: form for form in forms}
    spoken = (known.get(text) or SpokenForm(text, (), "abbreviation", term) for text in given)
    return tuple(replace(form, given=tuple(given[form.text])) for form in spoken), complaints


def pronounce_forms(forms: Sequence[SpokenForm], pronouncer: Pronouncer) -> list[list[Pronunciation]]:
    """Up to `MAX_PRONUNCIATIONS` of each form, the best first; each distinct word is asked once.

    A form with a word that nobody can pronounce has none: then its characters decide alone.
    """
    known = {word: letter_names(word) for word in {word for form in forms for word in form.text.split()}}
    words = sorted(word for word, names in known.items() if not names)
    asked = pronouncer.pronounce(words) if words else []
    known |= {word: [_unstressed(way) for way in ways] for word, ways in zip(words, asked, strict=True)}
    return [_pronounce(form, [known[word] for word in form.text.split()]) for form in forms]


def letter_names(word: str) -> list[Word]:
    """How a single letter, or a letter's plural ("u's"), is called; an empty list for a longer word."""
    letter, plural = (word[:-2], True) if word.endswith("'s") else (word, False)
    names = [tuple(name.split()) for name in _NAMES.get(letter, ())]
    ending = tuple(_VOICED_ENDINGS.get(letter, "Z").split()) if plural else ()
    return [name + ending for name in names]


def split_over_words(symbols: Word, references: Sequence[Word]) -> Pronunciation:
    """Cut a pronunciation without bounds where it is nearest to the words' own pronunciations.

    Args:
        symbols: at least as many symbols as there are words.
        references: a pronunciation of each word.

    Returns:
        one non-empty tuple per word; in all `symbols`. The sum of edit distances to `references` is the least.
    """
    n = len(symbols)
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for reference in references:
        longer: dict[int, tuple[int, tuple[int, ...]]] = {}
        for start, (cost, cuts) in best.items():
            for end, distance in enumerate(_edit_distances(symbols[start:], reference), start + 1):
                way = (cost + distance, (*cuts, end))
                longer[end] = min(longer.get(end, way), way)
        best = longer
    _, cuts = best[n]
    return tuple(symbols[start:end] for start, end in zip((0, *cuts[:-1]), cuts, strict=True))


def _pronounce(form: SpokenForm, ways: Sequence[Sequence[Word]]) -> list[Pronunciation]:
    if not form.given:
        return _distinct(_combinations(ways)) if all(ways) else []
    references = [way[0] if way else () for way in ways]
    whole = (
        split_over_words(given[0], references) if len(given) < len(references) <= len(given[0]) else given
        for given in form.given
    )
    return _distinct(whole)


def _combinations(ways: Sequence[Sequence[Word]]) -> Iterable[Pronunciation]:
    """The best of each word, then second and third choices of one word at a time."""
    best = tuple(way[0] for way in ways)
    yield best
    for rank in range(1, MAX_PRONUNCIATIONS):
        for index, way in enumerate(ways):
            if rank < len(way):
                yield (*best[:index], way[rank], *best[index + 1 :])


def _distinct(pronunciations: Iterable[Pronunciation]) -> list[Pronunciation]:
    """The first `MAX_PRONUNCIATIONS` that differ; no more are made."""
    found: dict[Pronunciation, None] = {}
    for pronunciation in pronunciations:
        found.setdefault(pronunciation)
        if len(found) == MAX_PRONUNCIATIONS:
            break
    return list(found)


def _unstressed(symbols: Iterable[str]) -> Word:
    """Without stress digits, which the heads do not know."""
    return tuple(symbol.rstrip("012") for symbol in symbols)


def _edit_distances(left: Word, right: Word) -> Iterator[int]:
    """How far `right` is from the first symbol of `left`, from its first two, and so on."""
    row = list(range(len(right) + 1))
    for i, symbol in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (symbol != other))
        yield row[-1]
