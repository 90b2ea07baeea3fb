"""Damaged and foreign folders of models and indexes: one clear sentence with the value and the cure, exit code 1 or 2, nothing half-written."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from app.cli import run
from app.samples import recordings
from streaming.model_folder import BUNDLED, encoder_id_of, render_spec, spec_digest
from tests.end_to_end.empty_machine import Place, good_glossary, refused


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _copied_model(place: Place) -> Path:
    return Path(shutil.copytree(BUNDLED, place.folder / "model"))


def _listen(place: Place, model: Path, glossary: str) -> list[str]:
    return ["listen", str(recordings()[1].path), "--glossary", glossary, "--model", str(model), "--json"]


def test_missing_model_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A model folder that is not there is named."""
    good_glossary(place)
    assert "there is no model folder" in refused(place, capsys, _listen(place, Path("nowhere"), "terms.csv"))


@pytest.mark.parametrize(
    "name", sorted(path.name for path in BUNDLED.iterdir() if path.suffix in (".onnx", ".npy", ".json"))
)
def test_model_with_one_byte_changed_is_refused(place: Place, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Any file of the model folder with one bit changed is found and named before it is used."""
    good_glossary(place)
    model = _copied_model(place)
    _flip_a_byte(model / name)
    sentence = refused(place, capsys, _listen(place, model, "terms.csv"))
    assert str(model / name) in sentence
    assert "--model" in sentence


def _published(place: Place, capsys: pytest.CaptureFixture[str]) -> Path:
    good_glossary(place)
    assert run(["reindex", "terms.csv", "--id", "talks"]) == 0
    capsys.readouterr()
    (version,) = (place.data / "termcue" / "glossaries" / "talks" / "versions").iterdir()
    return version


def test_damaged_report_does_not_hide_other_glossaries(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The list goes on after a glossary that cannot be read, and ends with 1."""
    version = _published(place, capsys)
    assert run(["reindex", "terms.csv", "--id", "tracks"]) == 0
    (version / "report.json").write_text("{")
    capsys.readouterr()
    assert run(["glossaries", "list"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("tracks ")
    assert "2 entries" in printed.out
    assert "report.json cannot be read" in printed.err


@pytest.mark.parametrize("name", ["index.faiss", "entries.jsonl", "background.npy", "manifest.json", "report.json"])
def test_index_with_one_byte_changed_is_refused(place: Place, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Any file of an index folder with one bit changed is found and named, with the command that makes it anew."""
    version = _published(place, capsys)
    _flip_a_byte(version / name)
    sentence = refused(place, capsys, _listen(place, BUNDLED, "talks"))
    assert name in sentence
    assert "termcue reindex" in sentence


def test_index_of_another_encoder_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """An index is only used with the encoder that built it; the sentence names both."""
    _published(place, capsys)
    model = _copied_model(place)
    spec = json.loads((model / "spec.json").read_text("utf-8"))
    built_by = encoder_id_of(spec["name"], spec["sha256"])
    spec["name"] = "another"
    spec["spec_sha256"] = spec_digest(spec)
    (model / "spec.json").write_bytes(render_spec(spec))
    sentence = refused(place, capsys, _listen(place, model, "talks"))
    assert built_by in sentence
    assert encoder_id_of("another", spec["sha256"]) in sentence
    assert "termcue reindex" in sentence


def test_damaged_cache_is_built_again(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What the program cached for itself is no user's concern: a damaged entry is replaced without a word."""
    good_glossary(place)
    arguments = _listen(place, BUNDLED, "terms.csv")
    assert run(arguments) == 0
    first = capsys.readouterr()
    (damaged,) = place.cache.rglob("index.faiss")
    whole = hashlib.sha256(damaged.read_bytes()).hexdigest()
    _flip_a_byte(damaged)
    assert run(arguments) == 0
    assert capsys.readouterr() == first
    assert hashlib.sha256(damaged.read_bytes()).hexdigest() == whole


def test_unwritable_data_folder_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A data folder that is a file cannot be written in; the sentence names it."""
    good_glossary(place)
    blocker = place.folder / "blocked"
    blocker.touch()
    sentence = refused(place, capsys, ["reindex", "terms.csv", "--id", "talks", "--data-dir", str(blocker)])
    assert str(blocker) in sentence
