"""Presets: settings under the names of the user's document, each a whole `TrainConfig` that options then change.

The six examples of the document (debug, production, multi-gpu, term-only, hard-negative, custom-model), its four
combinations (quick-check, standard, high-performance, rejection-focused), a preset for the card of 24 GB that it asks
for, the small retriever of characters, and the adaptation of the bundled one.
"""

from dataclasses import replace
from pathlib import Path

from streaming.errors import SettingError
from training.loop.config import (
    BUNDLED_MODEL,
    DataConfig,
    HardNegativeConfig,
    LoraSettings,
    LossConfig,
    ModelConfig,
    OptimiserConfig,
    RunConfig,
    TrainConfig,
)

MERGED = Path("data/xl_term_level_chunks_merged.json")
SHARDS = Path("data/samples/xl")
TEST_SAMPLES = SHARDS / "term_level_chunks_500000_1000000.json"
GLOSSARY = Path("data/terms/glossary_filtered.json")
ALIASES = Path("data/terms/alt2main.json")
FULL = Path("data/qwen2_audio_term_level_full.pt")
SINGLE = Path("data/qwen2_audio_term_level_single.pt")

_DATA = DataConfig((MERGED,), TEST_SAMPLES, GLOSSARY, ALIASES, workers=4)
# Adapters on both towers: with them the 7B model learns without a gradient or an optimiser state of its own weights.
_QWEN = TrainConfig(
    model=ModelConfig(lora=LoraSettings(), gradient_checkpointing=True),
    data=_DATA,
    run=RunConfig(micro_batch=16, precision="bf16"),
)
_SINGLE = replace(
    _QWEN,
    data=replace(_DATA, train=(SHARDS,), single_slice=True),
    run=replace(_QWEN.run, save_path=SINGLE, epochs=2),
)
_FULL_EVAL = replace(_QWEN.run, full_eval_every=1)
_NO_NO_TERM = replace(_DATA, no_term=False)
_COMPACT = TrainConfig(
    model=ModelConfig("whisper", "openai/whisper-base", "characters", dim=256, unfreeze_layers=4),
    # Serving stands on its alignment heads, which begin from nothing.
    losses=LossConfig(alignment=1.0),
    data=_DATA,
    optimiser=OptimiserConfig(rate=1e-4, projection_factor=10.0),
    run=RunConfig(batch_size=64, micro_batch=16, save_path=Path("data/compact_term_level_full.pt")),
)
# Goes on from a model that works already: few, small steps, and half a batch at once is enough for any machine.
_ADAPT = TrainConfig(
    model=ModelConfig("whisper", BUNDLED_MODEL, "characters", dim=256, unfreeze_layers=2),
    losses=LossConfig(alignment=1.0),
    optimiser=OptimiserConfig(rate=3e-5, projection_factor=3.0, warmup_steps=10),
    run=RunConfig(
        epochs=6,
        batch_size=32,
        micro_batch=16,
        # So few terms are among the ten best from the start; the loss still tells better from worse.
        judged_by="loss",
        save_path=Path("data/adapted_term_level_full.pt"),
    ),
)

PRESETS: dict[str, TrainConfig] = {
    "qwen2-audio": _QWEN,
    "debug": replace(_SINGLE, run=replace(_SINGLE.run, epochs=1, max_steps=200, log_every=1)),
    "production": replace(_QWEN, run=_FULL_EVAL),
    "multi-gpu": replace(_QWEN, run=replace(_FULL_EVAL, gpu_ids=(0, 1))),
    "term-only": replace(_QWEN, data=_NO_NO_TERM, run=replace(_QWEN.run, gpu_ids=(0, 1))),
    "hard-negative": replace(_QWEN, hard_negatives=HardNegativeConfig(), run=replace(_QWEN.run, gpu_ids=(0,))),
    "custom-model": replace(_QWEN, run=replace(_FULL_EVAL, gpu_ids=(0,))),
    "quick-check": replace(_SINGLE, data=replace(_SINGLE.data, no_term=False)),
    "standard": _QWEN,
    "high-performance": replace(
        _QWEN, hard_negatives=HardNegativeConfig(source="glossary", per_batch=1024), run=replace(_FULL_EVAL, epochs=20)
    ),
    # Not the standard training under another name: three times the rows without a term, and twice their weight.
    "rejection-focused": replace(
        _QWEN,
        losses=LossConfig(no_term=1.0, no_term_margin=0.1),
        data=replace(_DATA, no_term_share=0.3),
        run=_FULL_EVAL,
    ),
    "24gb": replace(
        _QWEN,
        model=replace(_QWEN.model, lora=LoraSettings(rank=8, alpha=16)),
        run=replace(_QWEN.run, batch_size=32, micro_batch=2),
    ),
    "compact": _COMPACT,
    "adapt": _ADAPT,
    "tiny": replace(
        _COMPACT,
        model=ModelConfig("whisper", "", "characters", dim=32, unfreeze_layers=None),
        data=DataConfig(augment=False, spans_per_row=12),
        optimiser=OptimiserConfig(rate=1e-3, projection_factor=1.0, warmup_steps=5),
        run=RunConfig(epochs=2, batch_size=8, log_every=1),
    ),
}

TOLD: dict[str, str] = {
    "qwen2-audio": "Qwen2-Audio and its language model, adapters on both",
    "debug": "one slice, 200 steps: does everything run?",
    "production": "all data, judged against the whole glossary after each epoch",
    "multi-gpu": "the same on GPUs 0 and 1",
    "term-only": "no rows without a term: retrieval alone",
    "hard-negative": "with mined hard negatives",
    "custom-model": "your own model: needs --model-name",
    "quick-check": "one slice, no no-term rows, no hard negatives: the fastest",
    "standard": "no-term rows, no hard negatives",
    "high-performance": "no-term rows and hard negatives from the whole glossary, 20 epochs",
    "rejection-focused": "three times the no-term rows, twice their weight, a stricter margin",
    "24gb": "Qwen2-Audio on one card of 24 GB",
    "compact": "Whisper base and letters: trains on a small card, runs on any CPU",
    "adapt": "goes on from the bundled model with rows of your own: nothing is downloaded, a CPU will do",
    "tiny": "random weights, for tests",
}


def preset(name: str) -> TrainConfig:
    """The settings of a preset.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in PRESETS:
        raise SettingError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
