"""How English numbers are said, as lists of lower-case words.

Written here rather than taken from a library: it is small, and a speaker's ways (years, digit by digit, "nine
eleven") are wanted beside the one that a library gives.
"""

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ("", "thousand", "million", "billion")
_LARGEST = 10**12 - 1
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def cardinal(number: int) -> list[str]:
    """42 -> forty two. Raises ValueError outside 0 to 999,999,999,999."""
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{number} is not between 0 and {_LARGEST}")
    if number < 1000:
        return _below_thousand(number)
    words: list[str] = []
    for power in range(len(_SCALES) - 1, -1, -1):
        group = number // 1000**power % 1000
        if group:
            words += [*_below_thousand(group), *([_SCALES[power]] if power else [])]
    return words


def ordinal(number: int) -> list[str]:
    """42 -> forty second."""
    *start, last = cardinal(number)
    if last in _IRREGULAR_ORDINALS:
        return [*start, _IRREGULAR_ORDINALS[last]]
    return [*start, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"]


def plural(number: int) -> list[str]:
    """A decade: 1980 -> nineteen eighties, 80 -> eighties."""
    *start, last = year(number) or cardinal(number)
    if last.endswith("y"):
        return [*start, f"{last[:-1]}ies"]
    return [*start, f"{last}es" if last.endswith("x") else f"{last}s"]


def year(number: int) -> list[str]:
    """1984 -> nineteen eighty four; no words where a year is not said in two parts."""
    century, rest = divmod(number, 100)
    if not 11 <= century <= 99 or (century % 10 == 0 and rest < 10):
        return []
    if rest == 0:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def digits(text: str) -> list[str]:
    """Digit by digit: 007 -> zero zero seven."""
    return [_SMALL[int(digit)] for digit in text]


def readings(text: str) -> list[list[str]]:
    """The ways to say a row of digits, the likeliest first, none twice.

    Args:
        text: one or more ASCII digits.
    """
    number = int(text) if len(text) <= 12 else None
    if number is None or (text.startswith("0") and len(text) > 1):
        return [digits(text)]
    hundreds, rest = divmod(number, 100)
    ways = [cardinal(number)]
    if len(text) == 4 and (said := year(number)):
        ways.insert(0, said)
    if len(text) == 3 and rest >= 10:
        ways.append([*cardinal(hundreds), *cardinal(rest)])
    if 100 < number < 10_000 and rest:
        ways.append([*cardinal(hundreds * 100), "and", *cardinal(rest)])
    if len(text) in (3, 4, 5):
        ways.append(digits(text))
    return [way for index, way in enumerate(ways) if way not in ways[:index]]


def decimal(whole: str, fraction: str) -> list[list[str]]:
    """The ways to say "3.14": the fraction digit by digit, and as a number (a version) where it is short."""
    start = [*readings(whole)[0], "point"]
    ways = [[*start, *digits(fraction)]]
    if len(fraction) == 2 and not fraction.startswith("0"):
        ways.append([*start, *cardinal(int(fraction))])
    return ways


def _below_thousand(number: int) -> list[str]:
    hundreds, rest = divmod(number, 100)
    words = [_SMALL[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10 - 2])
        rest %= 10
        return [*words, _SMALL[rest]] if rest else words
    return [*words, _SMALL[rest]] if rest or not hundreds else words
