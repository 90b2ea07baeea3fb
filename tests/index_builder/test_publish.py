"""Published versions are whole, confined and pointed to by CURRENT; bare files are built once."""

import json
import logging
import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from index_builder.build import build_index
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.publish import (
    MAX_CACHED,
    CachedIndex,
    cached_index,
    check_canaries,
    check_id,
    content_key,
    current,
    load_version,
    publish,
    published,
    version_name,
)
from index_builder.report import IndexReport
from index_builder.testing import HashEncoder, LetterPronouncer, flat_background
from streaming.errors import GlossaryError, IndexFolderError, SettingError
from streaming.term_index import TermIndex

NOW = datetime(2026, 10, 14, 9, 12, 3, tzinfo=UTC)


def _build(file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
    glossary = assemble("acl", [parse_glossary(file, Languages())])
    index = build_index(
        glossary, HashEncoder(), LetterPronouncer(), flat_background, version=version, sources=[file.source]
    )
    return index, IndexReport.of(glossary, index, 0.0)


def _publish(data_dir: Path, text: str = "plague\n", now: datetime = NOW) -> Path:
    file = GlossaryFile(Path("terms.csv"), text.encode())
    return publish(data_dir, "acl", *_build(file, version_name(now, content_key([file], "hash-encoder"))))


def test_published_version_is_current(tmp_path: Path) -> None:
    """The folder is named by time and content, CURRENT names it, and the report lies in it."""
    folder = _publish(tmp_path)
    assert folder.name.startswith("20261014T091203Z-")
    assert current(tmp_path, "acl") == folder
    assert (tmp_path / "glossaries" / "acl" / "CURRENT").read_text() == f"{folder.name}\n"
    assert json.loads((folder / "report.json").read_text())["entries"] == 1
    assert TermIndex.load(folder, "hash-encoder").entries[0].term == "plague"
    assert published(tmp_path) == ["acl"]


def test_new_version_leaves_the_old_one(tmp_path: Path) -> None:
    """Publishing adds a version and moves the pointer."""
    old = _publish(tmp_path)
    new = _publish(tmp_path, "calamity\n", NOW.replace(hour=10))
    assert current(tmp_path, "acl") == new
    assert TermIndex.load(old, "hash-encoder").entries[0].term == "plague"


def test_same_content_in_the_same_second_is_the_same_version(tmp_path: Path) -> None:
    """Publishing twice is no error."""
    assert _publish(tmp_path) == _publish(tmp_path)


def test_damaged_version_does_not_become_current(tmp_path: Path) -> None:
    """What was written must answer before CURRENT moves."""
    old = _publish(tmp_path)
    new = _publish(tmp_path, "calamity\n")
    (tmp_path / "glossaries" / "acl" / "CURRENT").write_text(f"{old.name}\n")
    (new / "index.faiss").write_bytes(b"")
    with pytest.raises(IndexFolderError, match=r"index\.faiss has 0 bytes"):
        _publish(tmp_path, "calamity\n")
    assert current(tmp_path, "acl") == old


def test_version_under_another_name_is_refused(tmp_path: Path) -> None:
    """A version's folder in the place of another is damage, with the cure."""
    old = _publish(tmp_path)
    assert load_version(old, "hash-encoder").version == old.name
    other = old.with_name("20271014T091203Z-0123456789ab")
    old.rename(other)
    with pytest.raises(IndexFolderError, match=f"is damaged: it holds the version '{old.name}'; build it again"):
        load_version(other, "hash-encoder")


def test_folder_that_no_id_can_name_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One badly named folder is told and does not hide the others."""
    _publish(tmp_path)
    (tmp_path / "glossaries" / "My Terms").mkdir()
    (tmp_path / "glossaries" / "My Terms" / "CURRENT").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert published(tmp_path) == ["acl"]
    assert "My Terms is left out: the glossary id 'My Terms' cannot be used" in caplog.text


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A staging folder of a dead process goes at the next publishing."""
    left = _publish(tmp_path).with_name(".staging-20261014T091203Z-0-1")
    left.mkdir()
    _publish(tmp_path, "calamity\n")
    assert not left.exists()


@pytest.mark.parametrize(
    "glossary_id", ["", "..", "a/b", "../x", "A", "a..b", ".hidden", "-x", "a\n", "ä", "x" * 101, "a b", "/etc"]
)
def test_ids_are_confined(tmp_path: Path, glossary_id: str) -> None:
    """An id that could leave its folder, or surprise a shell, is refused everywhere."""
    for attempt in (check_id, lambda i: current(tmp_path, i), lambda i: publish(tmp_path, i, *_build(_file(), "v"))):
        with pytest.raises(SettingError, match="glossary id"):
            attempt(glossary_id)
    assert list(tmp_path.iterdir()) == []


def _file(text: str = "plague\n") -> GlossaryFile:
    return GlossaryFile(Path("terms.csv"), text.encode())


def test_versions_are_confined(tmp_path: Path) -> None:
    """A version name that is none is refused, from the caller and from CURRENT."""
    with pytest.raises(SettingError, match="not a version name"):
        publish(tmp_path, "acl", *_build(_file(), "../../x"))
    _publish(tmp_path)
    (tmp_path / "glossaries" / "acl" / "CURRENT").write_text("../../../etc")
    with pytest.raises(IndexFolderError, match="not a version"):
        current(tmp_path, "acl")


def test_unknown_id_lists_what_is_published(tmp_path: Path) -> None:
    """The message names the ids there are and the command."""
    with pytest.raises(IndexFolderError, match=r"published: none"):
        current(tmp_path, "acl")
    _publish(tmp_path)
    with pytest.raises(IndexFolderError, match=r"published: acl\); publish it with `termcue reindex FILE --id other`"):
        current(tmp_path, "other")


def test_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """No traceback where the data folder cannot be made."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="cannot write"):
        _publish(tmp_path / "file")


def test_pointer_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """CURRENT being a folder gives one sentence."""
    (tmp_path / "glossaries" / "acl" / "CURRENT").mkdir(parents=True)
    with pytest.raises(IndexFolderError, match="cannot write"):
        _publish(tmp_path)


def test_canary_finds_a_form_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose search does not find its own vectors is refused."""
    index, _ = _build(_file("plague\ncalamity\n"), "v")
    check_canaries(index, Path("x"))
    monkeypatch.setattr(
        index,
        "search",
        lambda queries, k: (np.zeros((len(queries), 1), np.int64), np.zeros((len(queries), 1), np.float32)),
    )
    with pytest.raises(IndexFolderError, match="does not find its own form 'plague'"):
        check_canaries(index, Path("x"))


def test_forms_that_are_equal_pass_the_canary() -> None:
    """Two entries with the same spoken form share a vector; either may be found."""
    check_canaries(_build(_file("SQL\nS.Q.L.\n"), "v")[0], Path("x"))


def _publish_in_child(data_dir: Path, word: str, second: int) -> None:
    _publish(data_dir, f"{word}\n", NOW.replace(second=second))


def test_two_publishers_wait_for_each_other(tmp_path: Path) -> None:
    """Concurrent publishing of one id gives two whole versions and a sound pointer."""
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=_publish_in_child, args=(tmp_path, word, second))
        for second, word in enumerate(["plague", "calamity"])
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    versions = list((tmp_path / "glossaries" / "acl" / "versions").iterdir())
    assert len(versions) == 2
    assert current(tmp_path, "acl") in versions


