import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result

from app.commands.pipeline import pipeline
from app.commands.train import PRESETS, train
from streaming.errors import SettingError
from training.corpus.glossary import read_training_glossary
from training.corpus.manifest import ManifestError
from training.loop import presets
from training.loop.checkpoint_files import Checkpoint, best_path, trained_weights, write_checkpoint
from training.loop.config import TrainConfig
from training.loop.ports import Outcome, Progress
from training.loop.presets import preset
from training.loop.settings import read, written
from training.models.retriever import build_retriever


@dataclass
class Training:
    """Stands for `training.loop.assemble`: writes an untrained model, or fails."""

    seen: list[TrainConfig] = field(default_factory=list)
    error: BaseException | None = None

    def run_training(self, config: TrainConfig, progress: Progress | None = None) -> Outcome:
        self.seen.append(config)
        if self.error is not None:
            raise self.error
        logging.getLogger("training.loop").info("a step")
        if progress is not None:
            progress(3, 3)
        torch.manual_seed(1)
        weights = trained_weights(build_retriever(config.model), config.model)
        best = best_path(config.run, config.data.single_slice)
        for path in (config.run.save_path, best):
            write_checkpoint(path, Checkpoint(config, weights, 3, 1, {"recall@10": 0.5}))
        return Outcome(config.run.save_path, best, 3, 1, {"recall@10": 0.5}, "epochs")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Training:
    """Another training in place, in an empty working folder."""
    stand_in = Training()
    module = SimpleNamespace(run_training=stand_in.run_training)
    monkeypatch.setitem(sys.modules, "training.loop.assemble", cast(ModuleType, module))
    monkeypatch.chdir(tmp_path)
    return stand_in


@pytest.fixture
def rows(tmp_path: Path) -> list[str]:
    """The options that name a few rows of tones with terms."""
    rng = np.random.default_rng(2)
    samples = []
    for i in range(8):
        tone = 0.2 * np.sin(np.arange(24_000) * (0.05 + 0.01 * i)) + rng.normal(0, 0.01, 24_000)
        soundfile.write(tmp_path / f"r{i}.wav", tone, 16_000, subtype="PCM_16")
        term = [] if i == 7 else [f"term {'abcd'[i % 4]}"]
        samples.append(
            {"segment_id": f"r{i}", "text": f"we say {' '.join(term)}", "audio": f"r{i}.wav", "begin_time": 0.0,
             "end_time": 1.5, "audio_id": f"r{i}", "ground_truth_term": term, "has_target": bool(term),
             "original_tsv_index": i}
        )  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps(samples[:4]))
    (tmp_path / "test.json").write_text(json.dumps(samples[4:]))
    glossary = {f"term {c}": {"term": f"term {c}", "target_translations": {"de": f"Wort {c}"}} for c in "abcdef"}
    (tmp_path / "glossary.json").write_text(json.dumps(glossary))
    return ["--train", "train.json", "--test-samples", "test.json", "--glossary", "glossary.json"]


def call(command: Any, *arguments: str, fails: bool = False) -> Result:  # noqa: ANN401 - a click command
    """Run a command; what it raises is raised here unless it is to fail."""
    return CliRunner().invoke(command, list(arguments), catch_exceptions=fails)


def settings(*arguments: str, command: Any = train) -> TrainConfig:  # noqa: ANN401
    """The settings of a command line of `termcue train`."""
    result = call(command, *arguments, "--show-settings", "--json")
    assert result.exit_code == 0, result.stderr
    return read(json.loads(result.stdout))


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


PIPELINE = ("--preset", "tiny", "--save-path", "out/m_full.pt")


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


