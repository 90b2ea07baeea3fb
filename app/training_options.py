"""The options of all settings of a training, for the commands that train."""

from typing import Any

import click

from app.options import Command, FiniteRange, NamedPath

PRESETS = (
    "qwen2-audio debug production multi-gpu term-only hard-negative custom-model quick-check standard high-performance "
    "rejection-focused 24gb compact adapt tiny"
).split()


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
