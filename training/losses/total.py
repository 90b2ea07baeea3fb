"""All losses of a retriever in one weighted sum, in full precision and, if asked for, over the rows of all ranks."""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from training.loop.config import LossConfig
from training.losses.contrastive import audio_text_loss, multi_positive_info_nce
from training.losses.covering import spread_covering, term_similarity, wrong_span_losses, wrong_spans
from training.losses.ctc import alignment_losses
from training.losses.gather import gather_batch, gather_rows
from training.losses.hard_negatives import hard_negative_loss
from training.losses.masks import term_masks
from training.losses.no_term import no_term_margin_loss
from training.models.interfaces import RetrieverLabels, RetrieverOutputs

GREATEST_LOG_SCALE = math.log(100.0)
"""Cosines are multiplied by at most 100, as in CLIP (Radford et al., 2021): beyond, training is not stable."""


@dataclass(frozen=True, slots=True)
class Losses:
    """`total` is the weighted sum of `components`; each is a scalar and itself without its weight."""

    total: Tensor
    components: dict[str, Tensor]

    def detach(self) -> "Losses":
        """The same without a gradient, for logs."""
        return Losses(self.total.detach(), {name: value.detach() for name, value in self.components.items()})


def total_loss(
    outputs: RetrieverOutputs,
    labels: RetrieverLabels,
    config: LossConfig,
    log_scale: Tensor,
    across_ranks: bool = False,
) -> Losses:
    """The weighted sum of all losses; a component of weight 0 is not computed and is 0.

    Never in less than fp32, whatever the precision of the forward pass. Every output has a path to the total, so that
    no parameter is left without a gradient under DistributedDataParallel.

    Args:
        outputs: of this rank's rows and terms.
        labels: of the same.
        config: weights and margins; its temperature is only the start of `log_scale`.
        log_scale: float32[], log of what cosines are multiplied by: minus the log of the temperature.
        across_ranks: every rank's rows meet every rank's terms and texts. All ranks must call, and all get the same
            losses; average the gradients as DistributedDataParallel does. Without ranks it changes nothing.

    Raises:
        ValueError: the labels lack the true lengths or the bounds of spans that a loss needs.
    """
    with torch.autocast(outputs.spans.device.type, enabled=False):
        outputs = _at_least_fp32(outputs)
        temperature = (-log_scale.clamp(max=GREATEST_LOG_SCALE)).exp()
        nothing = _path_to_all(outputs, log_scale)
        own = _losses_within_rows(outputs, labels, config, temperature)
        if across_ranks:
            own = {name: gather_rows(values) for name, values in own.items()}
            outputs, labels = gather_batch(outputs, labels)
        components = {name: values.mean() if len(values) else nothing for name, values in own.items()}
        components |= _losses_between_rows(outputs, labels, config, temperature)
        weights = _weights(config)
        ordered = {name: components.get(name, nothing) for name in weights}
        total = sum((weight * ordered[name] for name, weight in weights.items()), nothing)
    return Losses(total, ordered)


def _weights(config: LossConfig) -> dict[str, float]:
    return {
        "audio_text": config.audio_text,
        "audio_term": config.audio_term,
        "no_term": config.no_term,
        "hard_negative": config.hard_negative,
        "wrong_span": config.wrong_span,
        "alignment": config.alignment,
    }


def _losses_within_rows(
    outputs: RetrieverOutputs, labels: RetrieverLabels, config: LossConfig, temperature: Tensor
) -> dict[str, Tensor]:
    """Losses that no other row has a part in, one value for each thing that is learnt from: float32[k] each."""
    losses = {}
    if config.wrong_span:
        wrong = wrong_spans(labels)
        losses["wrong_span"] = wrong_span_losses(outputs.spans, outputs.terms, labels.covering, wrong, temperature)
    if config.alignment:
        losses["alignment"] = alignment_losses(outputs.characters, outputs.phonemes, labels)
    return losses


def _losses_between_rows(
    outputs: RetrieverOutputs, labels: RetrieverLabels, config: LossConfig, temperature: Tensor
) -> dict[str, Tensor]:
    """Losses in which the other rows' terms and texts are the negatives: a scalar each."""
    losses = {}
    if config.audio_text and outputs.texts is not None:
        losses["audio_text"] = audio_text_loss(outputs.chunks, outputs.texts, labels.text_keys, temperature)
    if not len(outputs.terms):
        return losses
    masks = term_masks(labels)
    covering = spread_covering(labels.covering, labels.term_keys)
    similarity = term_similarity(outputs.spans, outputs.terms, covering)
    if config.audio_term:
        losses["audio_term"] = multi_positive_info_nce(similarity, masks.positive, masks.ignored, temperature)
    if config.no_term:
        is_term = labels.term_keys >= 0
        losses["no_term"] = no_term_margin_loss(similarity, labels.no_term, is_term, config.no_term_margin)
    if config.hard_negative:
        losses["hard_negative"] = hard_negative_loss(similarity, masks, config.hardest, config.hard_negative_margin)
    return losses


def _at_least_fp32(outputs: RetrieverOutputs) -> RetrieverOutputs:
    values = {f.name: getattr(outputs, f.name) for f in fields(outputs)}
    return replace(outputs, **{k: v.float() for k, v in values.items() if v is not None and v.dtype.itemsize < 4})


def _path_to_all(outputs: RetrieverOutputs, log_scale: Tensor) -> Tensor:
    values = (getattr(outputs, f.name) for f in fields(outputs))
    return sum((v.sum() for v in values if v is not None), log_scale.sum()) * 0.0
