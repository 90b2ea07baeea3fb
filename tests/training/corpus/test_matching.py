from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.matching import Match, TermMatcher, is_usable_term, tokens_of


def brute_force(forms: Sequence[tuple[str, str]], words: Sequence[str]) -> list[Match]:
    """Every stretch of five tokens, then of four, and so on, from left to right, against every form."""
    tokens = [(token, place) for place, word in enumerate(words) for token in tokens_of(word)]
    taken: set[int] = set()
    found = []
    for size in range(5, 0, -1):
        for start in range(len(tokens) - size + 1):
            places = set(range(start, start + size))
            said = [token for token, _ in tokens[start : start + size]]
            term = next((t for form, t in forms if is_usable_term(form) and tokens_of(form) == said), None)
            if term is not None and not places & taken:
                taken |= places
                found.append(Match(term, tokens[start][1], tokens[start + size - 1][1] + 1))
    return sorted(found, key=lambda match: (match.first, match.last))


TOKEN = st.sampled_from(["abc", "abd", "net", "of", "a-net", "net's", "abc,", "ABD"])
PHRASE = st.lists(TOKEN, min_size=1, max_size=6).map(" ".join)


@given(st.lists(PHRASE, max_size=12), st.lists(TOKEN, max_size=20))
def test_the_same_as_brute_force(phrases: list[str], words: list[str]) -> None:
    """Looking forms up by their first token finds what trying every form at every place finds."""
    forms = [(phrase, f"{i}: {phrase}") for i, phrase in enumerate(phrases)]
    assert TermMatcher(forms).find(words) == brute_force(forms, words)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("state of the art", "a state-of-the-art model"),
        ("state-of-the-art", "the State of the Art."),
        ("Kalman filter", "a kalman filter's gain"),
        ("Newton's method", "with newton method we"),
        ("Kalman Filter", "(Kalman filter), then"),
        ("AC/DC converter", "the ac dc converter"),
        ("C++ compiler", "a C++ compiler"),
        ("U.S. Army", "the U.S. army"),
        ("naïve Bayes", "use Nai\u0308ve Bayes here"),
    ],
)
def test_ways_of_writing_are_one(form: str, said: str) -> None:
    """Hyphens, capitals, possessives, slashes, punctuation around words and forms of Unicode make no difference."""
    assert [match.term for match in TermMatcher([(form, "it")]).find(said.split())] == ["it"]


def test_longest_first_without_overlap() -> None:
    """A longer term takes its words from shorter ones, also where the shorter one begins earlier."""
    matcher = TermMatcher((t, t) for t in ("deep neural", "neural network layer", "network", "layer"))
    words = "a deep neural network layer and network".split()
    assert matcher.find(words) == [Match("neural network layer", 2, 5), Match("network", 6, 7)]


def test_aliases_give_the_main_term() -> None:
    """What is said is an alias; what is found is its term, and the first of equal forms counts."""
    matcher = TermMatcher([("neural network", "Neural network"), ("neural net", "Neural network"), ("Neural-Net", "X")])
    assert [m.term for m in matcher.find("neural net or neural network".split())] == ["Neural network"] * 2
    assert len(matcher) == 2


def test_words_of_several_tokens_keep_their_place() -> None:
    """The range of a match is of words as given, also where one of them is several tokens."""
    matcher = TermMatcher([("art", "art"), ("deep learning", "dl")])
    assert matcher.find(["state-of-the-art", "deep-learning"]) == [Match("art", 0, 1), Match("dl", 1, 2)]


@pytest.mark.parametrize("term", ["", "  ", "ai", "a-i", "2024", "1234a", "a1234", "one two three four five six", "—"])
def test_unusable_terms_are_passed_over(term: str) -> None:
    """Fewer than three characters, mostly digits, or more than five tokens are never looked for."""
    assert not is_usable_term(term)
    assert not TermMatcher([(term, term)]).find(term.split())


@pytest.mark.parametrize("term", ["ion", "gpt4", "12ab", "H2O", "one two three four five"])
def test_usable_terms_stay(term: str) -> None:
    """Three characters, and half of them digits, are enough."""
    assert is_usable_term(term)
