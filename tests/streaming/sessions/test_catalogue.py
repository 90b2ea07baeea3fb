"""What is served is replaced under the sessions that listen, one glossary or several in layers."""

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from streaming.errors import IndexFolderError
from streaming.session import ServedGlossary
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.catalogue_watch import CatalogueWatch
from streaming.testing import tone_glossary, tone_index


def _version(name: str) -> ServedGlossary:
    return tone_glossary(replace(tone_index(), version=name))


def _joined(layers: Sequence[ServedGlossary]) -> ServedGlossary:
    return _version("+".join(layer.version for layer in layers))


def test_single_glossaries_are_listed_and_layers_are_found() -> None:
    """A combination is put together when it is asked for, in the order of its name, and once."""
    catalogue = Catalogue({"mine": _version("m1"), "all": _version("a1")}, _joined)
    assert list(catalogue) == ["mine", "all"]
    assert catalogue["mine,all"].version == "m1+a1"
    assert catalogue["all,mine"].version == "a1+m1"
    assert catalogue["mine,all"] is catalogue["mine,all"]


@pytest.mark.parametrize("name", ["mine,", "mine,mine", "mine,other", ",", "other", ",".join("abcdefghi")])
def test_what_cannot_be_layered_is_not_there(name: str) -> None:
    """An unknown layer, the same one twice, an empty one, or too many."""
    catalogue = Catalogue(dict.fromkeys(["mine", *"abcdefghi"], _version("v1")), _joined)
    assert name not in catalogue
    assert "mine,a" not in Catalogue({"mine": _version("v"), "a": _version("v")})


def test_new_version_is_found_in_its_combinations_too() -> None:
    """After a replacement both the glossary and what lies over it are new; others are the same objects."""
    catalogue = Catalogue({"mine": _version("m1"), "all": _version("a1"), "b": _version("b1")}, _joined)
    other = catalogue["all,b"]
    assert catalogue["mine,all"].version == "m1+a1"
    catalogue.replace("mine", _version("m2"))
    assert (catalogue["mine"].version, catalogue["mine,all"].version) == ("m2", "m2+a1")
    assert catalogue["all,b"] is other
    catalogue.replace("new", _version("n1"))
    assert catalogue["new"].version == "n1"


class _Held:
    """Something whose end can be seen."""

    def __call__(self, *_: object) -> int:
        return 0


def test_replaced_version_is_not_kept_in_memory() -> None:
    """Neither alone nor in a combination that nobody asks for any more."""
    held = _Held()
    gone = weakref.ref(held)
    catalogue = Catalogue(
        {"mine": replace(_version("m1"), take_over=held), "all": _version("a1")}, lambda all_: all_[0]
    )
    assert catalogue["mine,all"].version == "m1"
    del held
    catalogue.replace("mine", _version("m2"))
    gc.collect()
    assert gone() is None


@dataclass
class _Source:
    """A glossary whose versions a test publishes; "bad" ones cannot be loaded."""

    version: str | None
    loads: list[str] = field(default_factory=list)

    def stamp(self) -> str | None:
        return self.version

    def load(self) -> ServedGlossary:
        assert self.version is not None
        self.loads.append(self.version)
        if self.version.startswith("bad"):
            raise IndexFolderError(f"{self.version} is damaged")
        return _version(self.version)

    def doubt(self, _: ServedGlossary, new: ServedGlossary) -> str | None:
        return "it is short" if new.version.startswith("short") else None


def test_watch_takes_over_what_is_new_and_nothing_else() -> None:
    """A version is loaded once; the same stamp, or none, is left alone; a new glossary is served too."""
    tones, later = _Source("v1"), _Source(None)
    catalogue = Catalogue({"tones": _version("v1")})
    watch = CatalogueWatch(catalogue, lambda: {"tones": tones, "later": later}, {"tones": "v1"})
    assert watch.look() == []
    tones.version, later.version = "v2", "l1"
    assert watch.look() == ["tones", "later"]
    assert watch.look() == []
    assert (catalogue["tones"].version, catalogue["later"].version) == ("v2", "l1")
    assert (tones.loads, later.loads) == (["v2"], ["l1"])


