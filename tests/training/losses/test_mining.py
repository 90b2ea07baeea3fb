from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.glossary import TrainingGlossary, TrainingTerm
from training.losses import mining
from training.losses.mining import Floats, HardNegatives, Kin, TermBank, embed_texts, kin_of, mine
from training.losses.testing import ToyRetriever

GLOSSARY = TrainingGlossary(
    [
        TrainingTerm("neural network", translations={"de": "Netz", "fr": "réseau neuronal"}),
        TrainingTerm("net", translations={"de": "Netz", "fr": "filet"}),
        TrainingTerm("Kalman filter", aliases=("Kalman-Bucy filter",)),
        TrainingTerm("particle filter"),
        TrainingTerm("particle filters"),
        TrainingTerm("filter bank"),
        TrainingTerm("plague"),
    ]
)
TERMS = [term.term for term in GLOSSARY.terms]


def unit(values: Floats) -> Floats:
    """Vectors of length 1."""
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def slow_mine(
    bank: Sequence[Kin], vectors: Floats, queries: Floats, owners: Sequence[int], kin: Sequence[Kin], count: int
) -> list[list[int]]:
    """With plain loops: every term that shares no name with the row, by its best score."""
    out = []
    for row, names in enumerate(kin):
        mine_only = [q for q, owner in zip(queries, owners, strict=True) if owner == row]
        free = [i for i, known in enumerate(bank) if not known & names] if mine_only else []
        out.append(sorted(free, key=lambda i: -max(float(q @ vectors[i]) for q in mine_only))[:count])
    return out


@pytest.mark.parametrize("at_once", [1, 5, 4096])
@given(seed=st.integers(0, 10_000), size=st.integers(1, 30), rows=st.integers(1, 6), count=st.integers(1, 12))
def test_mining_equals_loops(at_once: int, seed: int, size: int, rows: int, count: int) -> None:
    """FAISS finds what comparing everything with everything finds, in the same order, however it is cut."""
    rng = np.random.default_rng(seed)
    bank_kin = [frozenset(rng.integers(0, 12, 2).tolist()) for _ in range(size)]
    kin = [frozenset(rng.integers(0, 12, rng.integers(0, 4)).tolist()) for _ in range(rows)]
    owners = np.sort(rng.integers(0, rows, 8))
    vectors, queries = (unit(rng.standard_normal((n, 6)).astype(np.float32)) for n in (size, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining, "_QUERIES_AT_ONCE", at_once)
        bank = TermBank([f"t{i}" for i in range(size)], bank_kin)
        mined = mine(bank, vectors, queries, owners, kin, count)
    found = [[i for i in row if i >= 0] for row in mined.numbers.tolist()]
    assert found == slow_mine(bank_kin, vectors, queries, owners.tolist(), kin, count)
    for row, (numbers, scores) in enumerate(zip(mined.numbers, mined.scores, strict=True)):
        for number, score in zip(numbers, scores, strict=True):
            if number >= 0:
                assert score == pytest.approx((queries[owners == row] @ vectors[number]).max(), abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "are_kin"),
    [
        ("Neural Network", "neural-networks", True),
        ("neural network", "net", True),
        ("neural networks", "net", True),
        ("kalman-bucy filter", "Kalman filters", True),
        ("particle filter's", "particle filters", True),
        ("réseau neuronal", "neural network", True),
        ("particle filter", "Kalman filter", False),
        ("unheard-of", "plague", False),
    ],
)
def test_kin(one: str, other: str, are_kin: bool) -> None:
    """Variants, aliases, translations and terms that share a translation are kin; what shares a word is not."""
    assert bool(kin_of(one, GLOSSARY) & kin_of(other, GLOSSARY)) == are_kin


def test_bank_holds_each_normal_form_once() -> None:
    """The first way of writing a term stands for it."""
    assert TermBank.of(["Plague", "plague", "net"], GLOSSARY).terms == ("Plague", "net")


def test_texts_are_embedded_in_order() -> None:
    """Batches of like length give what one call for each text gives."""
    tower = ToyRetriever().text
    texts = ["plague", "a", "kalman filter", "net", "b"]
    found = embed_texts(tower, texts, torch.device("cpu"), batch=2)
    # The toy's mean counts what fills a text up, so only texts of one length may be compared.
    slow = torch.cat([tower(tower.tokenise(some)) for some in (["a", "b"],)]).detach().numpy()
    np.testing.assert_allclose(found[[1, 4]], slow, atol=1e-6)
    assert found.shape == (5, tower.dim)


@pytest.fixture
def negatives() -> HardNegatives:
    """Of two terms that are used, against the whole glossary."""
    used = ["Kalman Filter", "neural networks"]
    return HardNegatives(used, TermBank.of(TERMS, GLOSSARY), GLOSSARY, lambda term: term.casefold(), 4)


def test_drawn_negatives_are_never_kin(negatives: HardNegatives) -> None:
    """After mining, whatever is drawn is no other name of the terms of its batch."""
    model = ToyRetriever()
    negatives.renew(model)
    for seed in range(5):
        drawn = negatives.draw(["kalman filter"], 3, np.random.default_rng(seed))
        assert len(set(drawn)) == 3
        assert not {"Kalman filter"} & set(drawn)
        drawn = negatives.draw(["neural network", "neural networks"], 10, np.random.default_rng(seed))
        assert drawn
        assert not {"neural network", "net"} & set(drawn)


def test_each_term_of_a_batch_has_its_turn(negatives: HardNegatives) -> None:
    """Few negatives are shared out among the terms of a batch, and the same generator draws the same."""
    negatives.renew(ToyRetriever())
    batch = ["kalman filter", "neural networks", "never seen"]
    drawn = negatives.draw(batch, 2, np.random.default_rng(3))
    assert drawn == negatives.draw(batch, 2, np.random.default_rng(3))
    assert len(drawn) == 2


def test_before_mining_nothing_is_drawn(negatives: HardNegatives) -> None:
    """A run that has not mined yet trains without mined negatives; so does a batch without a known term."""
    assert negatives.draw(["kalman filter"], 5, np.random.default_rng(0)) == []
    negatives.renew(ToyRetriever())
    assert negatives.draw([], 5, np.random.default_rng(0)) == []


def test_resumed_negatives_are_the_same(negatives: HardNegatives) -> None:
    """The state is tensors, and brings back what was mined without a model."""
    negatives.renew(ToyRetriever())
    state = negatives.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    other = HardNegatives(
        ["Kalman Filter", "neural networks"], TermBank.of(TERMS, GLOSSARY), GLOSSARY, lambda term: term, 4
    )
    other.load_state_dict(state)
    for instance in (negatives, other):
        assert instance.draw(["kalman filter"], 2, np.random.default_rng(1)) == negatives.draw(
            ["kalman filter"], 2, np.random.default_rng(1)
        )
