"""Inflected forms do not take the place of what an author wrote."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from index_builder.apart import kept_apart
from index_builder.pronounce import Pronunciation

WORDS = st.text("abc", min_size=3, max_size=5)


def _said(*symbols: str) -> list[Pronunciation]:
    return [(symbols,)]


def test_plural_that_sounds_like_another_entry_is_given_up() -> None:
    """The plural of buffalo is spoken as "buffaloes" is, and that is an entry of its own."""
    ways = [_said(*"B AH F L OW".split()), _said(*"B AH F L OW Z".split()), _said(*"B AH F L OW Z".split())]
    kept = kept_apart([0, 0, 1], ["buffalo", "buffalos", "buffaloes"], ["term", "plural", "term"], ways)
    assert kept == [True, False, True]


def test_one_sound_more_is_too_near() -> None:
    """Knowl's is taken for "knollys", which has one vowel more."""
    ways = [_said("N", "OW", "L"), _said("N", "OW", "L", "Z"), _said("N", "OW", "L", "IY", "Z")]
    assert kept_apart([0, 0, 1], ["knowl", "knowl's", "knollys"], ["term", "possessive", "term"], ways)[1] is False


def test_the_own_term_and_what_is_written_stay() -> None:
    """A plural is near its own singular, and two written terms may sound alike: their author wanted both."""
    ways = [_said("K", "AE", "T"), _said("K", "AE", "T", "S"), _said("K", "AE", "T")]
    assert kept_apart([0, 0, 1], ["cat", "cats", "kat"], ["term", "plural", "alias"], ways) == [True, False, True]
    assert kept_apart([0, 0, 1], ["cat", "cats", "dog"], ["term", "plural", "term"], [[], [], []]) == [True] * 3


def _distance(left: str, right: str) -> int:
    """Edit distance by its definition."""
    if not left or not right:
        return len(left) + len(right)
    same = left[0] == right[0]
    return min(
        _distance(left[1:], right[1:]) + (not same), _distance(left[1:], right) + 1, _distance(left, right[1:]) + 1
    )


@given(terms=st.lists(WORDS, min_size=1, max_size=4), made=WORDS)
def test_as_edit_distance_says(terms: list[str], made: str) -> None:
    """Whatever is at most one edit away is given up, and nothing that is more than two away."""
    owners = [*range(len(terms)), len(terms)]
    kept = kept_apart(owners, [*terms, made], [*["term"] * len(terms), "plural"], [[] for _ in owners])[-1]
    nearest = min(_distance(term, made) for term in terms)
    assert not (kept and nearest <= 1)
    assert kept or nearest <= 2


def test_order_of_the_forms_does_not_matter() -> None:
    """All that is written counts, before or after."""
    forms = [(0, "buffalo", "term"), (0, "buffalos", "plural"), (1, "buffaloes", "term")]
    for some in itertools.permutations(forms):
        kept = kept_apart([f[0] for f in some], [f[1] for f in some], [f[2] for f in some], [[], [], []])
        assert {form[1] for form, stays in zip(some, kept, strict=True) if not stays} == {"buffalos"}