def test_version_that_cannot_be_used_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The old one stays, and the next version, or a rollback to the old one, is taken without fuss."""
    tones = _Source("bad1")
    old = _version("v1")
    catalogue = Catalogue({"tones": old})
    watch = CatalogueWatch(catalogue, lambda: {"tones": tones}, {"tones": "v1"})
    assert watch.look() == watch.look() == []
    assert caplog.text.count("cannot be used, version v1 is served on: bad1 is damaged") == 1
    assert catalogue["tones"] is old
    tones.version = "v1"
    assert watch.look() == []
    assert catalogue["tones"] is old
    tones.version = "v2"
    assert watch.look() == ["tones"]


def test_a_doubtful_version_is_taken_when_it_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and the old one stays; saved once more it is meant, and so it is where somebody asks for it."""
    tones = _Source("v1")
    catalogue = Catalogue({"tones": _version("v1")})

    @dataclass
    class Saved:
        times: int = 0

        def stamp(self) -> str | None:
            return f"{tones.version} {self.times}"

        load, doubt = tones.load, tones.doubt

    saved = Saved()
    watch = CatalogueWatch(catalogue, lambda: {"tones": saved}, {"tones": "v1 0"})
    tones.version = "short1"
    assert watch.look() == watch.look() == []
    assert caplog.text.count("it is short; what was there before is served on") == 1
    assert catalogue["tones"].version == "v1"
    saved.times += 1
    assert watch.look() == ["tones"]
    tones.version = "short2"
    assert watch.look() == []
    assert watch.look(is_asked=True) == ["tones"]
    assert watch.look(is_asked=True) == []
    tones.version = "short3"
    assert watch.look() == []
    watch.reload("tones")
    assert catalogue["tones"].version == "short3"


def test_who_asks_is_told_of_a_glossary_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise it may just be being saved; what is served is served on."""

    class Gone:
        def stamp(self) -> str | None:
            return None

        def load(self) -> ServedGlossary:
            raise IndexFolderError("there is no file tones.csv")

        def doubt(self, _: ServedGlossary, __: ServedGlossary) -> str | None:
            return None

    catalogue = Catalogue({"tones": _version("v1")})
    watch = CatalogueWatch(catalogue, lambda: {"tones": Gone()}, {"tones": "v1"})
    assert watch.look() == []
    assert caplog.text == ""
    assert watch.look(is_asked=True) == []
    assert "new version of tones cannot be used, version v1 is served on: there is no file tones.csv" in caplog.text
    assert catalogue["tones"].version == "v1"


def test_reload_on_request_says_what_is_wrong() -> None:
    """At once and without a new stamp; a version that cannot be used is an error, and the old one stays."""
    tones = _Source("v2")
    catalogue = Catalogue({"tones": _version("v1")})
    watch = CatalogueWatch(catalogue, lambda: {"tones": tones}, {"tones": "v2"})
    assert watch.look() == []
    watch.reload("tones")
    watch.reload("other")
    assert catalogue["tones"].version == "v2"
    tones.version = "bad"
    with pytest.raises(IndexFolderError, match="damaged"):
        watch.reload("tones")
    assert catalogue["tones"].version == "v2"
    assert watch.look() == []


def test_watch_runs_beside_and_survives_what_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """On its own thread, until the context is left; an unexpected failure of one look does not end it."""
    tones = _Source("v2")
    asked: list[None] = []

    def sources() -> dict[str, _Source]:
        asked.append(None)
        if len(asked) == 1:
            raise RuntimeError("once")
        return {"tones": tones}

    catalogue = Catalogue({"tones": _version("v1")})
    with CatalogueWatch(catalogue, sources, {"tones": "v1"}, poll_s=0.001) as watch:
        for _ in range(6000):
            if catalogue["tones"].version == "v2":
                break
            time.sleep(0.01)
    assert catalogue["tones"].version == "v2"
    assert "it is tried again" in caplog.text
    assert not watch._thread.is_alive()


def test_a_version_that_takes_long_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever leaves waits a moment for it; those who load can see that it is no longer wanted, and nobody is told."""
    monkeypatch.setattr("streaming.sessions.catalogue_watch._LAST_LOAD_S", 0.05)
    begun, stopping, end = threading.Event(), threading.Event(), threading.Event()

    class Slow(_Source):
        def load(self) -> ServedGlossary:
            begun.set()
            assert stopping.wait(10)
            assert end.wait(10)
            raise IndexFolderError("not wanted any more")

    watch = CatalogueWatch(
        Catalogue({"tones": _version("v1")}), lambda: {"tones": Slow("v2")}, {"tones": "v1"}, 0.001, stopping
    )
    with watch:
        assert begun.wait(10)
    assert watch._thread.is_alive()
    end.set()
    watch._thread.join(10)
    assert not watch._thread.is_alive()
    assert caplog.text == ""
