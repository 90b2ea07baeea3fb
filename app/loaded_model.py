"""A model folder made ready to run: what every stream in the process shares."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from streaming.encoder import OnnxFrameEncoder, OnnxSpanEncoder
from streaming.encoding.batching import MOST_IN_BATCH, BatchingBlocks, BatchingEncoder, ComputeSlots
from streaming.encoding.block_encoder import BlockEncoders
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.encoding.providers import Provider
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.pipeline import FrameEncoder
from streaming.pipeline_config import HOP_MS
from streaming.spotting.form_search import IndexTables, tables_for
from streaming.spotting.per_index import made_once
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.verifier import Verifier, verifier_of
from streaming.words.competition import Competition, competition_of


def _stands_still() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """A checked model folder and the encoders that streams share.

    `clock` (seconds) times the stages of each stream; the one that stands still keeps two runs equal. `hop_ms` is how
    much new audio a decision has.
    """

    folder: ModelFolder
    frames: FrameEncoder
    spans: OnnxSpanEncoder
    competition: Competition | None
    verifier: Verifier | None
    tables: IndexTables
    clock: Callable[[], float] = _stands_still
    hop_ms: int = HOP_MS


def load_folder(path: Path | None) -> ModelFolder:
    """Check a model folder, the bundled one if `path` is None. Raises ModelError."""
    return ModelFolder.load(path or BUNDLED)


def load_model(folder: ModelFolder, provider: Provider = "cpu", hop_ms: int = HOP_MS) -> Model:
    """Make a checked folder's encoders ready to run. Raises ModelError, and SettingError without such a provider."""
    spans = OnnxSpanEncoder(folder, provider=provider)
    return Model(
        folder,
        open_frame_encoder(folder, provider=provider),
        spans,
        competition_of(folder),
        verifier_of(folder, provider=provider),
        made_once(tables_for(spans, ScoringConfig())),
        hop_ms=hop_ms,
    )


def for_many(model: Model, slots: ComputeSlots, on_batch: Callable[[int], None], *, batches: bool = True) -> Model:
    """The same for many streams on threads of their own, which share `slots`, with a running clock.

    What waits is encoded in batches if the model allows it; `on_batch` is told the size of each.
    """
    frames = model.frames
    if isinstance(frames, BlockEncoders):
        frames = BatchingBlocks(frames, slots, MOST_IN_BATCH if batches else 1, on_batch)
    elif isinstance(frames, OnnxFrameEncoder):
        most = MOST_IN_BATCH if batches and frames.is_batchable else 1
        frames = BatchingEncoder(frames, slots, most, on_batch)
    return replace(model, frames=frames, clock=time.perf_counter)


def warm_up(model: Model) -> None:
    """Compile and run everything once, so that no stream waits for it."""
    if model.competition is not None:
        model.competition.warm_up()
    model.frames.encode(np.zeros(model.folder.spec.context_samples, np.float32))


def calibration_warning(folder: ModelFolder) -> str | None:
    """What listeners must know of a model whose probabilities were never fitted to speech; None for any other."""
    if folder.is_calibrated:
        return None
    return (
        "this model is not calibrated: its probabilities and --false-hints-per-hour mean nothing yet; "
        f"run termcue calibrate --model {folder.path}"
    )
