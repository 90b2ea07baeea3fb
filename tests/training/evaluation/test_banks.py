import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.evaluation import banks
from training.evaluation.banks import BankConfig, PlainTerms, TextField, choose_terms, embed_bank

GLOSSARY = [f"glossary term {i}" for i in range(20)]
DISTRACTORS = [f"stranger {i}" for i in range(50)]


class Aliases(PlainTerms):
    """A glossary in which "nets" is an alias of "networks"; a description is read for a term where asked for."""

    def group_of(self, form: str, /) -> int:
        """One group for both."""
        return super().group_of("networks" if form == "nets" else form)

    def text_of(self, term: str, text_field: TextField, /) -> str:
        """The term, or words about it."""
        return term if text_field == "term" else f"about {term}"


def letters(texts: object) -> NDArray[np.float32]:
    """A vector per text that tells texts apart."""
    assert isinstance(texts, list)
    return np.array([[len(text), sum(map(ord, text))] for text in texts], np.float32)


def test_banks_are_nested_and_hold_what_is_spoken() -> None:
    """Every size is the beginning of the next; spoken terms come first, then the glossary, then distractors."""
    config = BankConfig(sizes=(5, 40), seed=3)
    chosen = choose_terms(["a b", "A-B", "c"], GLOSSARY, DISTRACTORS, PlainTerms(), config)
    assert chosen.sizes == (5, 22, 40)
    assert chosen.glossary_size == 22
    assert [variants[0] for variants in chosen.texts[:2]] == ["a b", "c"]
    assert chosen.texts[0] == ("a b", "A-B")
    assert {variants[0] for variants in chosen.texts[2:22]} == set(GLOSSARY)
    assert {variants[0] for variants in chosen.texts[22:]} < set(DISTRACTORS)
    again = choose_terms(["a b", "A-B", "c"], GLOSSARY, DISTRACTORS, PlainTerms(), config)
    assert again == chosen
    other = choose_terms(["a b", "A-B", "c"], GLOSSARY, DISTRACTORS, PlainTerms(), BankConfig((5, 40), seed=4))
    assert other.texts != chosen.texts


def test_an_alias_joins_its_entry_and_never_distracts() -> None:
    """Variants share an entry; a distractor of the same group is left out, not counted as wrong."""
    chosen = choose_terms(["networks"], ["nets", "ion"], ["Nets", "networks", "ions"], Aliases(), BankConfig((3,)))
    assert chosen.texts == (("networks", "nets"), ("ion",), ("ions",))
    assert chosen.variants == 4


def test_the_text_field_is_read() -> None:
    """The bank reads what the text tower was trained on."""
    chosen = choose_terms(["ion"], [], [], Aliases(), BankConfig(text_field="short_description"))
    assert chosen.texts == (("about ion",),)


@pytest.mark.parametrize(
    ("sizes", "message"), [((1,), r"1 terms cannot hold the 2"), ((90,), r"90 terms is asked for and there are 72")]
)
def test_impossible_sizes_are_refused(sizes: tuple[int, ...], message: str) -> None:
    """Too small for what is spoken, or larger than all terms: the message gives both numbers."""
    with pytest.raises(SettingError, match=message):
        choose_terms(["a", "b"], GLOSSARY, DISTRACTORS, PlainTerms(), BankConfig(sizes))
    with pytest.raises(SettingError, match="above 0"):
        BankConfig(sizes=(0,))


@pytest.mark.parametrize("mapped_bytes", [1 << 29, 0], ids=["memory", "file"])
def test_every_text_has_its_own_vector(monkeypatch: pytest.MonkeyPatch, mapped_bytes: int) -> None:
    """Batches are sorted by length, vectors come back in their places, in memory or mapped."""
    monkeypatch.setattr(banks, "_MAPPED_BYTES", mapped_bytes)
    monkeypatch.setattr(banks, "_BATCH", 7)
    chosen = choose_terms(["nets", "networks", "c"], GLOSSARY, DISTRACTORS, Aliases(), BankConfig((60,)))
    told: list[tuple[int, int]] = []
    bank = embed_bank(chosen, letters, 2, lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(bank.vectors, letters([t for variants in chosen.texts for t in variants]))
    assert isinstance(bank.vectors, np.memmap) is (mapped_bytes == 0)
    assert (bank.ends - bank.starts).tolist() == [len(variants) for variants in chosen.texts]
    assert told[-1] == (chosen.variants, chosen.variants)
