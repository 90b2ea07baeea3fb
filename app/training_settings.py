"""A command line of a command that trains -> the settings of its run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from app.training_extra import require_training

if TYPE_CHECKING:
    from training.loop.config import TrainConfig

_NEEDED = ("torch", "transformers", "accelerate", "peft", "tensorboard", "ijson")


def settings_of(context: click.Context, options: Mapping[str, Any]) -> "TrainConfig":
    """The settings of a command line: those of a preset or a file, and the options that change them.

    Raises:
        UsageError: a preset and a file were both asked for.
        SettingError: options that contradict each other, or a file that holds no settings.
    """
    require_training("training", *_NEEDED)
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
