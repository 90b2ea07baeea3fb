"""`termcue pipeline`: the document's script in one command, from a check of the rows to an exported model folder."""

import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.commands.train import report, train_with_bar
from app.notes import counted, note
from app.options import Command, FiniteRange, NamedPath, json_option
from app.training_options import gpu_numbers, hyphens, training_options
from app.training_settings import settings_of, with_training_glossary

if TYPE_CHECKING:
    from training.corpus.audio_checks import BadAudio
    from training.loop.checkpoint_files import Checkpoint
    from training.loop.config import TrainConfig
    from training.loop.merging import Merge

STAGES = ("merge", "check", "train", "evaluate", "export")
CHECKED_ROWS = 2_000
_SHOWN = 5
EPILOG = """\b
The eleven positions, as the document gives them, and what stands for each that is left out or '':
  1 text_field             term
  2 single_slice           false
  3 audio_text_loss_ratio  0.3
  4 audio_term_loss_ratio  0.7
  5 enable_full_eval       false
  6 test_samples_path      data/samples/xl/term_level_chunks_500000_1000000.json
  7 best_model_path        data/qwen2_audio_term_level_best.pt
  8 gpu_ids                '' (all)
  9 model_name             Qwen/Qwen2-Audio-7B-Instruct
  10 enable_no_term        true
  11 enable_hard_neg       false
Each has an option of its own as well, and a --preset gives other defaults.
\b
Examples:
  termcue pipeline term true
  termcue pipeline term false 0.3 0.7 true
  termcue pipeline term false 0.3 0.7 true test.json best.pt 0,1
  termcue pipeline --preset compact --train rows.jsonl --test-samples test.jsonl --glossary terms.json
"""


Convert = Callable[[click.Context, click.Parameter, Any], Any]


def _as(kind: Any) -> Convert:  # noqa: ANN401 - click's types have no common one across its versions
    """'' and what is left out -> None; else what the type makes of it."""
    return lambda context, parameter, value: kind.convert(value, parameter, context) if value else None


# The document's name of each position, in its order; the option of the same meaning; how it is read.
POSITIONS: tuple[tuple[str, str, Convert], ...] = (
    ("text_field", "text_field", _as(click.Choice(["term", "short_description"]))),
    ("single_slice", "single_slice", _as(click.BOOL)),
    ("audio_text_loss_ratio", "audio_text_loss_ratio", _as(FiniteRange(min=0.0))),
    ("audio_term_loss_ratio", "audio_term_loss_ratio", _as(FiniteRange(min=0.0))),
    ("enable_full_eval", "full_eval", _as(click.BOOL)),
    ("test_samples_path", "test_samples", _as(NamedPath())),
    ("best_model_path", "best_model", _as(NamedPath())),
    ("gpu_ids", "gpu_ids", lambda context, parameter, value: gpu_numbers(context, parameter, value) or None),
    ("model_name", "model_name", _as(click.STRING)),
    ("enable_no_term", "no_term", _as(click.BOOL)),
    ("enable_hard_neg", "hard_neg", _as(click.BOOL)),
)
_ARGUMENT = "argument_"


def _positions(command: Command) -> Command:
    for name, _, convert in reversed(POSITIONS):
        add = click.argument(_ARGUMENT + name, required=False, callback=convert, metavar=f"[{name.upper()}]")
        command = add(command)
    return command


