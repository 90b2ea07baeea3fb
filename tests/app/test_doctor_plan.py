"""What `termcue doctor --plan` prints."""

import json

import pytest
from click.testing import CliRunner

from app.commands.doctor import doctor
from streaming.errors import SettingError


def test_plan_is_a_page_with_every_part_and_card() -> None:
    """Parts, memory of the settings and a line a card; nothing is examined."""
    result = CliRunner().invoke(doctor, ["--plan", "24gb"], catch_exceptions=False)
    assert result.exit_code == 0
    for expected in ("audio tower", "text tower", "7,124,160,512", "RTX 4090 24 GB", "A100 80 GB", "rows a step"):
        assert expected in result.output
    assert "voice detection" not in result.output


def test_plan_for_machines_is_an_object_a_line() -> None:
    """Parts, cards and the whole, which is the sum of the parts."""
    result = CliRunner().invoke(doctor, ["--plan", "24gb", "--json"], catch_exceptions=False)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    parts = [line for line in found if line["type"] == "Part"]
    (whole,) = (line for line in found if line["type"] == "Plan")
    assert len([line for line in found if line["type"] == "Card"]) == 3
    assert whole["parameters"] == sum(part["parameters"] for part in parts)
    assert whole["bytes"] < 24 * 2**30


def test_a_card_that_is_too_small_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even one row fits, the page says so instead of a time."""
    from training.loop import presets
    from training.loop.config import ModelConfig, TrainConfig

    whole = TrainConfig(model=ModelConfig(unfreeze_layers=None))
    monkeypatch.setitem(presets.PRESETS, "whole", whole)
    result = CliRunner().invoke(doctor, ["--plan", "whole"], catch_exceptions=False)
    assert result.output.count("does not fit") == 3


def test_an_unknown_preset_is_a_wrong_setting() -> None:
    """The error names the presets that there are."""
    with pytest.raises(SettingError, match="there is no preset 'none'"):
        CliRunner().invoke(doctor, ["--plan", "none"], catch_exceptions=False)
