import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.compact.small_runs import RECIPE
from training.compact.recipe import Materials, StageError, keep_recipe, read_facts, real_speech, split_speakers
from training.corpus.manifest import ManifestError, Utterance


def speakers(rows: Sequence[Utterance]) -> set[tuple[str, str]]:
    """Collections and speakers of some rows."""
    return {(row.collection, row.speaker) for row in rows}


def test_held_out_speakers_are_never_trained_on(materials: Materials) -> None:
    """Whole speakers are held out, the same ones each time; untimed and evaluation rows are in neither part."""
    training, held_out = real_speech(materials, RECIPE)
    assert speakers(training).isdisjoint(speakers(held_out))
    assert len(speakers(held_out)) == 1
    assert {row.utterance_id for row in training + held_out} == {f"u{i}" for i in range(8)}
    assert (training, held_out) == real_speech(materials, RECIPE)


def test_the_choice_of_speakers_does_not_depend_on_order() -> None:
    """Rows in another order, or other collections beside, hold out the same speakers."""
    rows = [Utterance(f"{c}{i}", Path("x"), f"s{i}", c, "train", 1.0, ()) for c in "ab" for i in range(20)]
    _, held_out = split_speakers(rows, {"a": 4}, 7)
    _, again = split_speakers(rows[::-1], {"b": 2, "a": 4}, 7)
    assert speakers(held_out) == {pair for pair in speakers(again) if pair[0] == "a"}
    assert len(speakers(again)) == 6


@pytest.mark.parametrize("held_out", [{}, {"others": 3}, {"readers": 3}])
def test_speakers_must_part(materials: Materials, held_out: dict[str, int]) -> None:
    """Nothing held out, or everything, is refused with the collections that are there."""
    with pytest.raises(ManifestError, match=r"readers \(3 speakers\)"):
        real_speech(materials, replace(RECIPE, held_out=held_out))


def test_a_work_folder_keeps_its_recipe(tmp_path: Path) -> None:
    """Other settings in the same folder are refused by name; the same ones go on."""
    keep_recipe(tmp_path / "work", RECIPE)
    keep_recipe(tmp_path / "work", RECIPE)
    with pytest.raises(StageError, match=r"other settings \(dim\)"):
        keep_recipe(tmp_path / "work", replace(RECIPE, dim=32))


def test_a_work_folder_learns_of_new_stages(tmp_path: Path) -> None:
    """One that was begun before a stage existed goes on; what it knows it keeps to."""
    keep_recipe(tmp_path, RECIPE)
    path = tmp_path / "recipe.json"
    begun = json.loads(path.read_text("utf-8"))
    del begun["blocks"]
    path.write_text(json.dumps(begun), "utf-8")
    keep_recipe(tmp_path, RECIPE)
    with pytest.raises(StageError, match=r"other settings \(dim\)"):
        keep_recipe(tmp_path, replace(RECIPE, dim=32))
    path.write_text(json.dumps({**begun, "gone": 1}), "utf-8")
    with pytest.raises(StageError, match=r"other settings \(gone\)"):
        keep_recipe(tmp_path, RECIPE)


@pytest.mark.parametrize("content", ["{", "[]", '{"licence": "MIT"}'])
def test_facts_must_be_complete(tmp_path: Path, content: str) -> None:
    """A facts file without licence and provenance is refused; without a file both are said to be unknown."""
    path = tmp_path / "facts.json"
    path.write_text(content, "utf-8")
    with pytest.raises(StageError, match=r"facts\.json"):
        read_facts(path)
    assert read_facts(None)["licence"] == "not stated"