@click.command(epilog=EPILOG, context_settings={"token_normalize_func": hyphens})
@_positions
@training_options
@click.option("--skip", type=click.Choice(STAGES), multiple=True, help="Leave a stage out; may be repeated.")
@click.option("--export-dir", type=NamedPath(), metavar="DIR", help="Where the model folder goes. [NAME_model]")
@click.option("--speech", type=NamedPath(), multiple=True, metavar="PATH", help="Background speech of the export.")
@json_option
@click.pass_context
def pipeline(
    context: click.Context,
    /,
    skip: tuple[str, ...],
    export_dir: Path | None,
    speech: tuple[Path, ...],
    as_json: bool,
    **options: Any,  # noqa: ANN401 - the positions and all settings of a training
) -> None:
    """Check the rows, train, evaluate, and export a model folder: all that `termcue train` does and what goes round it.

    Where data/xl_term_level_chunks_merged.json is missing, the shards in data/samples/xl are merged into it first,
    without those of the test rows. Everything is told in logs/qwen2_audio_term_level_pipeline_*.log too.

    The same command goes on with a training that was stopped, and goes past one that is finished: it is evaluated and
    exported, and only --fresh trains anew. Stages can be left out with --skip.
    """
    config = settings_of(context, merged(context, options))
    from training.loop.finished import finished_training
    from training.loop.merging import to_merge, with_shards
    from training.loop.overrides import check_files
    from training.loop.pipeline import Stage, run_stages

    merge = None if "merge" in skip else to_merge(config)
    check_files(config if merge is None else with_shards(config, merge))
    config = with_training_glossary(config)
    finished = None if "train" in skip else finished_training(config)
    trained: list[Path] = []
    makers: dict[str, Callable[[], str]] = {} if merge is None else {"merge": lambda: _merge(config, merge)}
    makers |= {
        "check": lambda: _check(config),
        "train": lambda: _train(config, trained, as_json) if finished is None else _trained(config, finished),
        "evaluate": lambda: _evaluate(context, config, trained, as_json),
        "export": lambda: _export(context, config, trained, export_dir, speech, as_json),
    }
    stages = [Stage(name, make) for name, make in makers.items() if name not in skip]
    log = run_stages(stages, config.run.logs, note)
    note(f"all stages are done; the log is {log}")


