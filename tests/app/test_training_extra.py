"""Without the extra `train` each command of training says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "align": "train.tsv --textgrids . --glossary terms.csv --out rows",
    "synthesize": "--terms terms.txt --out speech",
    "merge": "shards --out rows.jsonl",
    "validate-audio": "rows.jsonl",
    "mine-negatives": "--model best.pt --samples rows.jsonl --out negatives.jsonl",
    "train": "--preset adapt",
    "pipeline": "term true",
    "evaluate": "--samples rows.jsonl",
    "calibrate": "--model model --speech dev.jsonl",
    "export": "best.pt model",
}
# A module that stands as None among the loaded ones is found by nobody.
WITHOUT_THE_EXTRA = """
import sys
sys.modules |= dict.fromkeys(
    "torch transformers safetensors onnx huggingface_hub accelerate peft tensorboard praatio ijson sklearn matplotlib".split()
)
from app.cli import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_missing_is_one_sentence(tmp_path: Path, command: str) -> None:
    """No traceback: what the command needs, and how it is installed."""
    (tmp_path / "terms.txt").write_text("ridge regression\n")
    (tmp_path / "terms.csv").write_text("term,de\nridge regression,Ridge-Regression\n")
    call = [sys.executable, "-c", WITHOUT_THE_EXTRA, command, *COMMANDS[command].split()]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("termcue: error: ")
    assert done.stderr.endswith("; install them, in a checkout: pip install '.[train]'\n")
