"""Sentences to the user beside the results."""

from contextlib import suppress

import click


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 hint, 2 hints; 1 entry, 2 entries."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def note(sentence: str) -> None:
    """Say one sentence on standard error; where that cannot be written, the work goes on all the same."""
    with suppress(OSError):
        click.echo(f"termcue: {sentence}", err=True)
