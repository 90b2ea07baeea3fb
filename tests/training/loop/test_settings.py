import json
from dataclasses import replace
from pathlib import Path

import pytest

from streaming.errors import SettingError
from training.loop.config import HardNegativeConfig, LoraSettings, TrainConfig
from training.loop.presets import PRESETS
from training.loop.settings import flat, read, read_file, replaced, written


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_comes_back_from_json(name: str) -> None:
    """Writing and reading loses nothing."""
    assert read(json.loads(json.dumps(written(PRESETS[name])))) == PRESETS[name]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"run": {"batch": 3}}, "no setting run.batch;"),
        ({"run": {"batch_size": "3"}}, "run.batch_size must be int, not '3'"),
        ({"run": {"batch_size": True}}, "run.batch_size must be int"),
        ({"run": {"precision": "fp8"}}, "run.precision"),
        ({"model": 3}, "model. must be an object"),
        ({"data": {"train": "x"}}, "data.train"),
        ([], "the settings must be an object"),
    ],
)
def test_wrong_settings_are_named(value: object, message: str) -> None:
    """An unknown name or a value of another kind is refused with its place."""
    with pytest.raises(SettingError, match=message):
        read(value)


def test_what_is_left_out_has_its_default() -> None:
    """Files of an older version stay readable."""
    assert read({"run": {"epochs": 2}}) == replaced(TrainConfig(), {"run.epochs": 2})


def test_settings_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing and broken files are named."""
    (tmp_path / "broken.json").write_text("{")
    for name in ("missing.json", "broken.json"):
        with pytest.raises(SettingError, match=name):
            read_file(tmp_path / name)


def test_single_settings_are_replaced_by_name() -> None:
    """A dotted name replaces one setting, a part's name all of it; nothing else changes."""
    changed = replaced(TrainConfig(), {"model.lora": LoraSettings(4), "hard_negatives": HardNegativeConfig()})
    assert changed.model.lora == LoraSettings(4)
    assert replace(changed, model=TrainConfig().model, hard_negatives=None) == TrainConfig()
    assert flat(changed)["model.lora.rank"] == 4
    assert flat(TrainConfig())["model.lora"] is None
