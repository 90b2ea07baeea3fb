"""Options that several commands share, so that one name means one thing everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

PROFILES = ("booth", "mt")


def model_option(command: Command) -> Command:
    """--model DIR."""
    return click.option(
        "--model", type=click.Path(path_type=Path), metavar="DIR", help="Model folder. [default: the bundled one]"
    )(command)


def data_dir_option(command: Command) -> Command:
    """--data-dir DIR."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
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
            type=click.FloatRange(0.0, 1.0),
            metavar="P",
            help="Least probability of a hint, instead of the profile's.",
        ),
        click.option(
            "--false-hints-per-hour",
            type=click.FloatRange(min=0.0, min_open=True),
            metavar="N",
            help="Choose the threshold that lets about N false hints per hour of speech through.",
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
