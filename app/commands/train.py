"""`termcue train`: rows of speech with their terms become a retriever."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from app.notes import counted, note
from app.options import Command, FiniteRange, NamedPath, json_option

if TYPE_CHECKING:
    from training.loop.config import TrainConfig
    from training.loop.ports import Outcome

PRESETS = (
    "qwen2-audio debug production multi-gpu term-only hard-negative custom-model quick-check standard high-performance "
    "rejection-focused 24gb compact adapt tiny"
).split()
NEEDED = ("torch", "transformers", "accelerate", "peft", "tensorboard")
SLURM = "slurm_"
EPILOG = """\b
Presets:
  debug, production, multi-gpu, term-only, hard-negative, custom-model   the six examples
  quick-check, standard, high-performance, rejection-focused             the four combinations
  qwen2-audio, 24gb, compact                                             which model, for which card
  adapt                                                                  the bundled model goes on learning
\b
Examples:
  termcue train --preset debug
  termcue train --preset production --test-samples data/samples/xl/term_level_chunks_500000_1000000.json
  termcue train --preset custom-model --model-name models/my-qwen2-audio --gpu-ids 0
  termcue train --preset compact --train rows.jsonl --test-samples test.jsonl --glossary terms.json
  termcue train --preset adapt --train build/speech/manifest.jsonl --glossary terms.csv
  termcue train --preset production --show-settings > mine.json
  termcue train --settings mine.json --epochs 20
  termcue train --preset hard-negative --slurm --slurm-gpus 4 --slurm-time 2-00:00:00

