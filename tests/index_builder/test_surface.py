"""Written terms become spoken forms."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index_builder import surface_text
from index_builder.surface import MAX_FORMS, _worked_out, can_be_spoken, plain_word, spoken_forms, surface_forms
from index_builder.surface_text import plain
from streaming.symbols import character_sequence


@pytest.mark.parametrize(
    ("term", "forms"),
    [
        ("Kalman filter", ["kalman filter"]),
        ("andrew's holborn", ["andrew's holborn"]),
        ("Müller’s", ["muller's"]),
        ("SGD", ["s g d"]),
        ("mRNA", ["m r n a"]),
        ("GPUs", ["g p u's"]),
        ("PhD", ["p h d", "phd", "ph d"]),
        ("Ph.D.", ["p h d"]),
        ("U.S.A.", ["u s a"]),
        ("NASA", ["n a s a", "nasa"]),
        ("RAM", ["r a m", "ram"]),
        ("WHO", ["w h o"]),
        ("US", ["u s"]),
        ("API", ["a p i"]),
        ("JPEG", ["j p e g"]),
        ("NEURAL NETWORK", ["neural network"]),
        ("COVID-19", ["c o v i d nineteen", "covid nineteen"]),
        ("GPT-4", ["g p t four"]),
        ("H₂O", ["h two o"]),
        ("3D printing", ["three d printing"]),
        ("21st century", ["twenty first century"]),
        ("1980s", ["nineteen eighties"]),
        ("Python 3.11", ["python three point one one", "python three point eleven"]),
        ("1234567890123th", ["one two three four five six seven eight nine zero one two three"]),
        ("K8s", ["k eight s"]),
        ("50%", ["fifty percent"]),
        ("$5", ["five dollars"]),
        ("½ cup", ["one half cup"]),
        ("R&D", ["r and d"]),
        ("C++", ["c plus plus"]),
        ("C#", ["c sharp"]),
        ("node.js", ["node dot j s", "node dot js"]),
        ("TCP/IP", ["t c p i p"]),
        ("E-mail", ["e mail"]),
        ("β-carotene", ["beta carotene"]),
        ("Ελλάδα", ["ellada"]),
        ("神经", ["shenjing", "shen jing"]),
        ("PyTorch", ["pytorch", "py torch"]),
        ("Dr. Smith", ["doctor smith"]),
        ("St James", ["saint james"]),
        ("no. 5", ["number five"]),
        ("Henry VIII", ["henry eight", "henry the eighth", "henry v i i i"]),
        ("Type I error", ["type i error", "type one error", "type the first error"]),
        ("vitamin C", ["vitamin c"]),
        ("Support Vector Machine (SVM)", ["support vector machine", "s v m"]),
        ("bank (finance)", ["bank"]),
        ("(SVM)", ["s v m"]),
        ("rock 'n' roll", ["rock n roll"]),
        ("😀", []),
        ("' '", []),
    ],
)
def test_forms_of_a_term(term: str, forms: list[str]) -> None:
    """Letters, numbers, signs and abbreviations are written as they are said, the likeliest first."""
    assert spoken_forms(term) == forms


@given(st.text(max_size=40))
@example("１２½ⅧK8s AT&T (b)")
def test_forms_are_words_of_the_alphabet(term: str) -> None:
    """Whatever the term, its forms are few, distinct and can be written in the symbols of the heads."""
    forms = spoken_forms(term)
    assert len(forms) == len(set(forms)) <= MAX_FORMS
    for form in forms:
        assert re.fullmatch(r"[a-z']+(?: [a-z']+)*", form)
        assert len(character_sequence(form.split(" "))) == len(form) + 2


@given(st.text(st.sampled_from("abcdWXYZ '-3(é"), max_size=20))
def test_can_be_spoken_is_the_short_way_to_the_same_answer(term: str) -> None:
    """The shortcut for plain words agrees with making the forms."""
    assert can_be_spoken(term) == bool(spoken_forms(term))


@pytest.mark.parametrize(
    ("term", "word"), [("SQL", "sql"), ("Kubernetes", "kubernetes"), ("two words", ""), ("42", "")]
)
def test_plain_word(term: str, word: str) -> None:
    """One token without digits can be pronounced as one word."""
    assert plain_word(term) == word


@given(st.lists(st.text("abdeghkstvy'", min_size=1, max_size=6), min_size=1, max_size=3).map(" ".join))
@example("vs them")
@example("dr no st")
@example("hmmm psst")
@example("john's vs we'll")
@example("don't a's o'brien's")
@example("rock'n'roll b's' 's")
@example("a x i v")
def test_words_in_small_letters_need_no_work(text: str) -> None:
    """The short way round gives what the whole work gives."""
    assert surface_forms(text) == _worked_out(text)


_LETTERED = st.lists(st.text("aehmstvABDMRSTX'", min_size=1, max_size=5), min_size=1, max_size=4).map(" ".join)


@given(_LETTERED)
@example("Dr Who")
@example("Vs vs St's")
@example("a'' I's")
def test_plain_letters_need_no_transliteration(text: str) -> None:
    """Where there are only letters and apostrophes, the short way round gives what the whole work gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surface_text, "is_lettered", lambda text: False)
        whole = plain(text)
    assert plain(text) == whole
    assert can_be_spoken(text) == bool(surface_forms(text))
