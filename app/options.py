"""Options that several commands share, so that one name means one thing everywhere."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

PROFILES = ("booth", "mt")
# As in streaming.encoding.providers, whose import would load ONNX Runtime for --help.
MODEL_PROVIDERS = ("auto", "cpu", "cuda")
# As in streaming.pipeline_config, likewise.
HOPS_MS = (640, 320)


class NamedPath(click.Path):
    """A path that names something: an empty one would mean the working folder, which nobody meant by it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Text or a path -> Path; anything else, and what cannot name a file, is a usage error."""
        if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
            self.fail(f"{value!r} is no path; give one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A finite number in a range: every comparison with nan is false, so a range alone lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Text or a number -> float; nan and the infinities are a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number; give one such as 0.5.", param, ctx)
        return number


class LayeredOption(click.Option):
    """An option for one text in which commas part several; of several such options the last would win unsaid."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401
        """Have all values that are given collected."""
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:  # noqa: ANN401
        """The values of the command line, or the text of a setting -> text; several values are a usage error."""
        if isinstance(value, list):
            if len(value) > 1:
                name, given = self.opts[0], ", ".join(map(repr, value))
                raise click.UsageError(f"{name} is given more than once ({given}); give {name} {','.join(value)}.", ctx)
            (value,) = value
        return super().type_cast_value(ctx, value)


def model_option(command: Command) -> Command:
    """--model DIR."""
    return click.option("--model", type=NamedPath(), metavar="DIR", help="Model folder. [default: the bundled one]")(
        command
    )


def provider_option(command: Command) -> Command:
    """--provider auto|cpu|cuda: on what the model runs (`--device` is the microphone)."""
    return click.option(
        "--provider",
        type=click.Choice(MODEL_PROVIDERS),
        default="cpu",
        show_default=True,
        help="What the model runs on. auto: the GPU where there is one that works.",
    )(command)


def hop_option(command: Command) -> Command:
    """--hop-ms 320|640."""
    return click.option(
        "--hop-ms",
        type=click.Choice(HOPS_MS),
        default=HOPS_MS[0],
        show_default=True,
        help="How often is decided, in milliseconds. 320: hints come in half the time, more of them false, for 1.5 "
        "times the computing.",
    )(command)


def data_dir_option(command: Command) -> Command:
    """--data-dir DIR."""
    return click.option(
        "--data-dir",
        type=NamedPath(),
        metavar="DIR",
        help="Where published glossaries lie. [default: termcue in $XDG_DATA_HOME or ~/.local/share]",
    )(command)


def target_lang_option(command: Command) -> Command:
    """--target-lang LANG."""
    return click.option(
        "--target-lang", metavar="LANG", help="Language of the translations where a glossary has several, such as de."
    )(command)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="One JSON object a line on standard output, nothing else."
    )(command)


def sensitivity_options(command: Command) -> Command:
    """--profile, --false-hints-per-hour and --threshold."""
    for decorate in (
        click.option(
            "--threshold",
            type=FiniteRange(0.0, 1.0),
            metavar="P",
            help="Least probability of a hint, whoever speaks; that of a profile moves with the voice.",
        ),
        click.option(
            "--false-hints-per-hour",
            type=FiniteRange(min=0.0, min_open=True),
            metavar="N",
            help="Let about N false hints per hour of speech through, by a threshold that moves with the voice.",
        ),
        click.option(
            "--profile",
            type=click.Choice(PROFILES),
            default="booth",
            show_default=True,
            help="booth: few false hints, for an interpreter. mt: few misses, for a translation model.",
        ),
    ):
        command = decorate(command)
    return command


def one_sensitivity(
    context: click.Context, false_hints_per_hour: float | None, threshold: float | None
) -> tuple[float | None, float | None]:
    """--false-hints-per-hour and --threshold, at most one of them: a flag wins over a setting.

    Raises:
        click.UsageError: both are given in one place, where they contradict each other.
    """
    if false_hints_per_hour is None or threshold is None:
        return false_hints_per_hour, threshold
    flags = {
        name
        for name in ("false_hints_per_hour", "threshold")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if len(flags) != 1:
        raise click.UsageError("--false-hints-per-hour and --threshold exclude each other; give one.", context)
    return (None, threshold) if "threshold" in flags else (false_hints_per_hour, None)


def source_options(command: Command) -> Command:
    """--sample-rate, --device and --list-devices."""
    for decorate in (
        click.option("--list-devices", is_flag=True, help="List the microphones and stop."),
        click.option("--device", metavar="NAME", help="Microphone: its number or a part of its name."),
        click.option(
            "--sample-rate",
            type=click.IntRange(8_000, 192_000),
            default=16_000,
            show_default=True,
            metavar="HZ",
            help="Rate of the raw s16le on standard input.",
        ),
    ):
        command = decorate(command)
    return command


def event_options(command: Command) -> Command:
    """--abstentions and --vad-events."""
    for decorate in (
        click.option("--vad-events", is_flag=True, help="Tell also where speech starts and ends."),
        click.option("--abstentions", is_flag=True, help="Tell also of each hop without a hint, and why."),
    ):
        command = decorate(command)
    return command
