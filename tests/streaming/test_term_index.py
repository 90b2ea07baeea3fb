"""The index finds what brute force finds, survives the disk, and refuses a folder that is not what it says."""

import json
import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.entries import arpabet, make_form, parse_entries, render_lines
from streaming.errors import IndexFolderError
from streaming.index.index_folder import GlossarySource, IndexFacts, write_index_folder
from streaming.symbols import PHONEMES
from streaming.term_index import Entry, Form, Neighbour, TermIndex

DIM = 12


def _unit(seed: int, n: int, dim: int = DIM) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((n, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _parts(n: int = 5) -> tuple[list[Entry], list[Form]]:
    entries = [
        Entry(f"id{i}", f"term {i}", {"de": f"Begriff {i}", "": "x\u2028y"}, ("alias",), "note") for i in range(n)
    ]
    words = ["kalman filter", "s g d", "andrew's", "plague", "ion"]
    forms = [make_form(i, words[i % 5], [[("K", "AE1"), ("T",)], [("D",)]] if i % 2 else []) for i in range(n)]
    return entries, forms


def _index(n: int = 5, **changes: object) -> TermIndex:
    entries, forms = _parts(n)
    arguments: dict[str, Any] = {
        "entries": entries,
        "forms": forms,
        "vectors": _unit(0, n),
        "background": np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        "encoder_id": "encoder-a",
        "version": "v1",
        "sources": [GlossarySource("terms.csv", "0" * 64, 3)],
    }
    return TermIndex(**(arguments | changes))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 80), st.integers(0, 10_000))
def test_search_agrees_with_brute_force(n: int, m: int, top_k: int, seed: int) -> None:
    """FAISS gives the same neighbours and cosines as a sorted matrix product."""
    index = _index(n, vectors=(vectors := _unit(seed, n)))
    queries = _unit(seed + 1, m)
    found, similarities = index.search(queries, top_k)
    exact = queries.astype(np.float64) @ vectors.astype(np.float64).T
    k = min(n, top_k)
    assert found.shape == similarities.shape == (m, k)
    assert found.dtype == np.int64
    assert similarities.dtype == np.float32
    np.testing.assert_allclose(similarities, -np.sort(-exact, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, found, axis=1), similarities, atol=1e-5)
    assert all(len(set(row)) == k for row in found.tolist())


def test_neighbours_are_one_row_of_search() -> None:
    """A form's own vector is its nearest neighbour, with cosine 1."""
    index = _index()
    first = index.neighbours(index.vectors[3], 2)[0]
    assert isinstance(first, Neighbour)
    assert first.form_index == 3
    assert first.similarity == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("queries", [np.zeros((2, DIM + 1), np.float32), np.zeros(DIM, np.float32)])
def test_queries_of_another_shape_are_refused(queries: NDArray[np.float32]) -> None:
    """Queries must be rows of the index's dimension."""
    with pytest.raises(ValueError, match="do not fit"):
        _index().search(queries, 1)


