"""Between which bounds each number of a training's settings lies."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """From `low` to `high`; `is_open`: the bound named is itself left out."""

    low: float
    high: float = math.inf
    is_open: str = ""

    def __contains__(self, value: object) -> bool:
        """Whether a number lies between."""
        if not isinstance(value, int | float):
            return False
        is_above = value > self.low if "low" in self.is_open else value >= self.low
        return is_above and (value < self.high if "high" in self.is_open else value <= self.high)

    def __str__(self) -> str:
        """As the end of a sentence: from 0 to 1."""
        low = f"above {self.low:g}" if "low" in self.is_open else f"from {self.low:g}"
        high = "" if self.high == math.inf else f"{'below' if 'high' in self.is_open else 'to'} {self.high:g}"
        return f"{low} on" if not high else f"{low} {high}"


_COUNT, _NONE_OR_MORE, _POSITIVE = Limits(1), Limits(0), Limits(0, is_open="low")
_SHARE, _DECAY, _COSINE = Limits(0, 1), Limits(0, 1, "high"), Limits(-1, 1)
_OF: dict[Limits, str] = {
    _COUNT: "model.dim model.head_width model.lora.rank model.lora.alpha losses.hardest hard_negatives.candidates "
    "hard_negatives.per_batch hard_negatives.refresh_steps data.spans_per_row run.epochs run.max_steps run.batch_size "
    "run.micro_batch run.log_every run.processes",
    _NONE_OR_MORE: "model.unfreeze_layers losses.audio_text losses.audio_term losses.no_term losses.hard_negative "
    "losses.wrong_span losses.alignment data.workers optimiser.weight_decay optimiser.warmup_steps "
    "optimiser.plateau_patience run.seed run.evaluate_every_steps run.evaluate_every_s run.full_eval_every "
    "run.early_stop_patience run.checkpoint_every_s run.gpu_ids",
    _POSITIVE: "losses.temperature optimiser.rate optimiser.projection_factor optimiser.clip",
    _SHARE: "data.no_term_share data.max_bad_share",
    _DECAY: "model.lora.dropout optimiser.second_moment run.average",
    _COSINE: "losses.no_term_margin losses.hard_negative_margin",
    Limits(0, 1, "low"): "optimiser.plateau_factor",
}
LIMITS = {name: limits for limits, names in _OF.items() for name in names.split()}
"""Dotted name of a setting -> its limits."""
