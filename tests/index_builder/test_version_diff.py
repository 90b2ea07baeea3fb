"""Two versions are compared by entry id, and every field that changed is shown before and after."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from index_builder.version_diff import ChangedEntry, FieldChange, VersionDiff, diff_entries
from streaming.entries import Entry
from streaming.index.entry_register import EntryRegister

PLAGUE = Entry("g:1", "plague", {"de": "Pest", "": "x"}, ("pest",))
CALAMITY, ION = Entry("g:2", "calamity", {}), Entry("g:3", "ion", {})


def test_entries_and_fields_are_told() -> None:
    """Translations are compared language by language; what is not there is None."""
    new = replace(PLAGUE, translations={"de": "Seuche", "fr": "peste"}, do_not_hint=True)
    assert diff_entries([PLAGUE, CALAMITY], [ION, new]) == VersionDiff(
        added=(ION,),
        removed=(CALAMITY,),
        changed=(
            ChangedEntry(
                "g:1",
                "plague",
                (
                    FieldChange("translation_de", "Pest", "Seuche"),
                    FieldChange("translation", "x", None),
                    FieldChange("do_not_hint", False, True),
                    FieldChange("translation_fr", None, "peste"),
                ),
            ),
        ),
    )


GLOSSARIES = st.dictionaries(st.integers(0, 9), st.sampled_from("abc")).map(
    lambda terms: [Entry(f"g:{number}", term, {}) for number, term in terms.items()]
)


@given(old=GLOSSARIES, new=GLOSSARIES)
def test_diff_counts_what_sessions_are_told(old: list[Entry], new: list[Entry]) -> None:
    """The numbers of a `GlossaryUpdated` are those of the diff."""
    found, told = diff_entries(old, new), EntryRegister(old).changes_to(EntryRegister(new))
    assert (len(found.added), len(found.removed), len(found.changed)) == (told.added, told.removed, told.changed)
