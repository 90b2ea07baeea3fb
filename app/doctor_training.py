"""What `termcue doctor --training` looks at: whether a training would run here, tried on a tiny model."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from app.doctor import TRAINING, Check, guarded
from app.training_extra import INSTALL_TRAINING

GIB = 2**30
_LEAST_FREE = GIB
SYNTHESISERS = {
    "espeak-ng": "on Debian: apt install espeak-ng",
    "flite": "on Debian: apt install flite",
    "piper": "pip install piper-tts",
}


def examine_training() -> Iterator[Check]:
    """Every check in order; those that need torch only where all of the extra is there."""
    versions = list(_versions())
    yield from versions
    if all(check.status == "ok" for check in versions):
        yield from _trials()
    yield from synthesisers()
    yield _slurm()
    yield disk()


def _versions() -> Iterator[Check]:
    for name in TRAINING:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "failed", f"not installed; install it, {INSTALL_TRAINING}")


def _trials() -> Iterator[Check]:
    """Each device, a step on each, and the hub."""
    try:
        # Distributions that do not fit each other show when they are loaded, with any error.
        from training.loop import self_check
    except Exception as error:
        yield Check("training code", "failed", f"does not load: {type(error).__name__}: {error}".splitlines()[0])
        return
    devices = self_check.devices()
    for device in devices:
        yield guarded(f"device {device}", partial(self_check.try_device, device))
    if len(devices) == 1:
        yield Check("device cuda", "absent", self_check.why_no_gpu())
    with TemporaryDirectory(prefix="termcue-doctor-") as folder:
        for device in devices:
            step = partial(self_check.try_step, device, Path(folder) / device.replace(":", "-"))
            yield guarded(f"training on {device}", step)
    yield _hub()


def _hub() -> Check:
    """The models that presets start from; "ok" is said only of what was found, and the network is not asked."""
    from training.loop import self_check

    try:
        models = self_check.cached_models()
    except (OSError, ValueError, LookupError) as error:
        return Check("model hub", "failed", f"a model in the cache is damaged ({error}); delete it there")
    return Check("model hub", "ok" if "yes" in models.values() else "absent", self_check.hub_state(models))


def synthesisers() -> Iterator[Check]:
    """Which of the programs that `termcue synthesize` knows are there."""
    for program, cure in SYNTHESISERS.items():
        found = shutil.which(program)
        if found:
            yield Check(program, "ok", found)
        else:
            yield Check(program, "absent", f"not installed; to synthesise with it, {cure}")


def _slurm() -> Check:
    found = shutil.which("sbatch")
    if found:
        return Check("sbatch", "ok", found)
    return Check("sbatch", "absent", "no Slurm here; termcue train --slurm-dry-run writes the script all the same")


def disk() -> Check:
    """Room where checkpoints go unless --save-path says otherwise."""
    from training.loop.config import RunConfig

    target = RunConfig().save_path.parent.absolute()
    place = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return Check("disk", "failed", f"{place} cannot be written to; train elsewhere, or give --save-path")
    if free < _LEAST_FREE:
        return Check("disk", "failed", f"{free / GIB:.1f} GiB free for {target}; make room, or give --save-path")
    return Check("disk", "ok", f"{free / GIB:.1f} GiB free for {target}")
