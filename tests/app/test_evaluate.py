"""`termcue evaluate` and `termcue calibrate` on the bundled model and recordings."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

from app.commands.calibrate import calibrate
from app.commands.evaluate import evaluate
from app.samples import glossary_path, recordings
from streaming.calibration import Calibration
from streaming.errors import SettingError
from streaming.model_folder import BUNDLED, ModelFolder
from training.corpus.examples import Example, TermSpan
from training.corpus.rows import write_examples
from training.corpus.splits import LeakError

SAID = {1: ("young man",), 4: ("amiable",), 5: ("fellow americans", "country")}


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Indexes are cached for this run of the tests, not in the developer's home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Rows of bundled recordings; a term's span is about where its words lie among those of the row."""
    examples = []
    for number, terms in SAID.items():
        recording = recordings()[number]
        samples, words = soundfile.info(str(recording.path)).frames, recording.words.split()
        spans = []
        for term in terms:
            first = words.index(term.split()[0])
            bounds = [samples * i // len(words) for i in (first, first + len(term.split()))]
            spans.append(TermSpan(term, *bounds))
        name = recording.path.stem
        examples.append(Example(name, recording.path, 0, 0, recording.words, tuple(spans), recording=name))
    write_examples(tmp_path / "rows.jsonl", examples)
    return tmp_path / "rows.jsonl"


def run(command: str, *arguments: str | Path) -> Result:
    """The command in this process; errors that users can cure are raised."""
    commands = {"evaluate": evaluate, "calibrate": calibrate}
    given: Sequence[str] = [str(argument) for argument in arguments]
    return CliRunner().invoke(commands[command], given, catch_exceptions=False)


def test_rows_through_a_model_folder(rows: Path, tmp_path: Path) -> None:
    """Figures under MTEB's names on standard output, one object; the same in a file, and a page with curves."""
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    words = tmp_path / "words.txt"
    words.write_text("\n".join(f"{a} {b}" for a in ("iron", "paper", "silver") for b in ("gate", "boat", "road")))
    given = ("--glossary", glossary_path(), "--distractors", words, "--bank-sizes", "20", "--control")
    heard = ("--training", rows, "--allow-leak")
    result = run("evaluate", "--samples", rows, *given, "--out", out, "--report", page, "--json", *heard)
    found = json.loads(result.stdout)
    assert found == json.loads(out.read_text("utf-8"))
    (glossary, *_) = found["scores"]["test"]
    assert glossary["hf_subset"] == "glossary"
    assert glossary["occurrences"] == 4
    assert glossary["main_score"] == glossary["recall_at_10"] == glossary["seen_recall_at_10"]
    assert glossary["unseen_recall_at_10"] is None
    assert {one["hf_subset"] for one in found["untrained"]} == {one["hf_subset"] for one in found["scores"]["test"]}
    assert len(found["dataset_revision"]) == 12
    html = page.read_text("utf-8")
    assert html.count("<svg") >= 3
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "src=" not in html


def test_rows_of_training_are_no_test(rows: Path) -> None:
    """What --samples shares with --training is refused by name, and told where it is allowed."""
    with pytest.raises(LeakError, match=r"share .*3 rows.*other rows with --samples, or give --allow-leak"):
        run("evaluate", "--samples", rows, "--training", rows)
    told = run("evaluate", "--samples", rows, "--training", rows, "--allow-leak")
    assert told.exit_code == 0
    assert "measure memory" in told.stderr


def test_rows_are_told_in_a_table(rows: Path) -> None:
    """Without --json a person reads counts, a head and a line a figure."""
    result = run("evaluate", "--samples", rows, "--development", rows, "--control")
    begun = [f"termcue: {part} …" for part in ("terms", "development rows", "rows")] * 2
    assert [line for line in result.stderr.splitlines() if line.endswith("…")] == begun
    lines = result.stdout.splitlines()
    assert lines[0].startswith("3 rows, 0 of them without a term; 4 occurrences; threshold chosen on development")
    assert lines[1].split() == ["4", "terms", "untrained", "4"]
    assert any(line.startswith("recall_at_10") and line.endswith("1.0000") for line in lines)


def test_calibration_from_rows_is_written_into_the_folder(rows: Path, tmp_path: Path) -> None:
    """--check tells and leaves the folder; without it new weights go in, graphs and id stay, and streams use them."""
    model = tmp_path / "model"
    shutil.copytree(BUNDLED, model)
    before = ModelFolder.load(model)
    short = tmp_path / "short.jsonl"
    short.write_text("".join(rows.read_text("utf-8").splitlines(keepends=True)[:2]), "utf-8")
    given = ("--model", model, "--speech", f"{short}={glossary_path()}", "--report", tmp_path / "page.html")
    checked = run("calibrate", *given, "--check", "--json")
    assert json.loads(checked.stdout)["written"] is False
    assert ModelFolder.load(model).calibration.to_json() == before.calibration.to_json()
    told = run("calibrate", *given)
    assert "expected calibration error" in told.stdout
    assert "is calibrated on" in told.stderr
    assert "0 minutes of speech can tell little of false hints per hour" in told.stderr
    after = ModelFolder.load(model)
    assert after.encoder_id == before.encoder_id
    wanted = Calibration.from_json(json.loads(checked.stdout)["calibration"])
    assert after.calibration.to_json() == wanted.to_json()
    assert (tmp_path / "page.html").read_text("utf-8").count("<svg") == 2


def test_a_long_stream_is_heard_as_listeners_hear_it(tmp_path: Path) -> None:
    """Both profiles' figures and the curve, from the folder's own thresholds."""
    recording = recordings()[1]
    seconds = soundfile.info(str(recording.path)).duration
    words = [[w, seconds * i / 8, seconds * (i + 1) / 8] for i, w in enumerate(recording.words.split()[:8])]
    raw = {
        "name": "short",
        "duration_s": seconds,
        "utterances": [{"path": recording.path.name, "offset_s": 0.0}],
        "occurrences": [{"term": "young man", "start": words[6][1], "end": words[7][2]}],
        "words": words,
    }
    (tmp_path / "short.json").write_text(json.dumps(raw), "utf-8")
    shutil.copy(glossary_path(), tmp_path / "short.sample.csv")
    given = ("--stream", tmp_path / "short.json", "--audio-dir", recording.path.parent)
    (heard,) = json.loads(run("evaluate", *given, "--json").stdout)["streams"]
    assert (heard["stream"], heard["occurrences"]) == ("short", 1)
    assert {"recall", "precision", "false_hints_per_hour", "on_time_rate"} <= heard["booth"].keys()
    table = run("evaluate", *given, "--report", tmp_path / "page.html").stdout
    assert "booth" in table
    assert "<svg" in (tmp_path / "page.html").read_text("utf-8")


def test_usage_is_checked_before_work_begins(rows: Path, tmp_path: Path) -> None:
    """Nothing to judge, sizes that are none, a report into nowhere, a model that is not there."""
    assert run("evaluate").exit_code == 2
    assert run("evaluate", "--samples", rows, "--bank-sizes", "1000,x").exit_code == 2
    with pytest.raises(SettingError, match="there is no folder"):
        run("evaluate", "--samples", rows, "--report", tmp_path / "gone" / "page.html")
    with pytest.raises(SettingError, match="there is no model"):
        run("evaluate", "--samples", rows, "--model", tmp_path / "gone")
    with pytest.raises(SettingError, match="give the --glossary too"):
        run("evaluate", "--samples", rows, "--aliases", rows)


@pytest.mark.parametrize(("asked", "stem"), [("full.pt", "full"), ("talks_full.pt", "talks"), ("one_single.pt", "one")])
def test_an_unfinished_run_names_the_checkpoints_that_it_has(rows: Path, tmp_path: Path, asked: str, stem: str) -> None:
    """The last checkpoint comes at the end; the best one and those of epochs are there before it."""
    for name in (f"{stem}_best.pt", f"{stem}_epoch1.pt", f"{stem}_log.jsonl", "other_best.pt"):
        (tmp_path / name).touch()
    with pytest.raises(SettingError, match=rf"already {stem}_best\.pt, {stem}_epoch1\.pt in "):
        run("evaluate", "--samples", rows, "--model", tmp_path / asked)


def test_streams_need_an_exported_folder_and_a_glossary(rows: Path, tmp_path: Path) -> None:
    """A checkpoint cannot hear a stream; a stream without a glossary, or with a foreign one, is refused by name."""
    with pytest.raises(SettingError, match="termcue export"):
        run("calibrate", "--model", rows, "--speech", rows)
    with pytest.raises(SettingError, match="has no glossary to be heard with"):
        run("calibrate", "--model", BUNDLED, "--speech", rows, "--check")
    other = tmp_path / "other.csv"
    other.write_text("term\nzeppelin\n", "utf-8")
    with pytest.raises(SettingError, match=r"no term of .*other\.csv is said in rows-a"):
        run("calibrate", "--model", BUNDLED, "--speech", rows, "--glossary", other, "--check")
    with pytest.raises(SettingError, match="names no file"):
        run("calibrate", "--model", BUNDLED, "--speech", "=x", "--check")
