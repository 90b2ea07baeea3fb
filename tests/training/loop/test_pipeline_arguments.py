from pathlib import Path

import pytest
import torch

from app.commands.pipeline import pipeline
from tests.training.loop.train_commands import Training, call
from training.loop.checkpoint_paths import best_path
from training.loop.config import TrainConfig
from training.loop.presets import preset


def pipeline_settings(training: Training, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> TrainConfig:
    """The settings with which a pipeline trains."""
    monkeypatch.setattr("training.loop.overrides.check_files", lambda config: None)
    training.error = KeyboardInterrupt()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("training.loop.launch._train_in_processes", training.run_training)
    call(pipeline, *arguments, "--skip", "check", fails=True)
    return training.seen[-1]


def test_without_arguments_the_pipeline_has_the_documents_defaults(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of the document, row by row."""
    config = pipeline_settings(training, monkeypatch)
    assert config == preset("standard")
    assert (config.data.text_field, config.data.single_slice) == ("term", False)
    assert (config.losses.audio_text, config.losses.audio_term) == (0.3, 0.7)
    assert config.run.full_eval_every == 0
    assert config.data.test == Path("data/samples/xl/term_level_chunks_500000_1000000.json")
    assert best_path(config.run, config.data.single_slice) == Path("data/qwen2_audio_term_level_best.pt")
    assert config.run.gpu_ids == ()
    assert config.model.model_name == "Qwen/Qwen2-Audio-7B-Instruct"
    assert config.data.no_term
    assert config.hard_negatives is None


def test_the_eleven_positions_are_in_the_documents_order(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lands in its own setting."""
    config = pipeline_settings(
        training, monkeypatch, "short_description", "true", "0.1", "0.9", "true", "test.json", "best.pt", "0,1",
        "my/model", "false", "true",
    )  # fmt: skip
    assert (config.data.text_field, config.data.single_slice) == ("short_description", True)
    assert (config.losses.audio_text, config.losses.audio_term) == (0.1, 0.9)
    assert config.run.full_eval_every == 1
    assert (config.data.test, config.run.best_model) == (Path("test.json"), Path("best.pt"))
    assert config.run.gpu_ids == (0, 1)
    assert config.model.model_name == "my/model"
    assert not config.data.no_term
    assert config.hard_negatives is not None
    assert config.run.save_path == Path("data/qwen2_audio_term_level_single.pt")


def test_empty_positions_stand_for_defaults(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the document's own examples: "" for all GPUs."""
    config = pipeline_settings(training, monkeypatch, "term", "false", "", "", "false", "", "", "", "", "true", "true")
    assert config.losses == preset("standard").losses
    assert config.hard_negatives is not None


def test_a_position_and_its_option_must_agree() -> None:
    """Two different values for one setting are a usage error."""
    result = call(pipeline, "term", "true", "--no-single-slice")
    assert result.exit_code == 2
    assert "argument 2 (single_slice) is True and --single-slice is False" in result.stderr


def test_wrong_positions_are_usage_errors() -> None:
    """Exit code 2 and what was expected."""
    for arguments in (["word"], ["term", "perhaps"], ["term", "true", "much"]):
        assert call(pipeline, *arguments).exit_code == 2