@pytest.fixture
def shards(training: Training, rows: list[str], tmp_path: Path) -> Path:
    """The document's layout without its merged file: three shards, the second of test rows."""
    folder = tmp_path / "data/samples/xl"
    folder.mkdir(parents=True)
    train, test = (json.loads((tmp_path / name).read_text()) for name in ("train.json", "test.json"))
    for name, part in (("0_500000", train[:2]), ("500000_1000000", test), ("1000000_1500000", train[1:])):
        placed = [row | {"audio": f"../../../{row['audio']}"} for row in part]
        (folder / f"term_level_chunks_{name}.json").write_text(json.dumps(placed))
    (folder / "notes.json").write_text("[]")
    (tmp_path / "data/terms").mkdir()
    (tmp_path / "glossary.json").rename(tmp_path / "data/terms/glossary_filtered.json")
    (tmp_path / "data/terms/alt2main.json").write_text("{}")
    return folder


IN_LAYOUT = ("--preset", "standard", "--skip", "train", "--skip", "evaluate", "--skip", "export")


def test_shards_are_merged_where_the_merged_file_is_missing(shards: Path, tmp_path: Path) -> None:
    """In the order of their numbers, each row once, without the test shard, and told; a second run merges nothing."""
    merged_file = tmp_path / "data/xl_term_level_chunks_merged.json"
    told = call(pipeline, *IN_LAYOUT).stderr
    assert "stage 1 of 2, merge" in told
    test_shard = "data/samples/xl/term_level_chunks_500000_1000000.json"
    assert f"merging 2 shards into data/xl_term_level_chunks_merged.json, without {test_shard}: test rows" in told
    assert [row["segment_id"] for row in json.loads(merged_file.read_text())] == ["r0", "r1", "r2", "r3"]
    (log,) = tmp_path.glob("logs/qwen2_audio_term_level_pipeline_*.log")
    assert f"merged.json, without {test_shard}: test rows; 1 repeated, 0 bad" in log.read_text()
    assert "8 rows checked, 0 cannot be used" in log.read_text()
    merged_file.write_text("[]")
    call(pipeline, *IN_LAYOUT, "--skip", "check")
    assert merged_file.read_text() == "[]"


def test_merging_can_be_left_out(shards: Path, tmp_path: Path) -> None:
    """--skip merge, and `termcue train`, which never merges, name the missing file and the cure."""
    for command, skip in ((pipeline, [*IN_LAYOUT[2:], "--skip", "merge"]), (train, [])):
        with pytest.raises(SettingError, match=r"merged.json does not exist; .*merge its shards with termcue pipeline"):
            call(command, *skip)
    assert not (tmp_path / "data/xl_term_level_chunks_merged.json").exists()


def test_the_documents_test_shard_is_never_merged(shards: Path, tmp_path: Path) -> None:
    """Also where another shard holds the test rows: the merged file outlives the run."""
    other = "data/samples/xl/term_level_chunks_0_500000.json"
    told = call(pipeline, *IN_LAYOUT, "--test-samples", other, "--skip", "check").stderr
    assert (
        "without data/samples/xl/term_level_chunks_0_500000.json and data/samples/xl/term_level_chunks_500000" in told
    )
    rows = json.loads((tmp_path / "data/xl_term_level_chunks_merged.json").read_text())
    assert [row["segment_id"] for row in rows] == ["r1", "r2", "r3"]


def test_a_test_shard_alone_makes_no_training_file(shards: Path) -> None:
    """There is nothing to train on, which is said before anything is written."""
    for name in ("0_500000", "1000000_1500000"):
        (shards / f"term_level_chunks_{name}.json").unlink()
    with pytest.raises(SettingError, match=r"merged.json does not exist; give another to --train\.$"):
        call(pipeline, *IN_LAYOUT)


def test_too_many_bad_rows_leave_no_merged_file(shards: Path, tmp_path: Path) -> None:
    """The share is that of --max-bad-share, and the first reason is named."""
    (shards / "term_level_chunks_0_500000.json").write_text('[{"x": 1}]')
    with pytest.raises(ManifestError, match=r"1 of 4 rows cannot be used, more than 5%.*neither segment_id nor id"):
        call(pipeline, *IN_LAYOUT)
    assert not (tmp_path / "data/xl_term_level_chunks_merged.json").exists()
    assert "1 row cannot be used, the first" in call(pipeline, *IN_LAYOUT, "--max-bad-share", "0.3").stderr


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