A run that is stopped or killed goes on with the same command. See also: termcue doctor --plan PRESET.
"""


def layers(context: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ANN401
    """Text -> int, or "all" as it is; anything else is a usage error."""
    if value in (None, "all"):
        return value
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise click.BadParameter(
            f"{value!r} is no number of layers; give 0, 1, 2 and so on, or all.", context, parameter
        )
    return number


def gpu_numbers(context: click.Context, parameter: click.Parameter, value: Any) -> tuple[int, ...] | None:  # noqa: ANN401
    """Numbers with commas between, nothing meaning all -> tuple; anything else is a usage error."""
    if value is None:
        return None
    # A configuration file may hold a list, or one number.
    parts = [str(part).strip() for part in (value if isinstance(value, list | tuple) else str(value).split(","))]
    parts = [part for part in parts if part]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise click.BadParameter(
            f"{value!r} names no GPUs; give numbers such as 0,1, or '' for all.", context, parameter
        )
    return tuple(map(int, parts))


def _choice(*names: str) -> click.Choice[str]:
    return click.Choice(names)


_COUNT = click.IntRange(min=1)
_SHARE = FiniteRange(0.0, 1.0)
_WEIGHT = FiniteRange(min=0.0)
# Every option stands for the preset's value where it is not given, so none has a default of its own.
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--train",), {"type": NamedPath(), "multiple": True, "help": "File or folder of rows; may be repeated. With it "
      "--test-samples, --glossary and --aliases are yours to name too. [default: the document's data/ layout]"}),
    (("--test-samples",), {"type": NamedPath(), "metavar": "FILE", "help": "Held-out rows; refused where they share a "
      "recording, speaker or segment with training."}),
    (("--allow-leak/--no-allow-leak",), {"help": "Train although test rows share something with training."}),
    (("--glossary",), {"type": NamedPath(), "metavar": "FILE", "help": "Terms with translations and descriptions, "
      "in any format of `termcue reindex`."}),
    (("--aliases",), {"type": NamedPath(), "metavar": "FILE", "help": "alt2main.json: other names of terms."}),
    (("--text-field",), {"type": _choice("term", "short_description"), "help": "What is read for a term."}),
    (("--single-slice/--no-single-slice",), {"help": "Only the first shard: a quick check."}),
    (("--no-term/--no-no-term",), {"help": "Rows without a term, which teach the model to keep silent."}),
    (("--no-term-share",), {"type": _SHARE, "help": "At most this share of a batch is such rows."}),
    (("--hard-neg/--no-hard-neg",), {"help": "Mine hard negatives and renew them on a schedule."}),
    (("--hard-neg-source",), {"type": _choice("used", "glossary"), "help": "Among which terms they are mined."}),
    (("--audio-text-loss-ratio",), {"type": _WEIGHT, "help": "Weight of speech against its transcript. [0.3]"}),
    (("--audio-term-loss-ratio",), {"type": _WEIGHT, "help": "Weight of speech against its terms. [0.7]"}),
    (("--audio-tower",), {"type": _choice("qwen2-audio", "whisper"), "help": "Kind of the audio model."}),
    (("--model-name",), {"metavar": "ID|DIR", "help": "Audio model: hub id or folder; "
      "`bundled` or a model folder: train on from it. [Qwen/Qwen2-Audio-7B-Instruct]"}),
    (("--text-tower",), {"type": _choice("qwen2-lm", "encoder", "characters"), "help": "Kind of the text model."}),
    (("--text-model",), {"metavar": "ID|DIR", "help": "Encoder of the hub for --text-tower encoder."}),
    (("--dim",), {"type": _COUNT, "help": "Width of the shared space."}),
    (("--head-width",), {"type": _COUNT, "metavar": "N", "help": "Width of the features that spans pool. [384]"}),
    (("--offline/--no-offline",), {"help": "Read models from local files only."}),
    (("--unfreeze-layers",), {"callback": layers, "metavar": "N|all", "help": "Train so many last layers of each "
      "tower."}),
    (("--lora/--no-lora",), {"help": "Train low-rank adapters on both towers."}),
    (("--lora-rank",), {"type": _COUNT, "help": "Rank of the adapters."}),
    (("--gradient-checkpointing/--no-gradient-checkpointing",), {"help": "Less memory, a third more time."}),
    (("--batch-size",), {"type": _COUNT, "help": "Rows of a step on each GPU."}),
    (("--micro-batch",), {"type": _COUNT, "help": "Rows that are on the GPU at once; changes memory, not the result."}),
    (("--auto-micro-batch/--no-auto-micro-batch",), {"help": "Halve it and go on where memory runs out."}),
    (("--precision",), {"type": _choice("fp32", "bf16", "fp16"), "help": "Numbers of the forward pass."}),
    (("--fp16",), {"is_flag": True, "default": None, "help": "Short for --precision fp16."}),
    (("--bf16",), {"is_flag": True, "default": None, "help": "Short for --precision bf16."}),
    (("--epochs",), {"type": _COUNT, "help": "Passes over the rows."}),
    (("--max-steps",), {"type": _COUNT, "help": "Stop after so many steps."}),
    (("--learning-rate",), {"type": FiniteRange(min=0.0, min_open=True), "help": "Of the towers; ten times it for new "
      "modules."}),
    (("--warmup-steps",), {"type": click.IntRange(min=0), "help": "Steps over which the rate rises."}),
    (("--patience",), {"type": _COUNT, "help": "Evaluations (one an epoch) that are no better before the run ends."}),
    (("--augment/--no-augment",), {"help": "Rooms, noise, telephones and levels on training rows."}),
    (("--seed",), {"type": click.IntRange(min=0), "help": "Of everything that is drawn."}),
    (("--full-eval/--no-full-eval",), {"help": "Judge against the whole glossary, seen and unseen terms apart."}),
    (("--full-eval-every",), {"type": click.IntRange(min=0), "metavar": "N", "help": "The same every N epochs."}),
    (("--save-path",), {"type": NamedPath(), "metavar": "PATH", "help": "Last checkpoint: NAME_full.pt, or a folder of "
      "safetensors."}),
    (("--best-model",), {"type": NamedPath(), "metavar": "PATH", "help": "Checkpoint of the best epoch. "
      "[NAME_best.pt]"}),
    (("--keep-epochs/--no-keep-epochs",), {"help": "Keep NAME_epochN.pt of every epoch."}),
    (("--checkpoint-every",), {"type": _WEIGHT, "metavar": "S", "help": "Seconds between states that a killed run goes "
      "on from."}),
    (("--fresh",), {"is_flag": True, "default": None, "help": "Begin anew although an unfinished run is there."}),
    (("--logs",), {"type": NamedPath(), "metavar": "DIR", "help": "Folder of logs, JSON lines and TensorBoard."}),
    (("--log-every",), {"type": _COUNT, "metavar": "N", "help": "Steps between log lines."}),
    (("--gpu-ids",), {"callback": gpu_numbers, "metavar": "0,1", "help": "GPUs to use; '' for all."}),
    (("--processes",), {"type": _COUNT, "help": "Processes on this machine. [one for each GPU]"}),
    (("--fsdp/--no-fsdp",), {"help": "Spread the text tower over the GPUs."}),
    (("--workers",), {"type": click.IntRange(min=0), "help": "Processes that read audio."}),
    (("--max-bad-share",), {"type": _SHARE, "help": "Fail where more of the rows cannot be read."}),
    # As the document spells them; all others differ by underscores only, which are read as hyphens.
    (("--disable-no-term",), {"is_flag": True, "default": None, "hidden": True}),
    (("--enable-hard-neg",), {"is_flag": True, "default": None, "hidden": True}),
)  # fmt: skip


def hyphens(name: str) -> str:
    """--batch_size, as the user's document writes it, is --batch-size."""
    return name.replace("_", "-")


