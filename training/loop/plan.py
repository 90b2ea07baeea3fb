"""Memory and time of a training on paper: what of a preset fits on which card, before anything is downloaded."""

import math
from dataclasses import dataclass

from streaming.spans import PARTS
from streaming.symbols import CHARACTERS, PHONEMES
from training.loop.config import LoraSettings, ModelConfig, TrainConfig
from training.models.base_folder import pinned
from training.models.published import audio_shape, text_shape
from training.models.shapes import CharacterShape, Shape

GIB = 2**30
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
ADAM_BYTES = 16
"""Of a trained weight: itself, its gradient and two moments, all fp32; its average, where one is kept, comes on top."""
HEAD_WIDTH = 384
SPAN_HIDDEN = 512
FRAMES_PER_SECOND = 50
# The driver, the libraries and their workspaces; of the rest a share is lost to fragments.
FIXED_BYTES = 1.25 * GIB
USABLE_SHARE = 0.93


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: memory, and dense products a second in 16 bits and in fp32 as its maker gives them."""

    name: str
    gib: int
    flops_16: float
    flops_32: float


CARDS = (
    Card("RTX 4090 24 GB", 24, 165e12, 82e12),
    Card("A100 40 GB", 40, 312e12, 19.5e12),
    Card("A100 80 GB", 80, 312e12, 19.5e12),
)


@dataclass(frozen=True, slots=True)
class Workload:
    """An average row: its audio, and the texts that come with it."""

    seconds: float = 5.76
    terms_per_row: float = 2.0
    tokens_per_term: int = 8
    tokens_per_text: int = 24
    letters_per_token: int = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the retriever.

    Attributes:
        name: what it is.
        parameters: all its weights.
        trained: those that learn, adapters included.
        activation_bytes: kept per row for the backward pass.
        layer_bytes: kept per row by one layer while it runs again; 0 without gradient checkpointing.
        flops: products of an optimiser step per row, gradient caching left aside.
        forward_flops: those of one forward pass.
    """

    name: str
    parameters: int
    trained: int
    activation_bytes: int
    layer_bytes: int
    flops: float
    forward_flops: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What a card can do: rows that fit in a forward pass (0: none), bytes used with them, seconds per step."""

    card: Card
    micro_batch: int
    used_bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it.

    Attributes:
        parts: of the retriever.
        static_bytes: weights, gradients and optimiser, whatever the batch.
        row_bytes: more for each row of a forward pass.
        step_flops: products of an optimiser step of `batch_size` rows, gradient caching included.
        batch_size: rows per step and card.
        wanted_micro_batch: the one that the settings ask for.
        fits: one a card.
    """

    parts: tuple[Part, ...]
    static_bytes: int
    row_bytes: int
    step_flops: float
    batch_size: int
    wanted_micro_batch: int
    fits: tuple[Fit, ...]

    @property
    def parameters(self) -> int:
        """All weights."""
        return sum(part.parameters for part in self.parts)

    @property
    def trained(self) -> int:
        """Those that learn."""
        return sum(part.trained for part in self.parts)

    def memory(self, micro_batch: int) -> float:
        """Bytes of a step with so many rows in a forward pass."""
        return FIXED_BYTES + self.static_bytes + micro_batch * self.row_bytes


def plan(config: TrainConfig, workload: Workload | None = None, *, utilisation: float = 0.35) -> Plan:
    """What a training needs.

    Args:
        config: the training.
        workload: an average row.
        utilisation: share of a card's products that a training reaches; 0.3 to 0.5 is usual.

    Raises:
        SettingError: a model whose size is neither published here nor given by a local config.json.
        ModelError: a model folder that training cannot start from.
    """
    workload = workload or Workload()
    model, run = pinned(config.model), config.run
    size = BYTES[run.precision]
    frames = math.ceil(workload.seconds * FRAMES_PER_SECOND)
    audio, text = audio_shape(model), text_shape(model)
    text_tokens = _text_tokens(config, workload)
    is_pretrained = bool(model.model_name)
    parts = (
        _tower("audio tower", audio, model if is_pretrained else None, size, frames, frames),
        _tower(
            "text tower",
            text,
            None if isinstance(text, CharacterShape) else model,
            4 if isinstance(text, CharacterShape) else size,
            text_tokens,
            workload.tokens_per_term,
        ),
        _heads(audio.width, text, model.dim, frames, config.data.spans_per_row + 3),
    )
    per_trained = ADAM_BYTES + (BYTES["fp32"] if run.average else 0)
    static = sum(per_trained * part.trained + _frozen_bytes(part, size) for part in parts)
    # Autocast keeps a 16-bit copy of each trained weight of the towers while a forward pass runs.
    static += sum(size * part.trained for part in parts[:2] if size < BYTES["fp32"])
    # One layer at a time runs again, so the largest counts and not their sum.
    row = sum(part.activation_bytes for part in parts) + max(part.layer_bytes for part in parts)
    micro = min(run.micro_batch or run.batch_size, run.batch_size)
    cached = sum(part.forward_flops for part in parts) if micro < run.batch_size else 0.0
    flops = run.batch_size * (sum(part.flops for part in parts) + cached)
    drawn = Plan(parts, static, row, flops, run.batch_size, micro, ())
    fits = tuple(_fit(drawn, card, size, utilisation) for card in CARDS)
    return Plan(parts, static, row, flops, run.batch_size, micro, fits)


