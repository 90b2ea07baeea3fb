"""Whether the training of a pipeline is done already, so that the same command goes on to what comes after it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from streaming.errors import SettingError
from training.loop.checkpoint_files import Checkpoint, read_checkpoint
from training.loop.checkpoint_paths import resume_folder
from training.loop.config import DataConfig, TrainConfig
from training.loop.resume import LATEST
from training.loop.settings import flat
from training.models.base_folder import pinned

# Where and how fast it ran and what it told: the weights are the same. `save_path` is where they were found.
_OF_NO_WEIGHT = "log_every logs checkpoint_every_s auto_micro_batch gpu_ids processes resume keep_epochs save_path"
_MAY_DIFFER = frozenset(f"run.{name}" for name in _OF_NO_WEIGHT.split()) | {"data.workers", "model.offline"}
# A run that goes on may be made longer.
_RUN_LONGER = _MAY_DIFFER | {"run.epochs", "run.max_steps", "run.best_model"}
_NAMED = 3


def finished_training(config: TrainConfig) -> Checkpoint | None:
    """The last checkpoint of a training by these settings that came to its end; None where there is something to train.

    `run.save_path` is written at the end of a training only.

    Raises:
        SettingError: what is there was trained by other settings, and a training would replace it.
        CheckpointError: what is there cannot be read.
        ModelError: the model folder that training starts from cannot be used.
    """
    path = config.run.save_path
    if not config.run.resume or not path.exists() or (resume_folder(config.run) / LATEST).exists():
        return None
    found = read_checkpoint(path)
    changed = _changed(flat(found.config), flat(replace(config, model=pinned(config.model))))
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise SettingError(
            f"{path} is a finished training with other settings ({'; '.join(changed[:_NAMED])}{more}); give --fresh to "
            "replace it, another --save-path to keep it, or --skip train to go on with it as it is."
        )
    return found


def are_of_one_run(best: Checkpoint, last: Checkpoint) -> bool:
    """Whether the best checkpoint that lies beside a last one can have come from the same run."""
    is_judged = last.config.data.test is not None
    return is_judged and best.step <= last.step and not _changed(flat(best.config), flat(last.config), _RUN_LONGER)


def newer_rows(data: DataConfig, checkpoint: Path) -> list[Path]:
    """Files of the training rows and the glossary that were written after a checkpoint."""
    trained = _written(checkpoint)
    named = [*_files(data.train), *(path for path in (data.glossary, data.aliases) if path is not None)]
    return [path for path in named if _written(path) > trained]


def _files(paths: Iterable[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.json*")) if path.is_dir() else [path])]


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _changed(before: dict[str, object], now: dict[str, object], may_differ: frozenset[str] = _MAY_DIFFER) -> list[str]:
    return [
        f"{name} {before.get(name)!r} -> {now.get(name)!r}"
        for name in sorted(now.keys() | before.keys())
        if name not in may_differ and now.get(name) != before.get(name)
    ]
