import json
from dataclasses import replace
from pathlib import Path

import pytest

from streaming.errors import SettingError
from training.loop.config import HardNegativeConfig, LoraSettings, TrainConfig
from training.loop.limits import LIMITS
from training.loop.presets import PRESETS
from training.loop.settings import check, flat, read, read_file, replaced, written


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run.epochs", -1),
        ("run.micro_batch", -1),
        ("run.log_every", 0),
        ("data.workers", -1),
        ("data.spans_per_row", -1),
        ("losses.temperature", 0.0),
        ("optimiser.rate", float("nan")),
        ("run.gpu_ids", (0, -1)),
        ("data.no_term_share", 1.5),
    ],
)
def test_values_beyond_their_limits_are_named(tmp_path: Path, name: str, value: object) -> None:
    """A settings file has the limits of the command line: setting, value and limit are told."""
    file = tmp_path / "s.json"
    file.write_text(json.dumps(written(replaced(TrainConfig(), {name: value}))))
    with pytest.raises(SettingError, match=rf"s\.json: the setting {name} is (-1|0|0\.0|nan|1\.5); give a "):
        read_file(file)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_lies_within_the_limits(name: str) -> None:
    """And every limit is of a setting that there is."""
    check(PRESETS[name])
    part = replace(TrainConfig(), hard_negatives=HardNegativeConfig())
    assert LIMITS.keys() <= flat(replaced(part, {"model.lora": LoraSettings()})).keys()
