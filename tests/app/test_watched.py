"""A published glossary is followed by its pointer, a file by its time and size."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.places import Places
from app.watched import PublishedGlossary, SavedGlossary, followed, sources_of
from app.wiring import OpenGlossary
from index_builder.publish import publish, roll_back
from index_builder.testing import built_index
from streaming.errors import GlossaryError
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.session import ServedGlossary
from streaming.testing import ToneIndex, tone_glossary, tone_index

FIRST, SECOND = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2))


def _serve(glossary: OpenGlossary) -> ServedGlossary:
    return tone_glossary(ToneIndex(tone_index().entries, glossary.index.version))


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for another thread, not for ever."""
    for _ in range(6000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("the other thread did nothing for a minute")


def _publish(data_dir: Path, version: str, glossary_id: str = "talks") -> None:
    publish(data_dir, glossary_id, *built_index("plague\n", version))


def test_published_glossary_is_stamped_by_its_version(tmp_path: Path) -> None:
    """Each new version, and a rollback, is another stamp; before the first there is none."""
    source = PublishedGlossary("talks", tmp_path, "hash-encoder", _serve)
    assert source.stamp() is None
    _publish(tmp_path, FIRST)
    assert source.stamp() == source.load().version == FIRST
    _publish(tmp_path, SECOND)
    assert source.stamp() == source.load().version == SECOND
    roll_back(tmp_path, "talks", "hash-encoder")
    assert source.stamp() == FIRST


@dataclass
class _File:
    """A file whose index is called by its content."""

    path: Path

    def open(self) -> OpenGlossary:
        return OpenGlossary("terms", built_index("plague\n", self.path.read_text())[0])


def test_saved_file_is_read_when_nobody_writes_it_any_more(tmp_path: Path) -> None:
    """A new time or size must be seen twice; a file that is gone for a moment, as editors do it, is no change."""
    path = tmp_path / "terms.csv"
    path.write_text("v1")
    source = SavedGlossary(path, _File(path).open, _serve)
    first = source.stamp()
    assert first is not None
    assert source.stamp() == first
    path.write_text("version 2")
    assert source.stamp() is None
    path.write_text("version 23")
    assert source.stamp() is None
    assert source.stamp() not in (None, first)
    assert source.load().version == "version 23"
    path.unlink()
    assert source.stamp() is None


def test_sources_are_named_as_they_are_served(tmp_path: Path) -> None:
    """Files by their names, ids by themselves; without names, whatever is published at the time."""
    places = Places.of(tmp_path / "data", {"HOME": str(tmp_path)})
    (tmp_path / "My Terms.csv").write_text("plague\n")
    folder = ModelFolder.load(BUNDLED)
    named = sources_of([str(tmp_path / "My Terms.csv"), "talks"], _serve, folder, places, "cpu")
    assert {name: type(source) for name, source in named().items()} == {
        "my-terms": SavedGlossary,
        "talks": PublishedGlossary,
    }
    published = sources_of([], _serve, folder, places, "cpu")
    assert dict(published()) == {}
    _publish(places.data, FIRST, "new")
    assert list(published()) == ["new"]


def test_followed_glossary_is_replaced_inside_the_context(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file saved again is served; one that cannot be read is told, and the old one stays."""
    path = tmp_path / "terms.csv"
    path.write_text("v1")
    broken: list[bool] = []

    def opened() -> OpenGlossary:
        if broken:
            raise GlossaryError("no usable term")
        return _File(path).open()

    source = SavedGlossary(path, opened, _serve)
    stamp = source.stamp()
    with followed(opened(), source, stamp) as catalogue:
        path.write_text("version 2")
        _wait_until(lambda: catalogue["terms"].version == "version 2")
        broken.append(True)
        path.write_text("")
        os.utime(path, (1, 1))
        _wait_until(lambda: "no usable term" in caplog.text)
    assert catalogue["terms"].version == "version 2"


@pytest.mark.parametrize(
    ("old", "new", "is_doubted"),
    [
        (300, 0, True),
        (300, 20, True),
        (300, 150, True),
        (300, 151, False),
        (300, 310, False),
        (5, 1, False),
        (6, 1, True),
    ],
)
def test_a_file_that_lost_most_of_its_terms_is_doubted(tmp_path: Path, old: int, new: int, is_doubted: bool) -> None:
    """An editor or a copy may have stopped halfway; what is published is never doubted."""
    before, after = (replace(tone_glossary(), terms=terms) for terms in (old, new))
    source = SavedGlossary(tmp_path / "terms.csv", _File(tmp_path).open, _serve)
    doubt = source.doubt(before, after)
    assert (doubt is not None) is is_doubted
    if doubt is not None:
        assert f"terms.csv has {new} of {old} terms left" in doubt
    assert PublishedGlossary("talks", tmp_path, "hash-encoder", _serve).doubt(before, after) is None
