from pathlib import Path

import pytest

from streaming.symbols import CHARACTERS, PHONEMES
from training.compact.cache import CachedWindow
from training.compact.targets import Lexicon, target_of


@pytest.fixture
def lexicon(tmp_path: Path) -> Lexicon:
    """Two pronunciations of one word in the dictionary; a fallback that spells by the letter K."""
    dictionary = tmp_path / "small.dict"
    dictionary.write_text("ion AY1 AH0 N\nion(2) AY1 AA2 N\nit IH1 T\n", "utf-8")
    return Lexicon(dictionary, lambda words: [("K",) * len(word) for word in words])


def window(*words: str) -> CachedWindow:
    """A window in which `words` are heard."""
    return CachedWindow(tuple((w, 0.0, 1.0) for w in words), 0, 0, "c")


def test_targets_have_bounds_around_words(lexicon: Lexicon) -> None:
    """Both heads are taught a bound before, between and after the words."""
    target = target_of(window("it", "ion"), lexicon)
    assert "".join(CHARACTERS[i] for i in target.characters) == "|it|ion|"
    assert " ".join(PHONEMES[i] for i in target.phonemes) == "| IH T | AY AH N |"


def test_silence_has_an_empty_target(lexicon: Lexicon) -> None:
    """Where nothing whole is heard there is no bound either: the blank alone is right."""
    target = target_of(window(), lexicon)
    assert (len(target.characters), len(target.phonemes)) == (0, 0)


def test_only_missing_words_are_asked_for(lexicon: Lexicon) -> None:
    """The dictionary's first pronunciation stands; the fallback fills what is missing, once."""
    assert lexicon.add(["ion", "qua", "qua"]) == 1
    assert lexicon.add(["qua"]) == 0
    assert lexicon["ion"] == ("AY", "AH", "N")
    assert lexicon["qua"] == ("K", "K", "K")


def test_unknown_word_is_told(lexicon: Lexicon) -> None:
    """A word that nobody pronounced is an error with its name, not an empty target."""
    with pytest.raises(KeyError, match="zyx"):
        target_of(window("zyx"), lexicon)
