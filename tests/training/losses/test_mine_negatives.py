"""Tests of mining from rows of speech, through the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result

from app.commands.mine_negatives import mine_negatives
from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.rows import write_examples
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.config import ModelConfig, TrainConfig
from training.loop.trained_models import trained_weights
from training.losses.mining_rows import device_of
from training.models.retriever import build_retriever
from training.models.tiny import write_tiny_whisper

TERMS = ["kalman filter", "particle filter", "plague", "neural network"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random retriever with a tiny Whisper and the character tower."""
    folder = tmp_path_factory.mktemp("retriever")
    name = str(write_tiny_whisper(folder / "whisper"))
    model = ModelConfig(audio_tower="whisper", model_name=name, text_tower="characters", dim=16)
    torch.manual_seed(0)
    weights = trained_weights(build_retriever(model), model)
    write_checkpoint(folder / "model.pt", Checkpoint(TrainConfig(model), weights))
    return folder / "model.pt"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two rows with terms, one without, and one whose audio is missing."""
    rng = np.random.default_rng(0)
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", rng.uniform(-0.3, 0.3, 24_000 + 3_200 * number), 16_000)
    terms = [
        (TermSpan("Kalman filters", 4_000, 14_000), TermSpan("plague", 15_000, 20_000)),
        (TermSpan("plague", 0, 8_000),),
    ]
    examples = [Example(f"row{i}", tmp_path / f"{i}.wav", 0, 0, "", terms[i] if i < 2 else ()) for i in range(4)]
    write_examples(tmp_path / "rows.jsonl", examples)
    return tmp_path / "rows.jsonl"


def run(checkpoint: Path, rows: Path, *more: str) -> tuple[Result, Path]:
    """The result of the command, and its output file."""
    out = rows.with_name("negatives.jsonl")
    arguments = ["--model", str(checkpoint), "--samples", str(rows), "--out", str(out), "--json", *more]
    return CliRunner().invoke(mine_negatives, arguments, catch_exceptions=False), out


def test_a_table_of_terms_will_do(checkpoint: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A glossary in CSV gives its terms, and an alias of what is said makes no negative."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(rows.parent / "cache"))
    table = "term,de,aliases\nLQE filter,LQE-Filter,kalman filters\nneural network,Netz,\nplague,Pest,\n"
    rows.with_name("terms.csv").write_text(table, "utf-8")
    result, out = run(checkpoint, rows, "--glossary", str(rows.with_name("terms.csv")))
    assert json.loads(result.stdout)["terms"] == 3
    first = json.loads(out.read_text("utf-8").splitlines()[0])
    assert [negative["term"] for negative in first["negatives"]] == ["neural network"]


def test_rows_are_mined_against_a_glossary(checkpoint: Path, rows: Path) -> None:
    """Each readable row gets terms that it does not hold, hardest first; a missing file is counted."""
    glossary = rows.with_name("glossary.json")
    glossary.write_text(json.dumps(TERMS), "utf-8")
    result, out = run(checkpoint, rows, "--glossary", str(glossary), "--count", "3")
    report = json.loads(result.stdout)
    assert report == {
        "type": "MiningReport",
        "path": str(out),
        "rows": 3,
        "bad": 1,
        "terms": 4,
        "device": "cpu",
    }
    found = {row["example_id"]: row["negatives"] for row in map(json.loads, out.read_text("utf-8").splitlines())}
    names = {key: [n["term"] for n in negatives] for key, negatives in found.items()}
    assert {key: set(value) for key, value in names.items() if key != "row2"} == {
        "row0": {"particle filter", "neural network"},
        "row1": {"kalman filter", "particle filter", "neural network"},
    }
    assert len(names["row2"]) == 3
    for negatives in found.values():
        scores = [n["score"] for n in negatives]
        assert scores == sorted(scores, reverse=True)


def test_terms_of_the_rows_are_the_default(checkpoint: Path, rows: Path) -> None:
    """Without a glossary, what is said in one row is what another one may be mistaken for."""
    result, out = run(checkpoint, rows)
    assert json.loads(result.stdout)["terms"] == 2
    first = json.loads(out.read_text("utf-8").splitlines()[0])
    assert first == {"example_id": "row0", "negatives": []}


def test_batches_change_nothing(checkpoint: Path, rows: Path) -> None:
    """A row is given the same negatives alone and beside others."""
    files = []
    for size in ("1", "16"):
        _, out = run(checkpoint, rows, "--batch-size", size)
        files.append([json.loads(line) for line in out.read_text("utf-8").splitlines()])
    for alone, together in zip(*files, strict=True):
        assert [n["term"] for n in alone["negatives"]] == [n["term"] for n in together["negatives"]]
        for one, other in zip(alone["negatives"], together["negatives"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=2e-3)


def test_a_repeated_id_is_no_other_row(checkpoint: Path, rows: Path) -> None:
    """A silent row is left out; the row that has its id is mined all the same, as its own terms want."""
    folder = rows.parent
    soundfile.write(folder / "silent.wav", np.zeros(24_000), 16_000)
    examples = [
        Example("same", folder / "silent.wav", 0, 0, "", ()),
        Example("same", folder / "0.wav", 0, 0, "", (TermSpan("Kalman filters", 4_000, 14_000),)),
        Example("other", folder / "1.wav", 0, 0, "", (TermSpan("plague", 0, 8_000),)),
    ]
    write_examples(rows, examples)
    result, out = run(checkpoint, rows)
    report = json.loads(result.stdout)
    assert (report["rows"], report["bad"]) == (2, 1)
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(row["example_id"], [n["term"] for n in row["negatives"]]) for row in found] == [
        ("same", ["plague"]),
        ("other", ["Kalman filters"]),
    ]


def test_too_few_terms_are_refused(checkpoint: Path, rows: Path) -> None:
    """Mining among one term is an error that names the cure."""
    glossary = rows.with_name("one.txt")
    glossary.write_text("plague\n", "utf-8")
    with pytest.raises(SettingError, match="1 term cannot be told apart; give --glossary"):
        run(checkpoint, rows, "--glossary", str(glossary))


def test_aliases_need_a_glossary(checkpoint: Path, rows: Path) -> None:
    """Aliases alone are wrong usage."""
    result, _ = run(checkpoint, rows, "--aliases", "alt2main.json")
    assert result.exit_code == 2
    assert "give --glossary too" in result.stderr


def test_a_gpu_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU asked for by name and not there is an error; `auto` takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    with pytest.raises(SettingError, match="no GPU for --provider cuda"):
        device_of("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [device_of(name).type for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


def test_what_was_done_is_told_in_words(checkpoint: Path, rows: Path) -> None:
    """Without --json, one line of result, and on standard error what was left out and why."""
    with rows.open("a", encoding="utf-8") as file:
        file.write("not JSON\n")
    out = rows.with_name("negatives.jsonl")
    arguments = ["--model", str(checkpoint), "--samples", str(rows), "--out", str(out)]
    result = CliRunner().invoke(mine_negatives, arguments, catch_exceptions=False)
    assert result.stdout == "3 rows against 2 terms on the cpu\n"
    assert "2 rows left out" in result.stderr
    assert "row 5: not JSON" in result.stderr


def test_missing_libraries_are_named(checkpoint: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the training extra, the command says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"mining needs torch, .*pip install '\.\[train\]'"):
        run(checkpoint, rows)
