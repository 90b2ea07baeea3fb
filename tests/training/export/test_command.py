"""Checkpoint -> `termcue export` -> `termcue reindex` -> `termcue listen`, on tiny random models."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import run
from app.commands.export import export
from app.samples import recordings
from streaming.errors import SettingError
from streaming.model_folder import ModelFolder
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.config import ModelConfig, TrainConfig
from training.loop.trained_models import trained_weights
from training.models.retriever import DualEncoder


@pytest.mark.parametrize("kind", ["qwen2-lm", "characters"])
def test_checkpoint_becomes_hints(
    tmp_path: Path,
    configs: dict[str, ModelConfig],
    retriever_of: Callable[[str], DualEncoder],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """A trained file is exported, a glossary indexed with it and a recording listened to, all on the CPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checkpoint, model, glossary = tmp_path / "best.pt", tmp_path / "model", tmp_path / "terms.csv"
    config = TrainConfig(model=configs[kind])
    write_checkpoint(checkpoint, Checkpoint(config, trained_weights(retriever_of(kind), config.model)))
    glossary.write_text("term,de\ncountry,Land\nask not,frag nicht\nKalman filter,Kalman-Filter\n", "utf-8")
    done = CliRunner().invoke(export, [str(checkpoint), str(model), "--name", "tiny", "--offline", "--json"])
    assert done.exit_code == 0, done.output
    said = [line.removeprefix("termcue: ") for line in done.stderr.splitlines()]
    parts = [f"reading {checkpoint} …", "graph audio …", "graph spans …", "graph text …", "background …"]
    assert [line for line in said if line.endswith("…")] == parts
    report = json.loads(done.stdout)
    folder = ModelFolder.load(model)
    assert (report["type"], report["encoder_id"]) == ("ExportReport", folder.encoder_id)
    assert f"text_{'fp16' if kind == 'qwen2-lm' else 'int8'}" in report["parity"]
    data = ["--model", str(model), "--data-dir", str(tmp_path / "data")]
    assert run(["reindex", str(glossary), "--id", "terms", *data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 3
    speech = str(recordings()[-1].path)
    heard = ["listen", speech, "--glossary", "terms", "--target-lang", "de", "--abstentions", "--threshold", "0"]
    assert run([*heard, *data, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = {event["type"] for event in events}
    assert {"Begin", "Metadata"} <= kinds
    assert kinds & {"Abstain", "TermHint"}
    assert sum(event["type"] in ("Abstain", "TermHint") for event in events) > 5


def test_facts_need_licence_and_provenance(tmp_path: Path) -> None:
    """A file of facts that lacks one, or is no JSON, is told before the model is loaded."""
    facts = tmp_path / "facts.json"
    for content, sentence in ((b"{}", 'lacks "licence" or "provenance"'), (b"{", "cannot read the facts")):
        facts.write_bytes(content)
        done = CliRunner().invoke(export, ["absent.pt", str(tmp_path / "m"), "--facts", str(facts)])
        assert isinstance(done.exception, SettingError)
        assert sentence in str(done.exception)


def test_missing_training_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the command says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(export, ["best.pt", str(tmp_path / "m")])
    assert isinstance(done.exception, SettingError)
    assert "pip install '.[train]'" in str(done.exception)
