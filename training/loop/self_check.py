"""Whether this machine trains: an operation on each device, and one whole step of a tiny random Qwen2-Audio.

Each function does one thing and says in a sentence what came of it, or raises.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import torch
from huggingface_hub import constants, try_to_load_from_cache
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from training.corpus.examples import Example, TermSpan
from training.corpus.glossary import TrainingGlossary
from training.corpus.manifest import spoken_words
from training.loop.batches import BatchConfig, BatchMaker
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.config import QWEN2_AUDIO, LoraSettings, ModelConfig, TrainConfig
from training.loop.optimiser import adamw
from training.loop.pronunciations import Pronunciations
from training.loop.trained_models import load_retriever, trained_weights
from training.losses.total import total_loss
from training.models.interfaces import RetrieverInputs, RetrieverLabels
from training.models.retriever import DualEncoder, build_retriever
from training.models.tiny import write_tiny_qwen2_audio

_GIB = 2**30
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_SAID = ("kalman filter", "neural network", None)
_SECONDS = 1.2
PRETRAINED = ("openai/whisper-base", QWEN2_AUDIO)
"""What the presets start from."""


class SelfCheckError(TermCueError):
    """Something computes, but wrongly."""


def devices() -> list[str]:
    """The CPU and each CUDA device, by torch's names."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def why_no_gpu() -> str:
    """A sentence for a machine on which torch sees none."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; trains on the CPU, which is for small models"
    return f"torch {torch.__version__} for CUDA {torch.version.cuda} sees no GPU; check the driver with nvidia-smi"


def try_device(device: str) -> str:
    """Multiply two matrices in fp32, and in the half precisions that training may use there.

    Raises:
        SelfCheckError: a wrong product in fp32.
        RuntimeError: the device refuses.
    """
    if not _multiplies(device, torch.float32):
        raise SelfCheckError("multiplies wrongly; install torch again, with the build for this machine's driver")
    # The scaler of fp16 is for GPUs.
    halves = {"bf16": _HALF["bf16"]} if device == "cpu" else _HALF
    works = [name for name, dtype in halves.items() if _multiplies(device, dtype)]
    able = ", ".join(f"{name} {'yes' if name in works else 'no'}" for name in _HALF)
    return f"multiplied two matrices; {able}{_memory(device)}"


def _multiplies(device: str, dtype: torch.dtype) -> bool:
    left = torch.arange(64, dtype=torch.float32).reshape(8, 8) / 64
    try:
        product = (left.to(device, dtype) @ left.to(device, dtype)).float().cpu()
    except RuntimeError:
        if dtype is torch.float32:
            raise
        return False
    return torch.allclose(product, left @ left, rtol=0.02, atol=0.02)


def _memory(device: str) -> str:
    if device == "cpu":
        return f"; {torch.get_num_threads()} threads"
    free, whole = torch.cuda.mem_get_info(device)
    return f"; {torch.cuda.get_device_name(device)}, {free / _GIB:.1f} of {whole / _GIB:.1f} GiB free"


def try_step(device: str, folder: Path) -> str:
    """Rows, features, both towers, all losses, gradients, AdamW and a checkpoint, once, at fp32.

    Args:
        device: by torch's name.
        folder: for the model, the rows and the checkpoint; what is in it can go afterwards.

    Raises:
        SelfCheckError: a loss or a gradient that is no number, weights that did not move, or a checkpoint that comes
            back as another model.
        TermCueError, RuntimeError: what failed.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = TrainConfig(
            model=ModelConfig(
                model_name=str(write_tiny_qwen2_audio(folder / "model")),
                dim=16,
                head_width=32,
                lora=LoraSettings(rank=2, alpha=4, dropout=0.0),
                offline=True,
            )
        )
        model = build_retriever(config.model)
        inputs, labels = tiny_batch(model, folder)
        model.to(device)
        inputs, labels = inputs.to(torch.device(device)), labels.to(torch.device(device))
        loss = _step(model, config, inputs, labels)
        size = _saved_and_read(model, config, inputs, folder / "checkpoint.pt")
    return f"one step of a tiny Qwen2-Audio, loss {loss:.2f}; a checkpoint of {size / 1024:.0f} KiB came back the same"


