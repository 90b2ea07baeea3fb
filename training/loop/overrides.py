"""Options of `termcue train` and `termcue pipeline` laid over a preset, or over settings from a file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from streaming.errors import SettingError
from training.loop.config import HardNegativeConfig, LoraSettings, TrainConfig
from training.loop.merging import to_merge
from training.loop.presets import MERGED, SHARDS, preset
from training.loop.settings import replaced

SETTING_OF: dict[str, str] = {
    "train": "data.train",
    "test_samples": "data.test",
    "glossary": "data.glossary",
    "aliases": "data.aliases",
    "text_field": "data.text_field",
    "single_slice": "data.single_slice",
    "no_term": "data.no_term",
    "no_term_share": "data.no_term_share",
    "allow_leak": "data.allow_leak",
    "augment": "data.augment",
    "workers": "data.workers",
    "max_bad_share": "data.max_bad_share",
    "audio_text_loss_ratio": "losses.audio_text",
    "audio_term_loss_ratio": "losses.audio_term",
    "audio_tower": "model.audio_tower",
    "model_name": "model.model_name",
    "text_tower": "model.text_tower",
    "text_model": "model.text_model",
    "dim": "model.dim",
    "head_width": "model.head_width",
    "gradient_checkpointing": "model.gradient_checkpointing",
    "offline": "model.offline",
    "learning_rate": "optimiser.rate",
    "warmup_steps": "optimiser.warmup_steps",
    "epochs": "run.epochs",
    "max_steps": "run.max_steps",
    "batch_size": "run.batch_size",
    "micro_batch": "run.micro_batch",
    "auto_micro_batch": "run.auto_micro_batch",
    "precision": "run.precision",
    "seed": "run.seed",
    "save_path": "run.save_path",
    "best_model": "run.best_model",
    "full_eval_every": "run.full_eval_every",
    "patience": "run.early_stop_patience",
    "checkpoint_every": "run.checkpoint_every_s",
    "keep_epochs": "run.keep_epochs",
    "log_every": "run.log_every",
    "logs": "run.logs",
    "fsdp": "run.fsdp",
    "gpu_ids": "run.gpu_ids",
    "processes": "run.processes",
}
_ALL_LAYERS = "all"


def configured(name: str, options: Mapping[str, object]) -> TrainConfig:
    """The settings of a preset with the options that were given.

    Args:
        name: of the preset.
        options: as `overridden` takes them.

    Raises:
        SettingError: no such preset, or options that contradict each other.
    """
    if name == "custom-model" and options.get("model_name") is None:
        raise SettingError("the preset custom-model needs --model-name: a hub id, or a folder with your model.")
    return overridden(preset(name), options)


def overridden(config: TrainConfig, options: Mapping[str, object]) -> TrainConfig:
    """Settings with the options that were given.

    Args:
        config: where they start from.
        options: option -> value; None was not given. Beside those of SETTING_OF: `full_eval`, `hard_neg`,
            `hard_neg_source`, `lora`, `lora_rank`, `unfreeze_layers` ("all" or a number) and `fresh`.

    Raises:
        SettingError: options that contradict each other.
    """
    given = {option: value for option, value in options.items() if value is not None}
    config = _laid_out(config, given)
    config = replaced(config, {SETTING_OF[option]: value for option, value in given.items() if option in SETTING_OF})
    config = _with_lora(_with_hard_negatives(config, given), given)
    if "unfreeze_layers" in given:
        layers = given["unfreeze_layers"]
        config = replaced(config, {"model.unfreeze_layers": None if layers == _ALL_LAYERS else layers})
    if "full_eval" in given and "full_eval_every" not in given:
        config = replaced(config, {"run.full_eval_every": int(bool(given["full_eval"]))})
    if given.get("fresh"):
        config = replaced(config, {"run.resume": False})
    _check(config, given)
    return config


def _laid_out(config: TrainConfig, given: Mapping[str, object]) -> TrainConfig:
    """Where data lies and checkpoints go for a single slice or all of it, or for rows of one's own."""
    if "train" in given:
        # The document's test rows and glossary belong to the document's training rows.
        config = replaced(config, {"data.test": None, "data.glossary": None, "data.aliases": None})
    single = bool(given.get("single_slice", config.data.single_slice))
    if single == config.data.single_slice:
        return config
    before, after = ("_full", "_single") if single else ("_single", "_full")
    path = config.run.save_path
    # Rows of one's own, which settings from a file may name, are the same for a slice: their first file.
    train = config.data.train if set(config.data.train) - {SHARDS, MERGED} else (SHARDS if single else MERGED,)
    return replaced(config, {"data.train": train, "run.save_path": path.with_name(path.name.replace(before, after))})


def _with_hard_negatives(config: TrainConfig, given: Mapping[str, object]) -> TrainConfig:
    mining = config.hard_negatives
    if "hard_neg" in given:
        mining = (mining or HardNegativeConfig()) if given["hard_neg"] else None
    if "hard_neg_source" in given:
        if mining is None:
            raise SettingError("--hard-neg-source says where hard negatives come from; add --hard-neg.")
        mining = replace(mining, source=given["hard_neg_source"])  # type: ignore[arg-type]
    return replace(config, hard_negatives=mining)


def _with_lora(config: TrainConfig, given: Mapping[str, object]) -> TrainConfig:
    lora = config.model.lora
    if "lora" in given:
        lora = (lora or LoraSettings()) if given["lora"] else None
    if "lora_rank" in given:
        if lora is None:
            raise SettingError("--lora-rank is the rank of adapters; add --lora.")
        rank = int(str(given["lora_rank"]))
        lora = replace(lora, rank=rank, alpha=2 * rank)
    return replaced(config, {"model.lora": lora})


def _check(config: TrainConfig, given: Mapping[str, object]) -> None:
    if config.hard_negatives is not None and config.hard_negatives.source == "glossary" and not config.data.glossary:
        raise SettingError("--hard-neg-source glossary needs --glossary.")
    if config.run.full_eval_every and not config.data.glossary:
        raise SettingError("--full-eval judges against the whole glossary; add --glossary.")
    if config.model.served is not None and (fixed := given.keys() & {"dim", "head_width"}):
        option = sorted(fixed)[0].replace("_", "-")
        raise SettingError(f"--{option} is that of the model folder {config.model.model_name!r}; leave it out.")
    run = config.run
    if "micro_batch" in given and run.micro_batch is not None and run.micro_batch > run.batch_size:
        raise SettingError(
            f"--micro-batch {run.micro_batch} is more than --batch-size {run.batch_size}; give at most as many."
        )


def check_files(config: TrainConfig) -> None:
    """Whether everything that the settings name is there.

    Raises:
        SettingError: naming what is missing and the option for it.
    """
    data = config.data
    if not data.train:
        raise SettingError("there are no training rows; name a file or a folder of them with --train.")
    named: list[tuple[str, Path | None]] = [("--train", path) for path in data.train]
    named += [("--test-samples", data.test), ("--glossary", data.glossary), ("--aliases", data.aliases)]
    for option, path in named:
        if path is not None and not path.exists():
            merge = "" if path != MERGED or to_merge(config) is None else ", or merge its shards with termcue pipeline"
            raise SettingError(f"{path} does not exist; give another to {option}{merge}.")