def training_options(command: Command) -> Command:
    """All settings of a training, for the commands that train."""
    for names, keywords in reversed(_OPTIONS):
        values = {"default": None, **keywords}
        if values.get("multiple"):
            values.pop("default")
        command = click.option(*names, **values)(command)
    for choose in (
        click.option(
            "--settings", type=NamedPath(), metavar="FILE", help="JSON of --show-settings, in the place of --preset."
        ),
        click.option(
            "--preset",
            type=click.Choice(PRESETS),
            default="standard",
            show_default=True,
            help="Where settings start from.",
        ),
    ):
        command = choose(command)
    return command


def settings_of(context: click.Context, options: Mapping[str, Any]) -> "TrainConfig":
    """The settings of a command line: those of a preset or a file, and the options that change them.

    Raises:
        UsageError: a preset and a file were both asked for.
        SettingError: options that contradict each other, or a file that holds no settings.
    """
    require_training()
    from training.loop.overrides import configured, overridden
    from training.loop.settings import read_file

    given = _given(options)
    file: Path | None = given.pop("settings")
    preset: str = given.pop("preset")
    if file is None or _is_typed(context, "preset") > _is_typed(context, "settings"):
        return configured(preset, given)
    if _is_typed(context, "preset"):
        raise click.UsageError("--preset and --settings exclude each other; give one of them.", context)
    return overridden(read_file(file), given)


def _is_typed(context: click.Context, name: str) -> bool:
    """Whether an option stands on the command line, which wins over files of settings and variables."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options under the names of `training.loop.overrides`. Raises SettingError for two precisions."""
    from streaming.errors import SettingError

    given = dict(options) | {"train": options["train"] or None}
    if given.pop("disable_no_term"):
        given["no_term"] = False
    if given.pop("enable_hard_neg"):
        given["hard_neg"] = True
    precisions = {name for name in ("fp16", "bf16") if given.pop(name)} | {given["precision"]} - {None}
    if len(precisions) > 1:
        raise SettingError(f"{' and '.join(sorted(precisions))} were both asked for; give one precision.")
    given["precision"] = next(iter(precisions), None)
    return given


def with_training_glossary(config: "TrainConfig") -> "TrainConfig":
    """The settings with their glossary in the form that training reads. Raises GlossaryError."""
    from dataclasses import replace

    from app.training_glossary import training_glossary

    if config.data.glossary is None:
        return config
    return replace(config, data=replace(config.data, glossary=training_glossary(config.data.glossary)))


def require_training() -> None:
    """Raise SettingError where the extra `train` is not installed."""
    from streaming.errors import SettingError

    missing = [module for module in NEEDED if find_spec(module) is None]
    if missing:
        raise SettingError(f"training needs {', '.join(missing)}; install them: pip install 'termcue[train]'")


