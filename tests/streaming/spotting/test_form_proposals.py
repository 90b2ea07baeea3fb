"""The forms nearest to any of some spans: the way round by a few axes finds what comparing all with all finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.entries import Entry, make_form
from streaming.index.layered_index import LayeredIndex
from streaming.spotting import form_proposals
from streaming.spotting.form_proposals import ComparedForms, SearchedForms, proposals_of
from streaming.spotting.span_hubs import hubness
from streaming.term_index import TermIndex

Floats = NDArray[np.float32]
DIM = 64


def _unit(vectors: NDArray[np.floating]) -> Floats:
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _vectors(rng: np.random.Generator, count: int) -> Floats:
    """As a text tower's: most of their length in few of their axes."""
    return _unit(rng.standard_normal((count, DIM)) * 0.9 ** np.arange(DIM))


def _index(vectors: Floats, version: str = "v1") -> TermIndex:
    """Terms of letters only, others in another version."""
    places = range(len(vectors))
    terms = [f"{version[0]}{''.join('abcdefghij'[int(digit)] for digit in str(i))}" for i in places]
    entries = [Entry(f"{version}-{i}", term, {}) for i, term in enumerate(terms)]
    forms = [make_form(i, term, []) for i, term in enumerate(terms)]
    return TermIndex(entries, forms, vectors, np.zeros((len(vectors), 4), np.float32), "fake", version)


def _by_comparing_all(vectors: Floats, spans: Floats, hubs: Floats, most: int) -> NDArray[np.int64]:
    """The slow way: every form with every span in all axes."""
    scores = [max(float(span @ form) for span in spans) for form in vectors] - hubness(vectors, hubs)
    return np.argsort(-scores, kind="stable")[:most]


@pytest.mark.parametrize(("count", "most"), [(1, 5), (40, 100), (500, 100), (3000, 20)])
def test_the_same_as_comparing_all(count: int, most: int) -> None:
    """Fewer forms than are asked for, few enough to compare at once, and many more."""
    rng = np.random.default_rng(count)
    vectors, hubs = _vectors(rng, count), _vectors(rng, 30)
    spans = _unit(vectors[rng.integers(0, count, 12)] + 0.1 * rng.standard_normal((12, DIM)))
    found = ComparedForms(vectors, hubs).nearest(_index(vectors), spans, most)
    assert found.dtype == np.int64
    assert found.tolist() == _by_comparing_all(vectors, spans, hubs, most).tolist()


def test_of_equally_near_forms_the_first_come_first() -> None:
    """A glossary may say a term several times."""
    vectors = np.repeat(_vectors(np.random.default_rng(1), 40), 30, axis=0)
    found = ComparedForms(vectors, vectors[:0]).nearest(_index(vectors), vectors[60:61], 10)
    assert found.tolist() == list(range(60, 70))


def test_searched_forms_are_those_near_each_span() -> None:
    """Of a glossary too large to be compared: the same where the search finds enough."""
    rng = np.random.default_rng(3)
    vectors, hubs = _vectors(rng, 400), _vectors(rng, 30)
    spans = _unit(vectors[rng.integers(0, 400, 12)] + 0.1 * rng.standard_normal((12, DIM)))
    found = SearchedForms(hubs, 400).nearest(_index(vectors), spans, 150)
    assert found.tolist() == _by_comparing_all(vectors, spans, hubs, 150).tolist()
    few = SearchedForms(hubs, 2).nearest(_index(vectors), spans, 150)
    near = {form for span in spans for form in np.argsort(-(vectors @ span))[:2].tolist()}
    assert set(few.tolist()) == near


def test_the_size_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """One form too many is searched; either gives the form that was said first."""
    vectors = _vectors(np.random.default_rng(4), 101)
    index = _index(vectors)
    for bound, kind in ((101, ComparedForms), (100, SearchedForms)):
        monkeypatch.setattr(form_proposals, "COMPARED_FORMS", bound)
        made = proposals_of(index, vectors[:0], 10)
        assert isinstance(made, kind)
        assert made.nearest(index, vectors[7:8], 5)[0] == 7


def test_layers_are_compared_as_one() -> None:
    """A form of a lower layer is found under the number that the layers give it."""
    vectors = _vectors(np.random.default_rng(5), 90)
    layers = LayeredIndex([_index(vectors[:30]), _index(vectors[30:], "w1")])
    found = proposals_of(layers, vectors[:0], 10).nearest(layers, vectors[[80, 4]], 2)
    assert sorted(found.tolist()) == [4, 80]
