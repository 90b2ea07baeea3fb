"""The cache of forms gives back what was kept, to the same encoder only, whatever happened to its file."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder import vector_cache
from index_builder.vector_cache import MAX_FILES, FormCache, form_cache, key_of
from streaming.errors import IndexFolderError


def _found(cache: FormCache, kind: str, *names: str) -> dict[int, bytes]:
    blocks = cache.find(kind, [key_of(name) for name in names])
    return {place: value for found in blocks for place, value in found.values()}


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    """By kind and key, with its position among those asked for; also by the next process."""
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of("a"), b"1"), (key_of("b"), b"2")])
        cache.keep("words", [(key_of("a"), b"3")])
        cache.keep("vector", [(key_of("b"), b"4")])
        assert _found(cache, "vector", "c", "b", "a", "b") == {1: b"4", 2: b"1", 3: b"4"}
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "words", "a", "b") == {0: b"3"}


@pytest.mark.parametrize("rows_of_block", [1, 7, 512])
def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_of_block: int) -> None:
    """One value for each place where a key that is known was asked for."""
    monkeypatch.setattr(vector_cache, "_ROWS_OF_BLOCK", rows_of_block)
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "vector", "1") == {}
        cache.keep("vector", [(key_of(str(n)), bytes([n]) * (n % 3)) for n in range(100)])
        cache.keep("words", [(key_of(str(n)), b"other") for n in range(100)])
        assert _found(cache, "vector", "7", "x", "7", "99", "98") == {0: b"\7", 2: b"\7", 3: b"", 4: b"bb"}
        assert _found(cache, "said", "7") == {}
        assert _found(cache, "vector") == {}


def test_other_encoders_see_nothing_of_it(tmp_path: Path) -> None:
    """Each encoder has a file of its own."""
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of("a"), b"1")])
    with form_cache(tmp_path, "two") as cache:
        assert _found(cache, "vector", "a") == {}


def test_files_of_old_encoders_are_removed(tmp_path: Path) -> None:
    """The folder holds the databases of the last few models."""
    for number in range(MAX_FILES + 3):
        with form_cache(tmp_path, str(number)):
            pass
    assert len(list(tmp_path.iterdir())) == MAX_FILES


def test_oldest_rows_give_way(tmp_path: Path) -> None:
    """The file stays near its bound, and what was kept last is there."""
    with form_cache(tmp_path, "one", max_bytes=200_000) as cache:
        for first in range(0, 3_000, 100):
            cache.keep("vector", [(key_of(str(n)), b"x" * 300) for n in range(first, first + 100)])
        assert _found(cache, "vector", "2999") == {0: b"x" * 300}
        assert _found(cache, "vector", "0") == {}
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 300_000


def test_each_batch_is_kept_though_the_build_stops(tmp_path: Path) -> None:
    """What was kept before an interruption is there for the next build."""

    def stopped() -> None:
        with form_cache(tmp_path, "one") as cache:
            cache.keep("vector", [(key_of("a"), b"1")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "vector", "a") == {0: b"1"}


def test_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    """A damaged cache costs time, not an index."""
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of("a"), b"1")])
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"nonsense" * 1000)
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "vector", "a") == {}
        cache.keep("vector", [(key_of("a"), b"2")])
        assert _found(cache, "vector", "a") == {0: b"2"}


def test_two_builds_share_the_file(tmp_path: Path) -> None:
    """What one keeps, the other finds, while both have it open."""
    with form_cache(tmp_path, "one") as one, form_cache(tmp_path, "one") as other:
        one.keep("vector", [(key_of("a"), b"1")])
        other.keep("vector", [(key_of("b"), b"2")])
        assert _found(one, "vector", "a", "b") == _found(other, "vector", "a", "b") == {0: b"1", 1: b"2"}


def test_unusable_cache_is_told(tmp_path: Path) -> None:
    """A folder that cannot be made, and a table that another program made: one sentence with the cure."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(IndexFolderError, match=r"cannot be used.*remove the file"),
        form_cache(tmp_path / "file", "one"),
    ):
        pass
    with form_cache(tmp_path / "c", "one") as cache:
        (path,) = (tmp_path / "c").iterdir()
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE blocks")
        connection.close()
        with pytest.raises(IndexFolderError, match="no such table"):
            cache.keep("vector", [(b"", b"")])


_PARTS = st.tuples(st.text(st.characters(codec="utf-8")), st.lists(st.binary(max_size=3), max_size=3))


@given(_PARTS, _PARTS)
def test_keys_tell_parts_and_their_bounds(one: tuple[str, list[bytes]], other: tuple[str, list[bytes]]) -> None:
    """Two lists of parts have the same key only if they are the same."""
    assert (key_of(one[0], *one[1]) == key_of(other[0], *other[1])) == (one == other)


def _file(folder: Path) -> Path:
    [path] = folder.glob("*.sqlite")
    return path


@pytest.mark.parametrize("change", ["x2345678", "1", ""])
@pytest.mark.parametrize("column", ["keys", "sizes", "content"])
def test_a_damaged_block_counts_as_not_known(tmp_path: Path, column: str, change: str) -> None:
    """Of the same length, cut or empty: what is not what was kept is computed again, and other blocks are of use."""
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of(name), b"12345678") for name in "ab"])
        cache.keep("vector", [(key_of("c"), b"12345678")])
    with sqlite3.connect(_file(tmp_path)) as connection:
        connection.execute(f"UPDATE blocks SET {column} = ? WHERE number = 1", (change.encode(),))
    connection.close()
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "vector", *"abc") == {2: b"12345678"}
        cache.keep("vector", [(key_of("a"), b"again")])
        assert _found(cache, "vector", *"abc") == {0: b"again", 2: b"12345678"}


def test_a_file_damaged_in_its_midst_is_begun_anew(tmp_path: Path) -> None:
    """Its first page tells nothing of the others: a cache never stops a build."""
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of(str(number)), bytes(200)) for number in range(500)])
    content = _file(tmp_path).read_bytes()
    _file(tmp_path).write_bytes(content[:4096] + b"\x5a" * (len(content) - 4096))
    with form_cache(tmp_path, "one") as cache:
        assert _found(cache, "vector", "1", "2") == {}
        cache.keep("vector", [(key_of("1"), b"1")])
        assert _found(cache, "vector", "1", "2") == {0: b"1"}


def test_a_table_of_another_make_is_begun_anew(tmp_path: Path) -> None:
    """A file that holds other columns under the same name is none of ours."""
    with form_cache(tmp_path, "one"):
        pass
    with sqlite3.connect(_file(tmp_path)) as connection:
        connection.execute("DROP TABLE blocks")
        connection.execute("CREATE TABLE blocks (something TEXT)")
    connection.close()
    with form_cache(tmp_path, "one") as cache:
        cache.keep("vector", [(key_of("a"), b"1")])
        assert _found(cache, "vector", "a") == {0: b"1"}