def merged(context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Positions under the names of their options. A usage error where both are given and differ."""
    named = dict(options)
    for number, (position, name, _) in enumerate(POSITIONS, 1):
        value = named.pop(_ARGUMENT + position)
        if value is None:
            continue
        if named[name] is not None and named[name] != value:
            raise click.UsageError(
                f"argument {number} ({position}) is {value} and --{name.replace('_', '-')} is {named[name]}; give one "
                "of them.",
                context,
            )
        named[name] = value
    return named


def _merge(config: "TrainConfig", merge: "Merge") -> str:
    """The document's training file, of its shards."""
    from training.corpus.lines import BadRows
    from training.loop.merging import run_merge

    without = f", without {' and '.join(map(str, merge.left_out))}: test rows" if merge.left_out else ""
    note(f"merging {counted(len(merge.shards), 'shard')} into {merge.out}{without}")
    bad = BadRows()
    counts = run_merge(merge, config.data.max_bad_share, bad)
    if bad.count:
        note(f"{counted(bad.count, 'row')} cannot be used, the first: {bad.listed[0]}")
    return f"{counted(counts.rows, 'row')} in {merge.out}{without}; {counts.duplicates} repeated, {counts.bad} bad"


def _check(config: "TrainConfig") -> str:
    """The first rows of training and test; a run that finds too many bad ones fails before it begins."""
    from streaming.errors import SettingError
    from training.corpus.audio_checks import check_all

    paths = [*config.data.train, *([config.data.test] if config.data.test else [])]
    checked = 0
    bad: list[BadAudio] = []
    for path in paths:
        found, faults = _checked(islice(check_all([path], max(1, config.data.workers)), CHECKED_ROWS))
        checked, bad = checked + found, bad + faults
    if bad:
        told = "".join(f"\n  {one.name}: {one.reason}" for one in bad[:_SHOWN])
        note(f"{len(bad)} of {counted(checked, 'checked row')} cannot be used; all: termcue validate-audio{told}")
    if checked and len(bad) > config.data.max_bad_share * checked:
        raise SettingError(
            f"{len(bad)} of {counted(checked, 'row')} cannot be used, more than --max-bad-share "
            f"{config.data.max_bad_share:g}; the first: {bad[0].name}: {bad[0].reason}."
        )
    return f"{counted(checked, 'row')} checked, {len(bad)} cannot be used"


def _checked(found: Iterable["BadAudio | None"]) -> tuple[int, list["BadAudio"]]:
    every = list(found)
    return len(every), [one for one in every if one is not None]


def _train(config: "TrainConfig", trained: list[Path], as_json: bool) -> str:
    """Train, and put the checkpoint to go on with into `trained`."""
    outcome = train_with_bar(config)
    report(outcome, as_json)
    trained.append(outcome.best or outcome.checkpoint)
    return f"{counted(outcome.steps, 'step')}, {trained[-1]}"


def _result(config: "TrainConfig", trained: list[Path]) -> Path:
    """The checkpoint of the training before: of this pipeline, or of one that is found finished."""
    from training.loop.launch import result_path

    return trained[-1] if trained else result_path(config)


def _trained(config: "TrainConfig", finished: "Checkpoint") -> str:
    """What is said in the place of a training that is done."""
    from training.loop.finished import newer_rows

    path = config.run.save_path
    note(f"trained already: {path}, {counted(finished.step, 'step')}; --fresh trains anew")
    newer = newer_rows(config.data, path)
    if newer:
        note(f"{', '.join(map(str, newer[:_SHOWN]))} changed since, which only a new training takes up")
    return f"nothing to do, {path} is finished"


def _evaluate(context: click.Context, config: "TrainConfig", trained: list[Path], as_json: bool) -> str:
    """The best checkpoint on the test rows, as `termcue evaluate` judges it."""
    from app.commands.evaluate import evaluate

    if config.data.test is None:
        return "left out: there are no test rows (--test-samples)"
    result = _result(config, trained)
    page = result.with_name(f"{result.stem}_evaluation.html")
    data = config.data
    arguments = [
        f"--model={result}",
        f"--samples={data.test}",
        f"--out={page.with_suffix('.json')}",
        f"--report={page}",
    ]
    # What was trained on, and no more: a single slice is one shard of a folder that may hold the test rows too.
    rows = config.run.save_path.with_name(f"{config.run.save_path.stem}.rows") / "train.jsonl"
    arguments += [f"--training={path}" for path in ([rows] if rows.exists() else data.train)]
    arguments += [f"--text-field={data.text_field}"]
    arguments += [] if data.glossary is None else [f"--glossary={data.glossary}"]
    arguments += [] if data.aliases is None else [f"--aliases={data.aliases}"]
    arguments += ["--allow-leak"] * data.allow_leak
    _call(context, evaluate, arguments + ["--json"] * as_json)
    recall = json.loads(page.with_suffix(".json").read_text("utf-8"))["scores"]["test"][0]["recall_at_10"]
    told = "recall@10 unknown" if recall is None else f"recall@10 {recall:.4f}"
    return f"{told}, {page}"


def _export(
    context: click.Context,
    config: "TrainConfig",
    trained: list[Path],
    target: Path | None,
    speech: tuple[Path, ...],
    as_json: bool,
) -> str:
    """The best checkpoint as a model folder, as `termcue export` writes it."""
    from app.commands.export import export

    result = _result(config, trained)
    target = target or config.run.save_path.with_name(f"{config.run.save_path.stem}_model")
    if _is_calibrated_since(target, result):
        note(f"left as it is: {target} is calibrated, which an export would undo; --export-dir names another")
        return f"nothing to do, {target} is of this checkpoint and calibrated"
    arguments = [str(result), str(target), *(f"--speech={path}" for path in speech)]
    _call(context, export, arguments + ["--offline"] * config.model.offline + ["--json"] * as_json)
    return str(target)


def _is_calibrated_since(folder: Path, checkpoint: Path) -> bool:
    """Whether a model folder was calibrated after the checkpoint was written."""
    spec = folder / "spec.json"
    if not spec.exists() or spec.stat().st_mtime < checkpoint.stat().st_mtime:
        return False
    return "calibration_report" in json.loads(spec.read_text("utf-8"))


def _call(context: click.Context, command: click.Command, arguments: list[str]) -> None:
    """Another command as the user would call it, with its own section of the configuration file."""
    with command.make_context(command.name, arguments, parent=context.parent) as inner:
        command.invoke(inner)
