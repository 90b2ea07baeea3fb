"""What the checkpoints of a run are called, and where the state of an unfinished run lies."""

from pathlib import Path

from streaming.errors import SettingError
from training.loop.checkpoint_files import read_checkpoint
from training.loop.config import RunConfig, TrainConfig

_KINDS = ("_single", "_full")


def best_path(run: RunConfig, single_slice: bool) -> Path:
    """Where the best epoch goes: ..._best.pt beside ..._full.pt, ..._single_best.pt beside ..._single.pt."""
    return run.best_model or _beside(run.save_path, "best", single_slice)


def epoch_path(run: RunConfig, single_slice: bool, epoch: int) -> Path:
    """Where epoch `epoch`, counted from 1, goes: ..._epoch1.pt."""
    return _beside(run.save_path, f"epoch{epoch}", single_slice)


def resume_folder(run: RunConfig) -> Path:
    """Where the state of an unfinished run lies, beside its checkpoint."""
    return run.save_path.with_name(f"{run.save_path.stem}.resume")


def _beside(path: Path, name: str, single_slice: bool) -> Path:
    """A run on one slice keeps a name of its own, so that it never replaces what a full run has made."""
    stem = path.stem
    for kind in _KINDS:
        stem = stem.removesuffix(kind)
    return path.with_name(f"{stem}{'_single' if single_slice else ''}_{name}{path.suffix}")


def refuse_other_kind(config: TrainConfig) -> None:
    """Refuse to write over checkpoints of a full run by a run on a single slice, and the other way round.

    Raises:
        SettingError: naming the file and what to do.
    """
    single = config.data.single_slice
    for path in (config.run.save_path, best_path(config.run, single)):
        if not path.exists():
            continue
        other = read_checkpoint(path).config.data.single_slice
        if other != single:
            kinds = ("a full run", "a single slice")
            raise SettingError(
                f"{path} is the checkpoint of {kinds[other]} and this is {kinds[single]}, which would replace it; "
                "give another --save-path and --best-model, or move the file away."
            )