def test_top_k_below_one_is_refused() -> None:
    """Asking for no neighbour is a mistake."""
    with pytest.raises(ValueError, match="top_k is 0"):
        _index().search(_unit(1, 1), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": _unit(0, 4)}, "do not go with 5 forms"),
        ({"vectors": 2 * _unit(0, 5)}, "norm 2"),
        ({"vectors": np.full((5, DIM), np.nan, np.float32)}, "norm nan"),
        ({"background": np.zeros((5, 3), np.float32)}, r"float32\[5, 3\]"),
        ({"background": np.zeros((5, 4), np.float64)}, "float64"),
        ({"background": np.full((5, 4), np.inf, np.float32)}, "not finite"),
        ({"entries": _parts(6)[0]}, "do not cover"),
        ({"forms": _parts(5)[1][::-1]}, "not grouped"),
        ({"entries": [], "forms": [], "vectors": _unit(0, 0), "background": np.zeros((0, 4), np.float32)}, "0 entries"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    """Counts, norms and statistics are checked when an index is made."""
    with pytest.raises(ValueError, match=message):
        _index(**changes)


def test_saved_index_comes_back(tmp_path: Path) -> None:
    """Entries, forms, vectors, statistics and origin survive the disk bit for bit."""
    index = _index()
    index.save(tmp_path / "v", b"{}")
    back = TermIndex.load(tmp_path / "v", "encoder-a")
    assert back.entries == index.entries
    assert (back.version, back.encoder_id, back.dim, back.sources) == ("v1", "encoder-a", DIM, index.sources)
    np.testing.assert_array_equal(back.vectors, index.vectors)
    np.testing.assert_array_equal(back.background, index.background)
    for left, right in zip(back.forms, index.forms, strict=True):
        assert (left.entry_index, left.text) == (right.entry_index, right.text)
        np.testing.assert_array_equal(left.characters, right.characters)
        assert [p.tolist() for p in left.pronunciations] == [p.tolist() for p in right.pronunciations]
    assert (tmp_path / "v" / "report.json").read_bytes() == b"{}"


def test_same_index_gives_the_same_bytes(tmp_path: Path) -> None:
    """Saving is deterministic, so hashes can be compared."""
    for name in ("a", "b"):
        _index().save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_save_never_changes_an_index(tmp_path: Path) -> None:
    """A folder that exists is not written into."""
    _index().save(tmp_path / "v")
    before = (tmp_path / "v" / "manifest.json").read_bytes()
    with pytest.raises(IndexFolderError, match="choose another folder"):
        _index(version="v2").save(tmp_path / "v")
    assert (tmp_path / "v" / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_changed_byte_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever byte of whatever file is changed, loading says so and names the cure."""
    folder = tmp_path / "v"
    if not folder.exists():
        _index().save(folder, b'{"rows": 5}')
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = path.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    change = data.draw(st.integers(1, 255))
    path.write_bytes(content[:position] + bytes([content[position] ^ change]) + content[position + 1 :])
    try:
        with pytest.raises(IndexFolderError, match="termcue reindex"):
            TermIndex.load(folder, "encoder-a")
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["index.faiss", "entries.jsonl", "offsets.npy", "background.npy", "manifest.json"])
def test_missing_or_cut_file_is_named(tmp_path: Path, name: str) -> None:
    """A file that is gone or shorter is named in the message."""
    _index().save(tmp_path / "v")
    path = tmp_path / "v" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(IndexFolderError, match=name):
        TermIndex.load(tmp_path / "v", "encoder-a")
    path.unlink()
    with pytest.raises(IndexFolderError, match=name):
        TermIndex.load(tmp_path / "v", "encoder-a")


def test_index_of_another_encoder_is_refused(tmp_path: Path) -> None:
    """The message names both encoders."""
    _index().save(tmp_path / "v")
    with pytest.raises(IndexFolderError, match="'encoder-a', but the model is 'encoder-b'"):
        TermIndex.load(tmp_path / "v", "encoder-b")


def test_missing_folder_is_told(tmp_path: Path) -> None:
    """A path without an index gives one sentence with the cure."""
    with pytest.raises(IndexFolderError, match="there is no index"):
        TermIndex.load(tmp_path / "nothing", "encoder-a")


@pytest.mark.parametrize("manifest", [b"", b"[]", b"nonsense", b"{}", b"\xff", b"[" * 100_000])
def test_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    """Anything that is no manifest is damage, not a traceback."""
    _index().save(tmp_path / "v")
    (tmp_path / "v" / "manifest.json").write_bytes(manifest)
    with pytest.raises(IndexFolderError, match=r"manifest\.json is not a manifest"):
        TermIndex.load(tmp_path / "v", "encoder-a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "schema version 1, this program reads 2"),
        ({"dim": None}, "lacks a field or has a wrong one"),
        ({"entries": 6}, "its own checksum"),
    ],
)
def test_changed_manifest_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Another schema is told as such; any other edit breaks the manifest's checksum."""
    _index().save(tmp_path / "v")
    path = tmp_path / "v" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change, indent=1) + "\n")
    with pytest.raises(IndexFolderError, match=message):
        TermIndex.load(tmp_path / "v", "encoder-a")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("index.faiss", b"not faiss", "damaged"),
        ("index.faiss", faiss.serialize_index(faiss.IndexFlatL2(DIM)).tobytes(), "not an IndexFlatIP"),
        ("index.faiss", faiss.serialize_index(faiss.IndexFlatIP(DIM + 1)).tobytes(), "the manifest says"),
        ("background.npy", b"\x93NUMPY", "damaged"),
        ("entries.jsonl", b'{"entry_id": "x"}\n', "damaged"),
        ("entries.jsonl", b"", "damaged"),
    ],
)
def test_content_that_lies_is_refused(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    """Also a folder whose hashes fit is refused when its files do not hold what the manifest says."""
    _index().save(tmp_path / "v")
    files = _files(tmp_path / "v") | {file: content}
    write_index_folder(tmp_path / "w", IndexFacts("v1", "encoder-a", DIM, 5, 5, ()), files)
    with pytest.raises(IndexFolderError, match=message):
        TermIndex.load(tmp_path / "w", "encoder-a")


def test_pickled_background_is_refused(tmp_path: Path) -> None:
    """An array of objects, which would run code when read, is never read."""
    _index().save(tmp_path / "v")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    files = _files(tmp_path / "v") | {"background.npy": (tmp_path / "objects.npy").read_bytes()}
    write_index_folder(tmp_path / "w", IndexFacts("v1", "encoder-a", DIM, 5, 5, ()), files)
    with pytest.raises(IndexFolderError, match="damaged"):
        TermIndex.load(tmp_path / "w", "encoder-a")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    """A manifest cannot make the loader read a file outside the folder."""
    _index().save(tmp_path / "v")
    facts = IndexFacts("v1", "encoder-a", DIM, 5, 5, ())
    write_index_folder(tmp_path / "w", facts, _files(tmp_path / "v") | {"other": b""})
    with pytest.raises(IndexFolderError, match="lists the files"):
        TermIndex.load(tmp_path / "w", "encoder-a")


def test_moved_folder_still_loads(tmp_path: Path) -> None:
    """Nothing in the folder depends on where it lies."""
    _index().save(tmp_path / "v")
    shutil.move(tmp_path / "v", tmp_path / "elsewhere")
    assert len(TermIndex.load(tmp_path / "elsewhere", "encoder-a").entries) == 5


_WORDS = st.lists(st.text("abcxyz'", min_size=1, max_size=6), min_size=1, max_size=4)
_SAID = st.lists(st.lists(st.sampled_from(PHONEMES[2:]), min_size=1, max_size=4), min_size=1, max_size=4)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    st.lists(
        st.tuples(_TEXT, _TEXT, st.dictionaries(_TEXT, _TEXT, max_size=3), _WORDS, st.lists(_SAID, max_size=3)),
        min_size=1,
        max_size=5,
    )
)
def test_entry_lines_round_trip(rows: list[tuple[str, str, dict[str, str], list[str], list[list[list[str]]]]]) -> None:
    """Any text in any script, and any pronunciation, comes back from `entries.jsonl`."""
    entries = [Entry(entry_id, term, translations) for entry_id, term, translations, _, _ in rows]
    forms = [make_form(i, " ".join(words), said) for i, (_, _, _, words, said) in enumerate(rows)]
    back, back_forms = parse_entries(b"".join(render_lines(entries, forms)[0]))
    assert list(back) == entries
    for left, right in zip(back_forms, forms, strict=True):
        assert left.text == right.text
        assert [arpabet(p) for p in left.pronunciations] == [arpabet(p) for p in right.pronunciations]
