"""An entry keeps its id from version to version, however the rows around it change."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import Glossary, assemble
from index_builder.stable_ids import keep_ids
from streaming.entries import Entry


def _glossary(text: str) -> Glossary:
    return assemble("acl", [parse_glossary(GlossaryFile(Path("g.csv"), text.encode()), Languages())])


def _entries(glossary: Glossary) -> list[Entry]:
    return [each.entry for each in glossary.entries]


def _ids(glossary: Glossary) -> dict[str, str]:
    return {entry.term: entry.entry_id for entry in _entries(glossary)}


def test_inserted_row_moves_no_id() -> None:
    """What was there keeps its id; what is new gets one that nobody had."""
    old = _glossary("plague\ncalamity\nleisure\n")
    new = keep_ids(_glossary("ion\nplague\nleisure\ngradient\n"), _entries(old))
    assert _ids(new) == {
        "ion": "acl:000004",
        "plague": "acl:000001",
        "leisure": "acl:000003",
        "gradient": "acl:000005",
    }


def test_ids_of_the_author_stay() -> None:
    """An id in the file is never changed, and no made one takes its place."""
    old = _glossary("plague\ncalamity\n")
    new = keep_ids(_glossary("id,term\nacl-7,calamity\n,plague\n,ion\n"), _entries(old))
    assert _ids(new) == {"calamity": "acl-7", "plague": "acl:000001", "ion": "acl:000003"}


def test_first_version_is_as_it_was_read() -> None:
    """Without a published version nothing changes."""
    glossary = _glossary("plague\n")
    assert keep_ids(glossary, []) is glossary


def test_warnings_follow_their_entries() -> None:
    """A warning names the id that its entry has, in its text too."""
    old = _glossary("plague\n")
    new = keep_ids(_glossary("id,term\na/b,calamity\n,ab\n,plague\n"), _entries(old))
    ids = _ids(new)
    assert {(w.entry, w.kind) for w in new.warnings} == {(ids["calamity"], "id"), (ids["ab"], "short")}
    assert any(w.message.endswith(f"{ids['calamity']} is used instead") for w in new.warnings)


WORDS = st.lists(
    st.sampled_from(["plague", "calamity", "leisure", "ion", "gradient", "slope"]), min_size=1, unique=True
)


@given(versions=st.lists(WORDS, min_size=2, max_size=5))
def test_ids_are_unique_and_kept_from_each_version_to_the_next(versions: list[list[str]]) -> None:
    """Whatever is inserted, removed or moved, a term that stays keeps its id, and no two have the same."""
    before = _glossary("\n".join(versions[0]) + "\n")
    for words in versions[1:]:
        after = keep_ids(_glossary("\n".join(words) + "\n"), _entries(before))
        old, new = _ids(before), _ids(after)
        assert len(set(new.values())) == len(new) == len(words)
        assert all(new[term] == old[term] for term in new.keys() & old.keys())
        assert not {new[term] for term in new.keys() - old.keys()} & set(old.values())
        before = after