def largest_micro_batch(planned: Plan, gib: float) -> int:
    """Rows of a forward pass that fit into so much memory; 0 where not even one does."""
    free = gib * GIB * USABLE_SHARE - planned.memory(0)
    return max(0, min(planned.batch_size, math.floor(free / planned.row_bytes)))


def _fit(planned: Plan, card: Card, size: int, utilisation: float) -> Fit:
    rows = largest_micro_batch(planned, card.gib)
    speed = card.flops_16 if size < BYTES["fp32"] else card.flops_32
    return Fit(card, rows, planned.memory(rows), planned.step_flops / (utilisation * speed))


def _text_tokens(config: TrainConfig, workload: Workload) -> int:
    mined = 0.0 if config.hard_negatives is None else config.hard_negatives.per_batch / config.run.batch_size
    tokens = (workload.terms_per_row + mined) * workload.tokens_per_term
    if config.losses.audio_text > 0:
        tokens += workload.tokens_per_text
    return math.ceil(tokens * (workload.letters_per_token if config.model.text_tower == "characters" else 1))


def _frozen_bytes(part: Part, size: int) -> int:
    return size * (part.parameters - part.trained)


def _tower(name: str, shape: Shape, model: ModelConfig | None, size: int, tokens: int, span: int) -> Part:
    """A tower of `tokens` tokens a row, of which each sees `span`; `model` is None for one that learns whole."""
    unfrozen = None if model is None else model.unfreeze_layers
    lora = None if model is None else model.lora
    in_graph = shape.layers if unfrozen is None or lora is not None else min(unfrozen, shape.layers)
    learning = shape.layers if unfrozen is None else min(unfrozen, shape.layers)
    adapters = shape.layers * lora_parameters(shape, lora)
    parameters = shape.front + shape.layers * shape.layer + adapters
    trained = learning * shape.layer + adapters + (shape.front - shape.always_frozen if unfrozen is None else 0)

    kept = shape.kept(size) + _lora_kept(shape, lora)
    again = model is not None and model.gradient_checkpointing
    activations = tokens * in_graph * (size * shape.width if again else kept)
    if unfrozen is None:
        activations += tokens * 8 * size * shape.width  # convolutions or embeddings before the layers

    attention = 4.0 * span * shape.width * tokens
    layer = 2.0 * shape.layer * tokens + attention
    front = 2.0 * (shape.front - shape.looked_up) * tokens
    forward = shape.layers * layer + front
    # Backward through a layer costs one forward for what it was given and one for each weight that learns.
    backward = in_graph * layer + learning * layer + (2 * front if unfrozen is None else 0.0)
    repeated = in_graph * layer if again else 0.0
    return Part(
        name,
        parameters,
        trained,
        activations,
        tokens * kept if again and in_graph else 0,
        forward + backward + repeated,
        forward,
    )


def lora_parameters(shape: Shape, lora: LoraSettings | None) -> int:
    """Weights of the adapters of one layer."""
    return 0 if lora is None else sum(lora.rank * (fan_in + fan_out) for fan_in, fan_out in _adapted(shape, lora))


def _lora_kept(shape: Shape, lora: LoraSettings | None) -> int:
    """An adapter keeps its own input, behind its own dropout and in fp32."""
    return 0 if lora is None else 4 * sum(fan_in for fan_in, _ in _adapted(shape, lora)) + 8 * shape.width


def _adapted(shape: Shape, lora: LoraSettings) -> list[tuple[int, int]]:
    return [fans for name, fans in shape.linear().items() if name.rpartition(".")[2] in lora.modules]


def _heads(frame_width: int, text: Shape, dim: int, frames: int, spans: int) -> Part:
    """Alignment head, span tower, projection of the text and temperature: all new, all fp32."""
    symbols = len(CHARACTERS) + len(PHONEMES)
    residual = 2 * HEAD_WIDTH + 5 * HEAD_WIDTH * HEAD_WIDTH + HEAD_WIDTH
    alignment = frame_width * HEAD_WIDTH + HEAD_WIDTH + 2 * residual + 2 * HEAD_WIDTH
    alignment += HEAD_WIDTH * symbols + symbols
    pooled = PARTS * HEAD_WIDTH
    tower = 2 * pooled + pooled * SPAN_HIDDEN + SPAN_HIDDEN + SPAN_HIDDEN * dim + dim
    projection = 0 if isinstance(text, CharacterShape) else text.width * dim + dim
    parameters = alignment + tower + projection + 1
    kept = frames * 4 * (frame_width + 16 * HEAD_WIDTH + 2 * symbols)
    kept += spans * 4 * (PARTS * frames + 2 * pooled + 2 * SPAN_HIDDEN + 2 * dim)
    forward = 2.0 * (alignment * frames + tower * spans + spans * PARTS * frames * HEAD_WIDTH) + 2.0 * projection
    return Part("heads and projections", parameters, parameters, kept, 0, 3 * forward, forward)