class _CountingBuild:
    """Counts how often an index is built."""

    def __init__(self) -> None:
        self.versions: list[str] = []

    def __call__(self, file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
        self.versions.append(version)
        return _build(file, version)


def _cached(cache: Path, path: Path, build: _CountingBuild, **options: str) -> CachedIndex:
    return cached_index(path, cache, "hash-encoder", build, options=options)


def test_bare_file_is_built_once(tmp_path: Path) -> None:
    """The same content gives the cached index with its report, wherever the file lies under that name."""
    build, path = _CountingBuild(), tmp_path / "terms.csv"
    path.write_text("plague\n!\n")
    first = _cached(tmp_path / "cache", path, build)
    second = _cached(tmp_path / "cache", path, build)
    assert (first.fresh, second.fresh, len(build.versions)) == (True, False, 1)
    assert second.report == first.report
    assert second.report.rejected[0].value == "!"
    assert second.index.version == first.index.version == build.versions[0]


def test_changed_content_option_or_encoder_is_built_again(tmp_path: Path) -> None:
    """Whatever the index depends on is part of the key."""
    build, path, cache = _CountingBuild(), tmp_path / "terms.csv", tmp_path / "cache"
    path.write_text("plague\n")
    _cached(cache, path, build)
    _cached(cache, path, build, target="de")
    path.write_text("calamity\n")
    assert _cached(cache, path, build).index.entries[0].term == "calamity"
    assert len(set(build.versions)) == 3
    assert content_key([_file()], "a") != content_key([_file()], "b")


@pytest.mark.parametrize("name", ["index.faiss", "entries.jsonl", "background.npy", "manifest.json", "report.json"])
def test_damaged_cache_entry_is_built_again(tmp_path: Path, name: str) -> None:
    """One changed byte in the cache costs a build, no more."""
    build, path, cache = _CountingBuild(), tmp_path / "terms.csv", tmp_path / "cache"
    path.write_text("plague\n")
    _cached(cache, path, build)
    (damaged,) = cache.glob(f"*/{name}")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert _cached(cache, path, build).fresh
    assert not _cached(cache, path, build).fresh


def test_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while building leaves no folder, and the next call builds."""
    path, cache = tmp_path / "terms.csv", tmp_path / "cache"
    path.write_text("plague\n")

    def interrupted(file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_index(path, cache, "hash-encoder", interrupted)
    assert [child for child in cache.iterdir() if child.is_dir()] == []
    assert _cached(cache, path, _CountingBuild()).fresh


def test_unusable_glossary_leaves_nothing(tmp_path: Path) -> None:
    """A glossary without a usable term is refused before anything is written."""
    path, cache = tmp_path / "terms.csv", tmp_path / "cache"
    path.write_text("!\n")
    with pytest.raises(GlossaryError, match="no usable term"):
        _cached(cache, path, _CountingBuild())
    assert [child for child in cache.iterdir() if child.is_dir()] == []


def test_cache_is_bounded(tmp_path: Path) -> None:
    """Beyond the limit the least recently used goes."""
    build, cache = _CountingBuild(), tmp_path / "cache"
    for number in range(MAX_CACHED):
        cached_index(_file(f"plague {number}\n"), cache, "hash-encoder", build)
    for age, folder in enumerate(sorted(path for path in cache.iterdir() if path.is_dir())):
        os.utime(folder, (1000 + age, 1000 + age))
    cached_index(_file("plague 3\n"), cache, "hash-encoder", build)
    cached_index(_file("calamity\n"), cache, "hash-encoder", build)
    assert len([path for path in cache.iterdir() if path.is_dir()]) == MAX_CACHED
    assert not cached_index(_file("plague 3\n"), cache, "hash-encoder", build).fresh
    assert len(build.versions) == MAX_CACHED + 1
