import json
import os
from pathlib import Path

import pytest

from app.commands.pipeline import pipeline
from streaming.errors import SettingError
from tests.training.loop.train_commands import Training, call

PIPELINE = ("--preset", "tiny", "--save-path", "out/m_full.pt")


def test_the_whole_pipeline(training: Training, rows: list[str], tmp_path: Path) -> None:
    """Rows are checked, a model is trained, judged and exported; everything is in the log."""
    result = call(pipeline, "term", "false", "--preset", "tiny", *rows, "--save-path", "out/m_full.pt", "--json")
    assert result.exit_code == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer.get("type") for answer in answers] == ["TrainReport", None, "ExportReport"]
    assert "scores" in answers[1]
    assert (tmp_path / "out/m_best_evaluation.html").exists()
    assert (tmp_path / "out/m_full_model/spec.json").exists()
    (log,) = tmp_path.glob("logs/qwen2_audio_term_level_pipeline_*.log")
    text = log.read_text()
    for stage in ("stage 1 of 4, check: done", "2 of 4, train: done", "3 of 4, evaluate: done", "4 of 4, export: done"):
        assert stage in text
    assert "8 rows checked, 0 cannot be used" in text


def test_bad_rows_end_the_pipeline_before_it_trains(training: Training, rows: list[str], tmp_path: Path) -> None:
    """More than the allowed share of unreadable audio: the first reason is named."""
    (tmp_path / "r0.wav").unlink()
    with pytest.raises(SettingError, match=r"1 of 8 rows cannot be used.*r0.wav: is not there"):
        call(pipeline, "--preset", "tiny", *rows)
    assert not training.seen
    call(pipeline, "--preset", "tiny", *rows, "--max-bad-share", "0.5", "--skip", "evaluate", "--skip", "export")
    assert len(training.seen) == 1


def test_a_finished_training_is_not_repeated(training: Training, rows: list[str], tmp_path: Path) -> None:
    """The same command goes on to evaluation and export and says so; --fresh trains anew."""
    call(pipeline, *PIPELINE, *rows, "--skip", "evaluate", "--skip", "export")
    again = call(pipeline, *PIPELINE, *rows, "--log-every", "5")
    assert len(training.seen) == 1
    assert "trained already: out/m_full.pt, 3 steps; --fresh trains anew" in again.stderr
    assert "changed since" not in again.stderr
    assert (tmp_path / "out/m_best_evaluation.html").exists()
    assert (tmp_path / "out/m_full_model/spec.json").exists()
    call(pipeline, *PIPELINE, *rows, "--fresh", "--skip", "evaluate", "--skip", "export")
    assert len(training.seen) == 2


def test_rows_that_changed_since_a_training_are_told(training: Training, rows: list[str], tmp_path: Path) -> None:
    """The user learns that the checkpoint knows nothing of them."""
    only_train = ("--skip", "evaluate", "--skip", "export")
    call(pipeline, *PIPELINE, *rows, *only_train)
    later = (tmp_path / "out/m_full.pt").stat().st_mtime + 10
    os.utime(tmp_path / "glossary.json", (later, later))
    assert "glossary.json changed since" in call(pipeline, *PIPELINE, *rows, *only_train).stderr


def test_other_settings_never_replace_a_finished_training_unasked(training: Training, rows: list[str]) -> None:
    """What differs is named; --skip train and --fresh are the two ways on, and both work."""
    only_train = ("--skip", "evaluate", "--skip", "export")
    call(pipeline, *PIPELINE, *rows, *only_train)
    with pytest.raises(SettingError, match=r"out/m_full.pt is a finished .*\(run.epochs 2 -> 3\); give --fresh"):
        call(pipeline, *PIPELINE, *rows, "--epochs", "3", *only_train)
    call(pipeline, *PIPELINE, *rows, "--epochs", "3", *only_train, "--skip", "train")
    assert len(training.seen) == 1
    call(pipeline, *PIPELINE, *rows, "--epochs", "3", *only_train, "--fresh")
    assert training.seen[1].run.epochs == 3


def test_an_unfinished_training_goes_on(training: Training, rows: list[str], tmp_path: Path) -> None:
    """A state to go on from counts for more than the checkpoint of an earlier run."""
    only_train = ("--skip", "evaluate", "--skip", "export")
    call(pipeline, *PIPELINE, *rows, *only_train)
    (tmp_path / "out/m_full.resume").mkdir()
    (tmp_path / "out/m_full.resume/LATEST").write_text("1 1\n")
    call(pipeline, *PIPELINE, *rows, *only_train)
    assert len(training.seen) == 2


def test_a_calibrated_folder_is_not_exported_over(training: Training, rows: list[str], tmp_path: Path) -> None:
    """A repeat keeps thresholds that were set since; the folder of an older checkpoint is replaced."""
    call(pipeline, *PIPELINE, *rows, "--skip", "evaluate", "--skip", "export")
    folder, checkpoint = tmp_path / "out/m_full_model", tmp_path / "out/m_best.pt"
    folder.mkdir()
    (folder / "spec.json").write_text('{"calibration_report": {}}')
    repeated = call(pipeline, *PIPELINE, *rows, "--skip", "evaluate")
    assert "left as it is: out/m_full_model is calibrated" in repeated.stderr
    assert [path.name for path in folder.iterdir()] == ["spec.json"]
    later = (folder / "spec.json").stat().st_mtime + 10
    os.utime(checkpoint, (later, later))
    call(pipeline, *PIPELINE, *rows, "--skip", "evaluate")
    assert "calibration_report" not in json.loads((folder / "spec.json").read_text())
