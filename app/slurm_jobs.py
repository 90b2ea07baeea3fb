"""A training as a job of Slurm: its options, its script and what is said of it."""

import json
from typing import TYPE_CHECKING, Any

import click

from app.options import Command

if TYPE_CHECKING:
    from training.loop.config import TrainConfig

_PREFIX = "slurm_"
_COUNT = click.IntRange(min=1)


def slurm_options(command: Command) -> Command:
    """What a job is to have, for a command that can submit itself."""
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


def taken_job(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a job out of those of a command, under the names of `training.loop.slurm.SlurmSettings`."""
    return {name.removeprefix(_PREFIX): options.pop(name) for name in list(options) if name.startswith(_PREFIX)}


def submit_job(config: "TrainConfig", job: dict[str, Any], is_dry: bool, as_json: bool) -> None:
    """Write the script of a training with the options of `taken_job`, submit it unless `is_dry`, and say so."""
    from training.loop.slurm import SlurmSettings, submit, write_job

    file = write_job(config, SlurmSettings(**job))
    number = None if is_dry else submit(file)
    if as_json:
        click.echo(json.dumps({"type": "SlurmJob", "script": str(file), "job": number}))
    elif number is None:
        click.echo(f"wrote {file}; submit it with: sbatch {file}")
    else:
        click.echo(f"submitted {file} as job {number}; watch it with: squeue -j {number}")
