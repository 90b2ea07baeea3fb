"""Bare glossary files are indexed once per content; a damaged or interrupted entry is built again."""

import os
from pathlib import Path

import pytest

from index_builder.formats import GlossaryFile
from index_builder.publish import MAX_CACHED, CachedIndex, cached_index, content_key
from index_builder.report import IndexReport
from index_builder.testing import built_index
from streaming.errors import GlossaryError
from streaming.term_index import TermIndex


def _file(text: str = "plague\n") -> GlossaryFile:
    return GlossaryFile(Path("terms.csv"), text.encode())


class _CountingBuild:
    """Counts how often an index is built."""

    def __init__(self) -> None:
        self.versions: list[str] = []

    def __call__(self, file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
        self.versions.append(version)
        return built_index(file.content.decode(), version)


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
