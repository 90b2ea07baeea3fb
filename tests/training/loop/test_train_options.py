import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.commands.train import train
from app.training_options import PRESETS
from streaming.errors import SettingError
from tests.training.loop.train_commands import call, settings
from training.loop import presets
from training.loop.presets import preset
from training.loop.settings import read, written


def test_the_commands_presets_are_the_loops() -> None:
    """The names are repeated so that --help is instant, and kept alike here."""
    assert list(PRESETS) == list(presets.PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_without_options_is_as_it_is(name: str) -> None:
    """No option has a default of its own that would change it."""
    extra = ["--model-name", preset(name).model.model_name] if name == "custom-model" else []
    assert settings("--preset", name, *extra) == preset(name)


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["--text-field", "short_description"], ("data", "text_field", "short_description")),
        (["--single-slice"], ("data", "single_slice", True)),
        (["--audio-text-loss-ratio", "0.1"], ("losses", "audio_text", 0.1)),
        (["--audio_text_loss_ratio=0.1"], ("losses", "audio_text", 0.1)),
        (["--audio-term-loss-ratio", "0.9"], ("losses", "audio_term", 0.9)),
        (["--full-eval"], ("run", "full_eval_every", 1)),
        (["--full-eval-every", "3"], ("run", "full_eval_every", 3)),
        (["--test-samples", "t.json"], ("data", "test", Path("t.json"))),
        (["--best-model", "b.pt"], ("run", "best_model", Path("b.pt"))),
        (["--gpu-ids", "0,1"], ("run", "gpu_ids", (0, 1))),
        (["--preset", "multi-gpu", "--gpu-ids", ""], ("run", "gpu_ids", ())),
        (["--model-name", "my/model"], ("model", "model_name", "my/model")),
        (["--no-no-term"], ("data", "no_term", False)),
        (["--disable_no_term"], ("data", "no_term", False)),
        (["--preset", "term-only", "--no-term"], ("data", "no_term", True)),
        (["--batch_size=32"], ("run", "batch_size", 32)),
        (["--unfreeze_layers=2"], ("model", "unfreeze_layers", 2)),
        (["--unfreeze-layers", "all"], ("model", "unfreeze_layers", None)),
        (["--preset", "compact", "--gradient_checkpointing"], ("model", "gradient_checkpointing", True)),
        (["--fp16"], ("run", "precision", "fp16")),
        (["--bf16"], ("run", "precision", "bf16")),
        (["--precision", "fp32"], ("run", "precision", "fp32")),
        (["--save-path", "folder"], ("run", "save_path", Path("folder"))),
        (["--fresh"], ("run", "resume", False)),
        (["--allow-leak"], ("data", "allow_leak", True)),
    ],
)
def test_the_documents_options_reach_their_settings(arguments: list[str], changed: tuple[str, str, object]) -> None:
    """Rows 3 to 16 of the promises, also as the document spells them."""
    part, name, value = changed
    assert getattr(getattr(settings(*arguments), part), name) == value


def test_hard_negatives_as_the_document_spells_them() -> None:
    """--enable_hard_neg --hard_neg_source=glossary."""
    mining = settings("--enable_hard_neg", "--hard_neg_source=glossary").hard_negatives
    assert mining is not None
    assert mining.source == "glossary"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpu-ids", "0,0"], "names no GPUs"),
        (["--gpu-ids", "first"], "names no GPUs"),
        (["--unfreeze-layers", "-1"], "no number of layers"),
        (["--unfreeze-layers", "some"], "no number of layers"),
        (["--audio-text-loss-ratio", "nan"], "not a finite number"),
        (["--preset", "fast"], "Invalid value for '--preset'"),
    ],
)
def test_wrong_values_are_usage_errors(arguments: list[str], message: str) -> None:
    """Exit code 2 and a sentence that names the option."""
    result = call(train, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_two_precisions_are_refused() -> None:
    """Nothing is chosen silently."""
    with pytest.raises(SettingError, match="bf16 and fp16"):
        call(train, "--fp16", "--bf16")


def test_settings_come_from_a_file(rows: list[str], tmp_path: Path) -> None:
    """What --show-settings printed stands in the place of a preset; options still change it."""
    mine = settings("--preset", "rejection-focused", *rows, "--head-width", "96", "--epochs", "7", "--fresh")
    assert mine.model.head_width == 96
    (tmp_path / "mine.json").write_text(json.dumps(written(mine)))
    file = ("--settings", str(tmp_path / "mine.json"))
    assert settings(*file) == mine
    changed = settings(*file, "--epochs", "8", "--single-slice")
    assert (changed.run.epochs, changed.losses) == (8, mine.losses)
    assert changed.run.save_path == Path("data/qwen2_audio_term_level_single.pt")
    # Rows of one's own stay: a slice of them is their first file.
    assert changed.data.train == mine.data.train


def test_a_preset_and_a_file_exclude_each_other(tmp_path: Path) -> None:
    """On the command line; of a default and an option, the option wins."""
    (tmp_path / "mine.json").write_text(json.dumps(written(preset("compact"))))
    file = str(tmp_path / "mine.json")
    both = call(train, "--settings", file, "--preset", "debug")
    assert both.exit_code == 2
    assert "--preset and --settings exclude each other" in both.stderr
    runner = CliRunner()
    for default, typed, wanted in (
        ({"preset": "debug"}, ["--settings", file], "compact"),
        ({"settings": file}, ["--preset", "debug"], "debug"),
        ({"settings": file, "preset": "debug"}, [], "compact"),
    ):
        result = runner.invoke(train, [*typed, "--show-settings"], default_map=default, catch_exceptions=False)
        assert read(json.loads(result.stdout)) == preset(wanted)


def test_files_that_hold_no_settings_are_named(tmp_path: Path) -> None:
    """With the setting that is unknown."""
    (tmp_path / "mine.json").write_text('{"run": {"batch": 3}}')
    with pytest.raises(SettingError, match=r"mine.json: there is no setting run.batch;"):
        call(train, "--settings", str(tmp_path / "mine.json"))
