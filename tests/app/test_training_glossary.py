import json
import os
from pathlib import Path

import pytest

from app.training_glossary import training_glossary
from streaming.errors import GlossaryError
from training.corpus.glossary import TrainingTerm, read_training_glossary

TABLE = "term;de;aliases;note\nKalman filter;Kalman-Filter;LQE|linear quadratic estimator;smooths\nion;Ion;;\n!;;;\n"


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cache is of this test, not in the developer's home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, text: str) -> Path:
    """A file of this text."""
    path.write_text(text, "utf-8")
    return path


def test_a_table_becomes_a_glossary_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Translations, aliases and notes come along, and what is left out is told."""
    path = training_glossary(write(tmp_path / "terms.csv", TABLE))
    assert read_training_glossary(path).terms == (
        TrainingTerm("Kalman filter", "smooths", {"de": "Kalman-Filter"}, ("LQE", "linear quadratic estimator")),
        TrainingTerm("ion", "", {"de": "Ion"}),
    )
    assert "1 of 3 rows of" in capsys.readouterr().err


def test_equal_content_has_one_path(tmp_path: Path) -> None:
    """The path and its age stay while the terms do, also where the cache was emptied; other terms go elsewhere."""
    table = write(tmp_path / "terms.csv", TABLE)
    path = training_glossary(table)
    age = path.stat().st_mtime_ns
    assert age == table.stat().st_mtime_ns
    os.utime(table)
    assert training_glossary(write(tmp_path / "copy.csv", TABLE)) == training_glossary(table) == path
    assert path.stat().st_mtime_ns == age
    path.unlink()
    assert training_glossary(table) == path
    assert training_glossary(write(table, TABLE.replace("Ion", "Ionen"))) != path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glossary_filtered.json", {"kalman filter": {"short_description": "smooths"}}),
        ("glossary_filtered.json", [{"term": "Kalman filter", "target_translations": {"de": "Kalman-Filter"}}]),
        ("list.json", ["Kalman filter"]),
        ("seed", {"kalman filter": {"term": "Kalman filter"}}),
        ("empty.json", []),
    ],
)
def test_what_training_reads_stays(tmp_path: Path, name: str, content: object) -> None:
    """The seed's JSON in both shapes and lists of texts are read as they are, whatever the file is called."""
    path = write(tmp_path / name, "\ufeff\n" + json.dumps(content))
    assert training_glossary(path) == path


@pytest.mark.parametrize("name", ["terms.txt", "broken.json", "absent.csv"])
def test_what_the_reader_tells_of_stays(tmp_path: Path, name: str) -> None:
    """A list of terms, JSON that is none, and a file that is not there."""
    path = tmp_path / name
    if name != "absent.csv":
        write(path, "state of the art, or not\n")
    assert training_glossary(path) == path


@pytest.mark.parametrize(
    "content", [{"ion": "Ion", "plague": "Pest"}, [{"source": "ion", "de": "Ion"}, {"source": "plague", "de": "Pest"}]]
)
def test_other_json_is_read_as_an_index_reads_it(tmp_path: Path, content: object) -> None:
    """Term -> translation, and objects with other keys."""
    glossary = read_training_glossary(training_glossary(write(tmp_path / "terms.json", json.dumps(content))))
    assert [(t.term, *t.translations.values()) for t in glossary.terms] == [("ion", "Ion"), ("plague", "Pest")]


@pytest.mark.parametrize(("name", "text"), [("empty.csv", " "), ("bad.json", "[}"), ("none.csv", "!\n?\n")])
def test_what_nobody_can_read_is_told(tmp_path: Path, name: str, text: str) -> None:
    """With the name of the file."""
    with pytest.raises(GlossaryError, match=name):
        training_glossary(write(tmp_path / name, text))


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the cure."""
    write(tmp_path / "cache", "in the way")
    with pytest.raises(GlossaryError, match=r"cannot write .*in the place of .*terms\.csv.*XDG_CACHE_HOME"):
        training_glossary(write(tmp_path / "terms.csv", TABLE))