def tiny_batch(model: DualEncoder, folder: Path) -> tuple[RetrieverInputs, RetrieverLabels]:
    """A batch as training makes it: two rows of noise that pass for terms, and one for speech without a term."""
    rng = np.random.default_rng(1)
    samples = round(_SECONDS * SAMPLE_RATE)
    examples = []
    for i, said in enumerate(_SAID):
        audio = folder / f"{i}.wav"
        soundfile.write(audio, rng.normal(0, 0.1, samples).clip(-1, 1), SAMPLE_RATE, subtype="PCM_16")
        terms = (TermSpan(said, samples // 4, 3 * samples // 4),) if said else ()
        text = f"the {said or 'speech'} is an"
        words = tuple(spoken_words(text, 0.0, _SECONDS))
        examples.append(Example(f"row {i}", audio, 0, samples, text, terms, words))
    glossary = TrainingGlossary(())
    maker = BatchMaker(BatchConfig(model.mel_bins, 4), model.text.tokenise, glossary, Pronunciations())
    batch = maker.make(examples, [samples] * len(examples), rng)
    if batch is None or batch.bad:
        raise SelfCheckError("a sound file that was just written cannot be read; install soundfile again")
    return batch.inputs, batch.labels


def _step(model: DualEncoder, config: TrainConfig, inputs: RetrieverInputs, labels: RetrieverLabels) -> float:
    optimiser = adamw(model.parameter_groups(), config.optimiser)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in learning]
    losses = total_loss(model(inputs), labels, config.losses, model.log_scale)
    losses.total.backward()
    loss = losses.total.item()
    if not (math.isfinite(loss) and all(_is_finite(p.grad) for p in learning if p.grad is not None)):
        raise SelfCheckError(f"the loss is {loss} or a gradient is no number; install torch again")
    optimiser.step()
    if all(torch.equal(old, new) for old, new in zip(before, learning, strict=True)):
        raise SelfCheckError("the optimiser moved no weight; install torch again")
    return loss


def _is_finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _saved_and_read(model: DualEncoder, config: TrainConfig, inputs: RetrieverInputs, path: Path) -> int:
    """Bytes of the checkpoint."""
    write_checkpoint(path, Checkpoint(config, trained_weights(model, config.model), step=1))
    model.train(False)
    again = load_retriever(path, offline=True).to(inputs.mel.device)
    with torch.no_grad():
        if not torch.allclose(model(inputs).spans, again(inputs).spans, atol=0.01):
            raise SelfCheckError("the checkpoint came back as another model; check the disk")
    return path.stat().st_size


def cached_models() -> dict[str, str]:
    """The models that the presets start from: whether all weights are in the cache ("yes", "in part" or "no")."""
    return {name: _kept(name) for name in PRETRAINED}


def hub_state(models: Mapping[str, str]) -> str:
    """Where models come from, and which are there, as `cached_models` found; the network is not tried."""
    cache = constants.HF_HUB_CACHE
    kept = ", ".join(f"{name} {is_there}" for name, is_there in models.items())
    if constants.HF_HUB_OFFLINE:
        return f"HF_HUB_OFFLINE is set: models come from folders and from {cache} only; there: {kept}"
    return f"not tried; in the cache {cache}: {kept}; what is not there is fetched, unless --offline is given"


def _kept(name: str) -> str:
    def path_of(file: str) -> Path | None:
        path = try_to_load_from_cache(name, file, constants.HF_HUB_CACHE)
        return Path(path) if isinstance(path, str) else None

    if path_of("config.json") is None:
        return "no"
    index = path_of("model.safetensors.index.json")
    shards = ["model.safetensors"] if index is None else json.loads(index.read_text("utf-8"))["weight_map"].values()
    return "yes" if all(path_of(shard) for shard in set(shards)) else "in part"
