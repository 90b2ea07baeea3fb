"""A dictionary and an ARPA file become the lexicon: the commonest words, the bigrams that tell most."""

from pathlib import Path

import numpy as np
import pytest

from streaming.words.bigrams import affinity
from streaming.words.lexicon import pack_lexicon, unpack_lexicon
from training.compact.lexicon import LexiconConfig, make_lexicon, read_arpa
from training.corpus.manifest import ManifestError

ARPA = """made by hand
\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-1.0 <s> -0.5
-1.0 the -0.3
-2.0 plague -0.2
-2.5 plan 0.0
-3.0 b 0.0
-4.0 unheardof 0.0

\\2-grams:
-0.1 the plague
-2.8 the plan
-0.5 <s> the
-0.2 plague unheardof

\\3-grams:
this is not read
"""
DICTIONARY = "the DH AH0\nthe(2) DH IY0\nplague P L EY1 G\nplan P L AE1 N\nb B IY1\n"


def _files(folder: Path, arpa: str = ARPA) -> tuple[Path, Path]:
    (folder / "dictionary").write_text(DICTIONARY, "utf-8")
    (folder / "model.arpa").write_text(arpa, "utf-8")
    return folder / "dictionary", folder / "model.arpa"


def test_words_that_can_be_said_come_commonest_first(tmp_path: Path) -> None:
    """Signs of the model, single letters and words without pronunciation are left out; nats, not decades."""
    lexicon = make_lexicon(*_files(tmp_path), LexiconConfig())
    assert lexicon.words == ("the", "plague", "plan")
    assert [word for word, _ in lexicon.pronunciations] == [0, 0, 1, 2]
    np.testing.assert_allclose(lexicon.bigrams.unigram, np.log(10) * np.array([-1.0, -2.0, -2.5]), rtol=1e-6)
    assert affinity(lexicon.bigrams, 0, 1) == pytest.approx(np.log(10) * 1.9, rel=1e-5)
    assert affinity(lexicon.bigrams, 1, 2) == pytest.approx(np.log(10) * -0.2, rel=1e-5)


def test_bigrams_that_the_backoff_knows_go_first(tmp_path: Path) -> None:
    """Of two pairs, the one that is likelier and further from its backed-off estimate is kept."""
    lexicon = make_lexicon(*_files(tmp_path), LexiconConfig(bigrams=1))
    assert lexicon.bigrams.first.tolist() == [0, 1, 1, 1]
    assert lexicon.bigrams.follower.tolist() == [1]


def test_few_words_and_pronunciations_may_be_asked_for(tmp_path: Path) -> None:
    """The limits hold, and what is left can be packed."""
    lexicon = make_lexicon(*_files(tmp_path), LexiconConfig(words=2, pronunciations=1))
    assert lexicon.words == ("the", "plague")
    assert [word for word, _ in lexicon.pronunciations] == [0, 1]
    assert unpack_lexicon(pack_lexicon(lexicon)).words == lexicon.words


def test_a_damaged_model_is_refused_with_its_line(tmp_path: Path) -> None:
    """What is no n-gram ends in an error that names file and line; so does a language without a common word."""
    _, broken = _files(tmp_path, ARPA.replace("-2.8 the plan", "-2.8 the"))
    with pytest.raises(ManifestError, match=r"model\.arpa, line 16: '-2\.8 the' is no 2-gram"):
        list(read_arpa(broken))
    files = _files(tmp_path, "\\data\\\n\\1-grams:\n-1.0 nothing\n")
    with pytest.raises(ManifestError, match="no word in common"):
        make_lexicon(*files, LexiconConfig())
