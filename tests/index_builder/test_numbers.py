"""Numbers are said as people say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder import numbers

_UNITS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
} | {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}


def _value(words: list[str]) -> int:
    """The slow way back: what a listener understands."""
    total, group = 0, 0
    for word in words:
        if word == "hundred":
            group *= 100
        elif word in ("thousand", "million", "billion"):
            total += group * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word]
            group = 0
        elif word not in ("and", "oh"):
            group += _UNITS[word]
    return total + group


@given(st.integers(0, 10**12 - 1))
def test_cardinal_means_its_number(number: int) -> None:
    """Reading the words back gives the number."""
    assert _value(numbers.cardinal(number)) == number


@given(st.integers(0, 10**12 - 1))
def test_one_reading_means_the_number(number: int) -> None:
    """A row of digits has distinct readings, the cardinal among them."""
    ways = numbers.readings(str(number))
    assert len({tuple(way) for way in ways}) == len(ways)
    assert any(_value(way) == number for way in ways)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2005", "two thousand five"),
        ("2024", "twenty twenty four"),
        ("911", "nine hundred eleven"),
        ("007", "zero zero seven"),
        ("0", "zero"),
    ],
)
def test_likeliest_reading_comes_first(text: str, first: str) -> None:
    """Years are said in two parts, leading zeros digit by digit."""
    assert " ".join(numbers.readings(text)[0]) == first


def test_other_readings_follow() -> None:
    """What speakers say too is kept."""
    assert [" ".join(way) for way in numbers.readings("911")] == [
        "nine hundred eleven",
        "nine eleven",
        "nine hundred and eleven",
        "nine one one",
    ]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (2, "second"),
        (3, "third"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty first"),
        (100, "one hundredth"),
        (9, "ninth"),
    ],
)
def test_ordinals(number: int, words: str) -> None:
    """The last word carries the ordinal, with its irregular forms."""
    assert " ".join(numbers.ordinal(number)) == words


@pytest.mark.parametrize(
    ("number", "words"), [(1980, "nineteen eighties"), (80, "eighties"), (2010, "twenty tens"), (6, "sixes")]
)
def test_decades(number: int, words: str) -> None:
    """A plural number is a decade."""
    assert " ".join(numbers.plural(number)) == words


def test_decimals() -> None:
    """The fraction is said digit by digit, a short one as a number too."""
    assert [" ".join(way) for way in numbers.decimal("3", "11")] == ["three point one one", "three point eleven"]
    assert [" ".join(way) for way in numbers.decimal("0", "05")] == ["zero point zero five"]


@pytest.mark.parametrize("number", [-1, 10**12])
def test_numbers_beyond_the_scales_are_refused(number: int) -> None:
    """Only what can be named is named."""
    with pytest.raises(ValueError, match=str(number)):
        numbers.cardinal(number)
