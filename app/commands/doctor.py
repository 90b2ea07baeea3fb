"""`termcue doctor`: what is installed, what really runs, and what collides."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.options import data_dir_option, json_option, model_option

if TYPE_CHECKING:
    from app.doctor import Check

EPILOG = """\b
Examples:
  termcue doctor
  termcue doctor --json | grep failed
  termcue doctor --training
  termcue doctor --plan 24gb
"""
OTHER_MODES = "--plan and --training exclude each other; give one of them."
MARKS = {"ok": "ok", "absent": "--", "failed": "FAILED"}


@click.command(epilog=EPILOG)
@model_option
@data_dir_option
@click.option("--plan", "preset", metavar="PRESET", help="Memory and time of training a preset on paper, and no more.")
@click.option("--training", is_flag=True, help="Try the set-up of training: a step of a tiny model, and no more.")
@json_option
def doctor(model: Path | None, data_dir: Path | None, preset: str | None, training: bool, as_json: bool) -> None:
    """Say what is installed and try it.

    Versions, which distributions own onnxruntime and faiss, a real operation on each provider, the voice
    detector, the microphone, the model, every published glossary, and whether another distribution owns one
    of this program's package names. Exit code 1 if anything failed.

    With --training instead: versions, a real operation on each device of torch, one whole step of a tiny random
    Qwen2-Audio with a checkpoint written and read back, speech synthesisers, Slurm, free disk, and the hub.
    """
    if preset is not None:
        if training:
            raise click.UsageError(OTHER_MODES)
        _print_plan(preset, as_json)
        return
    if training:
        from app.doctor_training import examine_training

        _print_checks(examine_training(), as_json)
        return
    from app.doctor import examine
    from app.places import Places

    _print_checks(examine(model, Places.of(data_dir).data), as_json)


def _print_checks(checks: "Iterable[Check]", as_json: bool) -> None:
    """Each finding as soon as it is there. Exit code 1 if anything failed."""
    failed = 0
    for check in checks:
        failed += check.status == "failed"
        if as_json:
            finding = {"type": "Check", "name": check.name, "status": check.status, "detail": check.detail}
            click.echo(json.dumps(finding, ensure_ascii=False))
        else:
            click.echo(f"{MARKS[check.status]:<7} {check.name:<24} {check.detail}")
    if as_json:
        click.echo(json.dumps({"type": "Doctor", "ok": not failed, "failed": failed}))
    if failed:
        raise click.exceptions.Exit(1)


def _print_plan(preset: str, as_json: bool) -> None:
    from app.doctor_plan import plan_lines, plan_objects

    for line in map(json.dumps, plan_objects(preset)) if as_json else plan_lines(preset):
        click.echo(line)
