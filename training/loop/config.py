"""Settings of a training, one frozen dataclass a part; `training.loop.presets` holds values of `TrainConfig`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streaming.encoding.block_shape import STEP_FILE
from streaming.model_folder import BUNDLED

QWEN2_AUDIO = "Qwen/Qwen2-Audio-7B-Instruct"
BUNDLED_MODEL = "bundled"

# Graphs of an encoder that hears blocks, and of one that hears whole contexts.
_AUDIO = (STEP_FILE, "audio.onnx")


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Low-rank adapters (Hu et al., 2021) on the linear modules whose names end with one of `modules`."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "out_proj", "o_proj", "fc1", "fc2")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The retriever.

    Attributes:
        audio_tower: `qwen2-audio` or `whisper`.
        model_name: hub id or local folder of the audio tower; "" for random weights of a small Whisper shape. With
            `bundled`, or a model folder as `termcue export` writes it, the whole retriever starts from that model, of
            Whisper's shape and letters, and `dim` and `head_width` are its own.
        text_tower: `qwen2-lm` (the language model of `model_name`), `encoder` (any encoder of the hub,
            `text_model`) or `characters`.
        text_model: hub id or local folder of the `encoder` text tower.
        dim: width of the shared space.
        head_width: width of the features on which the alignment head and the spans stand.
        unfreeze_layers: so many last layers of each pretrained tower train; None: all, 0: only heads and adapters.
        lora: adapters on both pretrained towers, or None.
        gradient_checkpointing: compute activations again in the backward pass instead of keeping them.
        offline: read models from local files only.
        part: what of a retriever is trained by itself, as `training.compact` does it; empty: the whole of it.
        base_id: encoder id of the model folder that training started from, which must be the same ever after; empty:
            not known yet, or it started from something else.
    """

    audio_tower: Literal["qwen2-audio", "whisper"] = "qwen2-audio"
    model_name: str = QWEN2_AUDIO
    text_tower: Literal["qwen2-lm", "encoder", "characters"] = "qwen2-lm"
    text_model: str = ""
    dim: int = 512
    head_width: int = 384
    unfreeze_layers: int | None = 0
    lora: LoraSettings | None = None
    gradient_checkpointing: bool = False
    offline: bool = False
    part: Literal["", "g2p", "alignment", "spans", "verifier", "blocks"] = ""
    base_id: str = ""

    @property
    def served(self) -> Path | None:
        """The model folder that training starts from; None where `model_name` is something else."""
        if self.model_name == BUNDLED_MODEL:
            return BUNDLED
        path = Path(self.model_name)
        holds_audio = any((path / name).is_file() for name in _AUDIO)
        is_there = self.model_name and holds_audio and (path / "spec.json").is_file()
        # A folder that training started from and that is gone is missed by name, and not looked for on the hub.
        return path if is_there or self.base_id else None


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights, margins and temperature of the losses (cosines of unit vectors)."""

    audio_text: float = 0.3
    audio_term: float = 0.7
    no_term: float = 0.5
    no_term_margin: float = 0.15
    hard_negative: float = 0.2
    hard_negative_margin: float = 0.1
    hardest: int = 10
    wrong_span: float = 0.2
    alignment: float = 0.2
    temperature: float = 0.07


@dataclass(frozen=True, slots=True)
class HardNegativeConfig:
    """Mining: `source` of the candidates, how many are taken per row, and every how many steps they are renewed."""

    source: Literal["used", "glossary"] = "used"
    candidates: int = 100
    per_batch: int = 256
    refresh_steps: int = 50


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is read and how it becomes batches.

    Attributes:
        train: files or folders of rows (both JSON schemas, JSONL).
        test: held-out rows.
        glossary: terms with translations and descriptions.
        aliases: alt2main.json.
        text_field: what the text tower reads for a term.
        no_term: whether rows without a term are used.
        no_term_share: at most this share of a batch is such rows.
        single_slice: only the first shard of `train`.
        allow_leak: train although a test recording, speaker or row is in training.
        augment: rooms, noise, telephones and levels on training rows.
        spans_per_row: spans drawn from the grid beside those that cover terms.
        workers: processes that read audio.
        max_bad_share: the run fails when more of the rows than this cannot be read.
    """

    train: tuple[Path, ...] = ()
    test: Path | None = None
    glossary: Path | None = None
    aliases: Path | None = None
    text_field: Literal["term", "short_description"] = "term"
    no_term: bool = True
    no_term_share: float = 0.1
    single_slice: bool = False
    allow_leak: bool = False
    augment: bool = True
    spans_per_row: int = 48
    workers: int = 0
    max_bad_share: float = 0.05


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """AdamW and its rate.

    Attributes:
        rate: of the pretrained towers.
        projection_factor: new modules (projections, heads, adapters) learn so many times as fast.
        weight_decay: decoupled from the gradient.
        decay_all: biases, norms and the temperature decay too.
        second_moment: AdamW's beta 2.
        warmup_steps: over which the rate rises.
        schedule: what follows: a `plateau` that is lowered when the figure that the run is judged by stops getting
            better, or a `cosine` down to the last step.
        clip: longest gradient.
        plateau_factor: what a plateau multiplies the rate by.
        plateau_patience: evaluations that are not better and let pass first.
    """

    rate: float = 1e-4
    projection_factor: float = 10.0
    weight_decay: float = 0.01
    decay_all: bool = False
    second_moment: float = 0.999
    warmup_steps: int = 100
    schedule: Literal["plateau", "cosine"] = "plateau"
    clip: float = 1.0
    plateau_factor: float = 0.5
    plateau_patience: int = 1


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How long, how large, where to.

    Attributes:
        epochs: passes over the rows.
        max_steps: stop after so many steps; None: no limit.
        batch_size: rows per optimiser step and rank.
        micro_batch: rows per forward pass; smaller than `batch_size` switches gradient caching on. None: the same.
        precision: of the forward pass.
        seed: of everything that is drawn.
        save_path: final checkpoint, such as data/qwen2_audio_term_level_full.pt.
        best_model: checkpoint of the best evaluation; None: beside `save_path`, ..._best.pt.
        average: decay of the moving average of the weights, which is then what is judged and saved; 0: none.
        judged_by: figure of the evaluation that says which weights are best; `loss` should be small, others large.
        evaluate_every_steps: steps between evaluations within an epoch, beside that after each; 0: none.
        evaluate_every_s: the same in seconds.
        full_eval_every: epochs between evaluations against the whole glossary; 0: never.
        early_stop_patience: evaluations in a row that are not better before the run ends; 0: it never ends early.
        checkpoint_every_s: seconds between checkpoints from which a killed run goes on.
        log_every: steps between log lines.
        logs: folder of TensorBoard and JSONL logs.
        auto_micro_batch: halve the micro-batch and go on when memory runs out.
        fsdp: shard the text tower over the ranks.
        gpu_ids: the GPUs to use; empty: all.
        processes: on this machine; None: one for each GPU, one on a CPU.
        keep_epochs: keep a checkpoint of every epoch beside `save_path`, ..._epoch1.pt and so on.
        resume: go on from the state that a stopped or killed run of the same settings left.
    """

    epochs: int = 10
    max_steps: int | None = None
    batch_size: int = 128
    micro_batch: int | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: int = 1
    save_path: Path = Path("data/qwen2_audio_term_level_full.pt")
    best_model: Path | None = None
    average: float = 0.0
    judged_by: str = "recall@10"
    evaluate_every_steps: int = 0
    evaluate_every_s: float = 0.0
    full_eval_every: int = 0
    early_stop_patience: int = 2
    checkpoint_every_s: float = 180.0
    log_every: int = 10
    logs: Path = Path("logs")
    auto_micro_batch: bool = True
    fsdp: bool = False
    gpu_ids: tuple[int, ...] = ()
    processes: int | None = None
    keep_epochs: bool = True
    resume: bool = True


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that makes a run what it is; written into every checkpoint."""

    model: ModelConfig = field(default_factory=ModelConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    hard_negatives: HardNegativeConfig | None = None
    data: DataConfig = field(default_factory=DataConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    run: RunConfig = field(default_factory=RunConfig)