def _slurm_options(command: Command) -> Command:
    options: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--slurm", {"is_flag": True, "help": "Write an sbatch script to logs/slurm and submit it."}),
        ("--slurm-dry-run", {"is_flag": True, "help": "Only write it."}),
        ("--slurm-nodes", {"type": _COUNT, "default": 1, "show_default": True, "help": "Machines."}),
        ("--slurm-gpus", {"type": click.IntRange(min=0), "default": 1, "show_default": True, "help": "GPUs of each."}),
        ("--slurm-cpus", {"type": _COUNT, "default": 8, "show_default": True, "help": "Cores of each."}),
        ("--slurm-memory", {"default": "64G", "show_default": True, "help": "Memory of each."}),
        ("--slurm-time", {"default": "1-00:00:00", "show_default": True, "help": "Time limit."}),
        ("--slurm-partition", {"default": "", "help": "Partition. [default: the site's]"}),
        ("--slurm-account", {"default": "", "help": "Account. [default: yours]"}),
        ("--slurm-setup", {"default": "", "help": "Shell line before the training, such as: module load cuda"}),
    )
    for name, keywords in reversed(options):
        command = click.option(name, **keywords)(command)
    return command


@click.command(epilog=EPILOG, context_settings={"token_normalize_func": hyphens})
@training_options
@_slurm_options
@click.option("--show-settings", is_flag=True, help="Print the settings as JSON and stop.")
@json_option
@click.pass_context
def train(
    context: click.Context,
    /,
    slurm: bool,
    slurm_dry_run: bool,
    show_settings: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - all settings of a training
) -> None:
    """Train a retriever on rows of speech with their terms; `termcue export` makes a model folder of it.

    Options given here change those of the preset, or of a file of settings. Several GPUs, several processes and several
    machines (accelerate launch, torchrun, Slurm) train one model together.
    """
    job = {name.removeprefix(SLURM): options.pop(name) for name in list(options) if name.startswith(SLURM)}
    config = settings_of(context, options)
    if show_settings:
        from training.loop.settings import written

        click.echo(json.dumps(written(config), indent=None if as_json else 1))
        return
    from training.loop.overrides import check_files

    check_files(config)
    config = with_training_glossary(config)
    if slurm or slurm_dry_run:
        _submit(config, job, slurm_dry_run, as_json)
        return
    report(train_with_bar(config), as_json)


def train_with_bar(config: "TrainConfig") -> "Outcome":
    """Train with a progress bar on standard error."""
    from app.progress import progress_bar
    from training.loop import launch

    with progress_bar(f"training {config.run.save_path.stem}") as progress:
        return launch.train(config, progress)


def report(outcome: "Outcome", as_json: bool) -> None:
    """Say how a training ended."""
    from training.loop.launch import outcome_json
    from training.loop.logs import told

    if as_json:
        click.echo(json.dumps({"type": "TrainReport", **outcome_json(outcome)}))
        return
    why = {"epochs": "all epochs are done", "steps": "--max-steps is reached", "early": "it no longer got better"}
    click.echo(
        f"{counted(outcome.steps, 'step')} in {counted(outcome.epochs, 'epoch')}: {why[outcome.ended]}"
        + (f"; {told(outcome.figures)}" if outcome.figures else "")
    )
    note(f"wrote {outcome.checkpoint}" + (f" and, of the best epoch, {outcome.best}" if outcome.best else ""))


def _submit(config: "TrainConfig", job: dict[str, Any], is_dry: bool, as_json: bool) -> None:
    from training.loop.slurm import SlurmSettings, submit, write_job

    file = write_job(config, SlurmSettings(**job))
    number = None if is_dry else submit(file)
    if as_json:
        click.echo(json.dumps({"type": "SlurmJob", "script": str(file), "job": number}))
    elif number is None:
        click.echo(f"wrote {file}; submit it with: sbatch {file}")
    else:
        click.echo(f"submitted {file} as job {number}; watch it with: squeue -j {number}")
