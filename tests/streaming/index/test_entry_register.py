"""Two versions are compared by fingerprints, with the same result as entry by entry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.entries import Entry
from streaming.index.entry_register import Changes, EntryRegister

PLAGUE = Entry("g:1", "plague", {"de": "Pest", "fr": "peste"}, ("pest",))
CALAMITY = Entry("g:2", "calamity", {})


def test_entries_are_added_removed_and_changed() -> None:
    """Each by its id; an entry that moved, or whose translations stand in another order, is the same."""
    old = EntryRegister([PLAGUE, CALAMITY])
    turned = replace(PLAGUE, translations={"fr": "peste", "de": "Pest"})
    assert old.changes_to(EntryRegister([CALAMITY, turned])) == Changes(0, 0, 0)
    new = EntryRegister([replace(PLAGUE, note="x"), Entry("g:3", "ion", {}), Entry("g:4", "ion", {})])
    assert old.changes_to(new) == Changes(added=2, removed=1, changed=1)
    assert "g:2" in old
    assert "g:2" not in new
    assert "" not in EntryRegister([])


@pytest.mark.parametrize(
    "change",
    [
        {"term": "plagues"},
        {"translations": {"de": "Seuche", "fr": "peste"}},
        {"aliases": ()},
        {"note": "n"},
        {"source_lang": "de"},
        {"domain": "medicine"},
        {"pronunciations": ("P L EY G",)},
        {"do_not_hint": True},
        {"minimum_probability": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_counts(change: dict[str, object]) -> None:
    """A change of any field is a change of the entry."""
    new = EntryRegister([replace(PLAGUE, **change)])  # type: ignore[arg-type]
    assert EntryRegister([PLAGUE]).changes_to(new) == Changes(0, 0, 1)


GLOSSARIES = st.dictionaries(st.integers(0, 9), st.sampled_from("abc")).map(
    lambda terms: [Entry(f"g:{number}", term, {}) for number, term in terms.items()]
)


@given(old=GLOSSARIES, new=GLOSSARIES)
def test_changes_are_those_of_a_comparison_one_by_one(old: list[Entry], new: list[Entry]) -> None:
    """The slow way: dictionaries of entries."""
    before, after = ({entry.entry_id: entry for entry in entries} for entries in (old, new))
    assert EntryRegister(old).changes_to(EntryRegister(new)) == Changes(
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[each] != after[each] for each in before.keys() & after.keys()),
    )


def test_layers_are_one_register_without_what_is_hidden() -> None:
    """An id counts once, as the first layer has it; an entry that is hidden below does not count."""
    mine = EntryRegister([replace(CALAMITY, note="mine"), PLAGUE])
    shared = EntryRegister([CALAMITY, Entry("s:1", "pest", {}), Entry("s:2", "ion", {})])
    layers = EntryRegister.layered([mine, shared], {"s:1"})
    whole = EntryRegister([replace(CALAMITY, note="mine"), PLAGUE, Entry("s:2", "ion", {})])
    assert layers.changes_to(whole) == whole.changes_to(layers) == Changes(0, 0, 0)
    assert "s:1" not in layers
    assert "s:2" in layers
