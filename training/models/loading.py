"""Pretrained models by hub id or folder, online or from the cache, and what to do when one does not load."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, StrictDataclassError
from safetensors import SafetensorError, safe_open
from torch import Tensor, device, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2AudioForConditionalGeneration,
)
from transformers.utils.logging import disable_progress_bar

from streaming.errors import ModelError
from training.models.precision import DTYPES, Precision

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"
QWEN2_AUDIO_TYPE = "qwen2_audio"
_AUDIO_TOWERS = {QWEN2_AUDIO_TYPE: "qwen2-audio", "whisper": "whisper"}
"""Types of model -> the --audio-tower that takes them."""

M = TypeVar("M", bound=nn.Module)


@contextmanager
def load_failures_named(name: str, offline: bool) -> Iterator[None]:
    """Turn whatever the libraries raise inside the block into one ModelError with its cure; bars on terminals only."""
    if not sys.stderr.isatty():
        disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        SafetensorError,
        EntryNotFoundError,
        StrictDataclassError,
    ) as e:
        cause = str(e).strip().splitlines()
        offline = offline or constants.HF_HUB_OFFLINE
        if Path(name).is_dir():
            cure = f"make the folder whole ({_CONFIG}, {_WEIGHTS} or its shards, the files of the tokenizer)"
        elif offline:
            cure = "run once without --offline and HF_HUB_OFFLINE to fill the cache, or name a local folder"
        else:
            broken = f"models--{name.replace('/', '--')}"
            cure = f"check name and network, delete {broken} from the cache if it is broken, or name a local folder"
        where = f"offline: {'yes' if offline else 'no'}, cache {constants.HF_HUB_CACHE}"
        why = cause[0] if cause else type(e).__name__
        raise ModelError(f"the model {name!r} does not load ({where}): {why}; {cure}") from e


def load_qwen2_audio(
    name: str, *, precision: Precision = "fp32", offline: bool = False
) -> Qwen2AudioForConditionalGeneration:
    """The whole model, once: both towers take their part of this instance. Raises ModelError."""
    config_of_type(name, QWEN2_AUDIO_TYPE, offline=offline)
    with load_failures_named(name, offline):
        loaded: object = Qwen2AudioForConditionalGeneration.from_pretrained(
            _place(name, offline), dtype=DTYPES[precision], local_files_only=offline, output_loading_info=True
        )
        model, found = cast("tuple[Qwen2AudioForConditionalGeneration, dict[str, set[str]]]", loaded)
        _refuse_gaps(found["missing_keys"])
    return model


def load_tokenizer(name: str, *, offline: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model. Raises ModelError."""
    with load_failures_named(name, offline):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            _place(name, offline), local_files_only=offline
        )
    return tokenizer


def load_encoder_lm(name: str, *, precision: Precision = "fp32", offline: bool = False) -> PreTrainedModel:
    """An encoder of the hub; of an encoder-decoder the encoder. Raises ModelError."""
    model: PreTrainedModel
    with load_failures_named(name, offline):
        model, found = AutoModel.from_pretrained(
            _place(name, offline), dtype=DTYPES[precision], local_files_only=offline, output_loading_info=True
        )
        _refuse_gaps(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    if getattr(model, "pooler", None) is not None:
        # It serves a head that the retriever lacks, and weights without gradient stall training on several processes.
        setattr(model, "pooler", None)  # noqa: B010 - the annotations of torch know modules only
    return model


def load_config(name: str, *, offline: bool = False) -> PreTrainedConfig:
    """The configuration of a model. Raises ModelError."""
    with load_failures_named(name, offline):
        config: PreTrainedConfig = AutoConfig.from_pretrained(_place(name, offline), local_files_only=offline)
    return config


def config_of_type(name: str, model_type: str, *, offline: bool = False) -> PreTrainedConfig:
    """The configuration of a model that must be of a type, such as `whisper`. Raises ModelError."""
    config = load_config(name, offline=offline)
    if config.model_type != model_type:
        known = config.model_type in _AUDIO_TOWERS
        other = f", or --audio-tower {_AUDIO_TOWERS[config.model_type]} to train on this one" if known else ""
        raise ModelError(
            f"the model {name!r} is of type {config.model_type!r}; give one of type {model_type!r} with "
            f"--model-name{other}"
        )
    return config


def load_part(
    kind: type[M],
    config: PreTrainedConfig,
    name: str,
    part: str,
    *,
    precision: Precision = "fp32",
    offline: bool = False,
) -> M:
    """One part of a pretrained model, such as its audio tower; nothing else of it is read or downloaded.

    Args:
        kind: class of the part.
        config: its configuration.
        name: hub id or folder of the whole model.
        part: name under which its weights stand (`audio_tower` in `model.audio_tower.layers.0…`).
        precision: of its weights.
        offline: read from local files only.

    Raises:
        ModelError: a file or a weight is missing or of another shape.
    """
    with load_failures_named(name, offline):
        weights = {
            short: weight.to(DTYPES[precision]) for short, weight in _weights_of_part(name, part, offline).items()
        }
        # On the meta device nothing is allocated or drawn that the weights would replace a moment later.
        with device("meta"):
            module = kind(config)
        module.load_state_dict(weights, assign=True)
    return module


def _place(name: str, offline: bool) -> str:
    """What to load from: offline the folder of the cache, since the libraries ask the hub for adapters all the same."""
    if offline and not Path(name).is_dir():
        return str(Path(hf_hub_download(name, _CONFIG, local_files_only=True)).parent)
    return name


def _refuse_gaps(missing: Iterable[str]) -> None:
    # The library draws weights that it does not find, and training would go on from noise.
    gaps = sorted(missing)
    if gaps:
        raise ValueError(f"{len(gaps)} weights are missing, {gaps[0]} among them")


def _file(name: str, file: str, offline: bool) -> Path | None:
    """A file of a folder or of the hub; None where the model has no such file."""
    folder = Path(name)
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    try:
        return Path(hf_hub_download(name, file, local_files_only=offline))
    except EntryNotFoundError:
        return None


def _weights_of_part(name: str, part: str, offline: bool) -> dict[str, Tensor]:
    def short(key: str) -> str:
        return f".{key}".partition(f".{part}.")[2]

    index = _file(name, _SHARDS, offline)
    if index is None:
        shards = [_WEIGHTS]
    else:
        places: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
        shards = sorted({shard for key, shard in places.items() if short(key)})
    weights: dict[str, Tensor] = {}
    for shard in shards:
        path = _file(name, shard, offline)
        if path is None:
            raise FileNotFoundError(f"it has no file {shard}")
        with safe_open(path, framework="pt") as file:
            weights |= {short(key): file.get_tensor(key) for key in file.keys() if short(key)}  # noqa: SIM118
    return weights
