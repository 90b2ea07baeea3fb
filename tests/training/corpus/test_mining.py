import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from training.corpus.glossary import read_training_glossary
from training.corpus.mining import MiningError, SpacyTagger, mine_terms, write_mined


class CapitalTagger:
    """Takes every run of words between commas for a phrase."""

    def phrases(self, texts: Iterable[str]) -> Iterator[Sequence[str]]:
        for text in texts:
            yield [phrase.strip() for phrase in text.split(",")]


def test_phrases_lose_their_articles_and_rare_ones_go() -> None:
    """What is found in two texts is a candidate, once for each text; too short and too long phrases are none."""
    texts = [
        "the Kalman filter, an ion, ai",
        "our kalman filter, Kalman filter, one of a b c d e",
        "a random walk, the",
    ]
    assert mine_terms(texts, CapitalTagger()) == Counter({"kalman filter": 2})
    assert set(mine_terms(texts, CapitalTagger(), least=1)) == {"kalman filter", "ion", "random walk"}


def test_mined_terms_are_a_glossary(tmp_path: Path) -> None:
    """The file is read as a glossary, most frequent terms first."""
    write_mined(tmp_path / "mined.json", Counter({"ion": 2, "kalman filter": 5, "atom": 2}))
    glossary = read_training_glossary(tmp_path / "mined.json")
    assert [term.term for term in glossary.terms] == ["kalman filter", "atom", "ion"]


def span(text: str, label: str = "") -> SimpleNamespace:
    """A span of a document."""
    return SimpleNamespace(text=text, label_=label)


class FakePipeline:
    """A spaCy pipeline that finds the same in every text; a parser is there if it is named so."""

    def __init__(self, name: str) -> None:
        if name == "absent":
            raise OSError("[E050] Can't find model")
        self.is_parsed = name == "parsed"

    def pipe(self, texts: Iterable[str]) -> Iterator[SimpleNamespace]:
        for _ in texts:
            yield SimpleNamespace(
                ents=[span("Rudolf Kalman", "PERSON"), span("nineteen sixty", "DATE")],
                noun_chunks=[span("a linear filter")],
                has_annotation=lambda _: self.is_parsed,
            )


@pytest.fixture
def spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name with the fake pipeline."""
    module = ModuleType("spacy")
    vars(module)["load"] = FakePipeline
    monkeypatch.setitem(sys.modules, "spacy", module)


@pytest.mark.usefixtures("spacy")
@pytest.mark.parametrize(
    ("model", "found"), [("parsed", ["Rudolf Kalman", "a linear filter"]), ("x", ["Rudolf Kalman"])]
)
def test_entities_and_noun_phrases_of_spacy(model: str, found: list[str]) -> None:
    """Names count, dates do not; noun phrases come only from a pipeline that parses."""
    assert list(SpacyTagger(model).phrases(["text", "text"])) == [found, found]


@pytest.mark.usefixtures("spacy")
def test_a_missing_model_is_named() -> None:
    """A model that is not installed is told with the command that installs it."""
    with pytest.raises(MiningError, match="python -m spacy download absent"):
        SpacyTagger("absent")


def test_without_spacy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spaCy is missing, the error names what to install."""
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MiningError, match=r"pip install '\.\[mining\]'"):
        SpacyTagger()
