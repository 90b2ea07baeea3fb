"""Several indexes are searched as one index of the entries that are left would be."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.entries import Entry, Form, make_form
from streaming.index.layered_index import LayeredIndex
from streaming.term_index import TermIndex

DIM = 8
WORDS = ("plague", "calamity", "leisure", "ion", "slope", "gradient", "hertz")


def _vector(text: str) -> NDArray[np.float32]:
    vector = np.random.default_rng(sum(ord(letter) * 7**n for n, letter in enumerate(text))).standard_normal(DIM)
    unit: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def _index(name: str, *entries: Sequence[str]) -> TermIndex:
    """An index of entries that are each spoken as these words, the first of which is the term."""
    forms: list[Form] = []
    for number, texts in enumerate(entries):
        forms += [make_form(number, text, [], "alias" if n else "term", text) for n, text in enumerate(texts)]
    background = np.arange(4 * len(forms), dtype=np.float32).reshape(-1, 4) + len(name)
    vectors = np.stack([_vector(form.text) for form in forms])
    owned = [
        Entry(f"{name}:{n}", texts[0], {"de": f"{name} {texts[0]}"}, tuple(texts[1:]))
        for n, texts in enumerate(entries)
    ]
    return TermIndex(owned, forms, vectors, background, "x", f"{name}-v1")


def _spoken(index: LayeredIndex) -> list[tuple[str, str]]:
    return [(index.entries[form.entry_index].entry_id, form.text) for form in index.forms]


def test_personal_entry_hides_the_shared_one_of_the_same_term() -> None:
    """With all its aliases: what the listener wrote is meant instead of it."""
    layers = LayeredIndex([_index("me", ["plague"]), _index("all", ["ion"], ["plague", "pest"], ["hertz"])])
    assert _spoken(layers) == [("me:0", "plague"), ("all:0", "ion"), ("all:2", "hertz")]
    assert layers.hidden == {"all:1"}


def test_shared_form_that_is_spoken_the_same_is_hidden_alone() -> None:
    """The alias of another entry goes to the personal one; the entry is heard by its other forms."""
    layers = LayeredIndex([_index("me", ["slope"]), _index("all", ["gradient", "slope"])])
    assert _spoken(layers) == [("me:0", "slope"), ("all:0", "gradient")]
    assert layers.hidden == frozenset()


def test_every_entry_tells_its_own_version() -> None:
    """A hint cites the version of the layer it comes from; the whole is called by all of them."""
    layers = LayeredIndex([_index("me", ["plague"]), _index("all", ["ion"]), _index("more", ["hertz"], ["slope"])])
    assert [layers.version_of(entry) for entry in range(4)] == ["me-v1", "all-v1", "more-v1", "more-v1"]
    assert (layers.version, layers.target_langs, layers.dim) == ("me-v1,all-v1,more-v1", ("de",), DIM)


def test_layers_that_do_not_go_together_are_refused() -> None:
    """No layer, or vectors of another model."""
    with pytest.raises(ValueError, match="there must be one"):
        LayeredIndex([])


GLOSSARY = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True), min_size=1, max_size=4)


@given(mine=GLOSSARY, shared=GLOSSARY, seed=st.integers(0, 99), top_k=st.integers(1, 8))
def test_layers_are_the_index_of_what_is_left(
    mine: list[list[str]], shared: list[list[str]], seed: int, top_k: int
) -> None:
    """The slow way: texts are compared one by one, and what is visible is put into one index and searched."""
    above, below = _index("me", *mine), _index("all", *shared)
    layers = LayeredIndex([above, below])
    terms, texts = {each[0] for each in mine}, {text for each in mine for text in each}
    visible = [("me", above, n) for n in range(len(above.forms))]
    for number, form in enumerate(below.forms):
        if form.text not in texts and below.entries[form.entry_index].term not in terms:
            visible.append(("all", below, number))
    assert _spoken(layers) == [
        (index.entries[index.forms[n].entry_index].entry_id, index.forms[n].text) for _, index, n in visible
    ]
    for at, (_, index, number) in enumerate(visible):
        assert (layers.background[at] == index.background[number]).all()
    vectors = np.stack([index.vectors_of([number])[0] for _, index, number in visible])
    assert (layers.vectors_of(range(len(visible))) == vectors).all()
    mixed = np.random.default_rng(seed).integers(0, len(visible), 9)
    assert (layers.vectors_of(mixed) == vectors[mixed]).all()
    query = np.random.default_rng(seed).standard_normal((3, DIM)).astype(np.float32)
    ids, cosines = layers.search(query, top_k)
    expected = np.sort(query @ vectors.T, axis=1)[:, ::-1][:, :top_k]
    k = min(ids.shape[1], expected.shape[1], top_k)
    real = cosines[:, :k] > -1
    assert np.allclose(np.take_along_axis(query @ vectors.T, ids[:, :k], axis=1)[real], cosines[:, :k][real], atol=1e-5)
    if ids.shape[1] >= len(visible) or real.all():
        assert np.allclose(cosines[:, :k][real], expected[:, :k][real], atol=1e-5)
