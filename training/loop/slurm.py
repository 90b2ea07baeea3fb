"""A training as a Slurm job: the sbatch script, written and submitted."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from streaming.durable import replace_file
from streaming.errors import SettingError, TermCueError
from training.loop import settings
from training.loop.config import TrainConfig
from training.loop.logs import TRAIN_LOG

_PORT = 29_500
_LINE_BREAKERS = frozenset({"Cc", "Zl", "Zp"})
_NOT_OF_JOB_NAMES = re.compile(r"[^\w.+-]")
_TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")


class SlurmError(TermCueError):
    """Slurm that refused the job."""


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """What is asked of Slurm.

    Attributes:
        nodes: machines.
        gpus: per node; 0 trains on the CPU.
        cpus: per node.
        memory: per node, such as 128G; "" for the site's default.
        time: limit such as 2-00:00:00; a run that meets it saves and, where the site allows it, is queued again.
        partition: "" for the site's default.
        account: "" for the user's default.
        setup: shell lines before the training, such as `module load cuda`.
    """

    nodes: int = 1
    gpus: int = 1
    cpus: int = 8
    memory: str = "64G"
    time: str = "1-00:00:00"
    partition: str = ""
    account: str = ""
    setup: str = ""

    def __post_init__(self) -> None:
        if not _TIME.fullmatch(self.time):
            raise SettingError(
                f"--slurm-time {self.time!r} is no time of Slurm; give one such as 12:00:00 or 2-00:00:00."
            )
        for name in ("memory", "partition", "account"):
            _refuse_control(f"--slurm-{name}", getattr(self, name))


def _refuse_control(option: str, value: str) -> None:
    """A line break within a value would begin a line of its own in the script."""
    if any(unicodedata.category(character) in _LINE_BREAKERS for character in value):
        raise SettingError(f"{option} {value!r} holds a control character, which no job script can; leave it out.")


def script(job: SlurmSettings, name: str, settings_file: Path, logs: Path, offline: bool = False) -> str:
    """The text of the sbatch script.

    Args:
        job: what is asked of Slurm.
        name: of the job.
        settings_file: what `python -m training.loop` reads.
        logs: folder of the job's .out and .err.
        offline: whether models are read from local files only.

    Raises:
        SettingError: a name with a control character.
    """
    for option, path in (("--save-path", name), ("--logs", logs), ("the working folder", Path.cwd())):
        _refuse_control(option, str(path))
    _refuse_control("the settings file", str(settings_file))
    asked = {
        "job-name": _NOT_OF_JOB_NAMES.sub("_", name).lstrip("-") or "training",
        "nodes": job.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": job.gpus or None,
        "cpus-per-task": job.cpus,
        "mem": job.memory or None,
        "time": job.time,
        "partition": job.partition or None,
        "account": job.account or None,
        "output": logs / f"{TRAIN_LOG}_%j.out",
        "error": logs / f"{TRAIN_LOG}_%j.err",
        # Time enough to write the state before the limit ends the job; the queued job goes on from it.
        "signal": "TERM@180",
        "open-mode": "append",
    }
    lines = ["#!/bin/bash"]
    lines += [f"#SBATCH --{key}={shlex.quote(str(value))}" for key, value in asked.items() if value is not None]
    lines += ["#SBATCH --requeue", "", "set -euo pipefail"]
    lines += [job.setup] if job.setup else []
    lines += ["export HF_HUB_OFFLINE=1"] if offline else []
    lines += [f"cd {shlex.quote(str(Path.cwd()))}", *_start(job, settings_file), ""]
    return "\n".join(lines)


def _start(job: SlurmSettings, settings_file: Path) -> list[str]:
    python = shlex.quote(sys.executable)
    module = f"training.loop {shlex.quote(str(settings_file))}"
    processes = max(1, job.gpus)
    if job.nodes == 1 and processes == 1:
        return [f"srun {python} -m {module}"]
    return [
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"srun {python} -m torch.distributed.run --nnodes={job.nodes} --nproc-per-node={processes} \\",
        f'  --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" --rdzv-endpoint="$head:{_PORT}" \\',
        f"  --module {module}",
    ]


def write_job(config: TrainConfig, job: SlurmSettings) -> Path:
    """Write the settings and the script under logs/slurm/; returns the script. Raises SettingError as `script`."""
    folder = config.run.logs / "slurm"
    name = config.run.save_path.stem
    settings_file, file = folder / f"{name}.json", folder / f"{name}.sbatch"
    text = script(job, name, settings_file, config.run.logs, config.model.offline)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(settings_file, json.dumps(settings.written(config), indent=1).encode())
    replace_file(file, text.encode())
    return file


def submit(file: Path) -> str:
    """Hand a script to Slurm; returns the number of the job.

    Raises:
        SettingError: there is no sbatch here.
        SlurmError: Slurm refuses.
    """
    program = shutil.which("sbatch")
    if program is None:
        raise SettingError(f"there is no sbatch on this machine; {file} is written: submit it where Slurm is.")
    done = subprocess.run([program, "--parsable", str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SlurmError(f"Slurm refused {file}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip().split(";")[0]
