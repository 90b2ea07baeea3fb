import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.pipeline import pipeline
from app.commands.train import train
from streaming.errors import SettingError
from tests.training.loop.train_commands import Training, call, settings
from training.corpus.glossary import read_training_glossary


def test_a_training_is_reported(training: Training, rows: list[str], tmp_path: Path) -> None:
    """One JSON object on standard output, or sentences; the documented log files."""
    result = call(train, "--preset", "tiny", *rows, "--save-path", "m_full.pt", "--json")
    assert json.loads(result.stdout) == {
        "type": "TrainReport", "checkpoint": "m_full.pt", "best": "m_best.pt", "steps": 3, "epochs": 1,
        "figures": {"recall@10": 0.5}, "ended": "epochs",
    }  # fmt: skip
    assert training.seen[0].data.test == Path("test.json")
    assert "a step" in next(tmp_path.glob("logs/qwen2_train_term_level_*.out")).read_text()
    told = call(train, "--preset", "tiny", *rows, "--save-path", "m_full.pt")
    assert "3 steps in 1 epoch: all epochs are done; recall@10 0.5" in told.stdout
    assert "m_best.pt" in told.stderr


def test_a_table_of_terms_will_do(
    training: Training, rows: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Training and pipeline read CSV as `termcue reindex` does, and evaluate with it; a repeated run is the same run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "terms.csv").write_text("term,de\n" + "".join(f"term {c},Wort {c}\n" for c in "abcdef"), "utf-8")
    given = ["--preset", "tiny", *rows, "--glossary", "terms.csv", "--save-path", "out/m_full.pt"]
    call(train, *given)
    told = call(pipeline, *given, "--skip", "export")
    assert "trained already" in told.stderr
    assert (tmp_path / "out/m_best_evaluation.html").exists()
    call(pipeline, *given, "--fresh", "--skip", "evaluate", "--skip", "export")
    first, again = (config.data.glossary for config in training.seen)
    assert first == again is not None
    assert again.parent == tmp_path / "cache/termcue/training-glossaries"
    glossary = read_training_glossary(again)
    assert next((t.term, t.translations) for t in glossary.terms) == ("term a", {"de": "Wort a"})
    assert settings(*given).data.glossary == Path("terms.csv")


def test_missing_rows_are_told_before_anything_is_loaded(training: Training) -> None:
    """The document's layout is not here."""
    with pytest.raises(SettingError, match=r"data/xl_term_level_chunks_merged.json does not exist"):
        call(train)
    assert not training.seen


def test_slurm_scripts_are_written_and_not_run(training: Training, rows: list[str], tmp_path: Path) -> None:
    """--slurm-dry-run writes the script with what was asked for; --slurm says where there is no Slurm."""
    arguments = ["--preset", "tiny", *rows, "--slurm-gpus", "2", "--slurm-time", "2:00:00", "--json"]
    result = call(train, *arguments, "--slurm-dry-run")
    answer = json.loads(result.stdout)
    assert answer["job"] is None
    text = (tmp_path / answer["script"]).read_text()
    assert "#SBATCH --gpus-per-node=2" in text
    assert "#SBATCH --time=2:00:00" in text
    assert not training.seen
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(SettingError, match="no sbatch"):
            call(train, *arguments, "--slurm")


def test_the_verbosity_of_transformers_is_honoured() -> None:
    """TRANSFORMERS_VERBOSITY=debug, as the document says, is not undone by the command's own logging."""
    code = "import app.cli, transformers; app.cli.set_up_logging('info'); print(transformers.logging.get_verbosity())"
    environment = os.environ | {"TRANSFORMERS_VERBOSITY": "debug"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(logging.DEBUG)
