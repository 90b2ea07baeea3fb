"""Evidence of development streams -> the calibration that a model folder ships, and the account of how good it is.

Every figure of a stream is made with weights fitted on other voices: a stream whose name differs in a final number only
holds the same voices and does not count as another.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.calibration import Calibration
from streaming.decision_config import DecisionConfig
from streaming.errors import TermCueError
from streaming.false_hint_budget import FalseHintBudget
from training.evaluation.calibrate import (
    LabelledRows,
    candidates_of,
    decide_by,
    fit,
    label,
    recall_at,
    sweep,
    with_table,
)
from training.evaluation.rejection import Reliability, reliability
from training.evaluation.stream_evidence import StreamEvidence
from training.evaluation.stream_metrics import StreamScore

ALLOWED = (12, 60, 300)
"""False hints per hour at which recall is told."""


class CalibrationError(TermCueError):
    """Development streams from which nothing can be fitted; the message says what they lack."""


@dataclass(frozen=True, slots=True)
class StreamFit:
    """One stream with one glossary, judged with weights of other voices.

    Attributes:
        stream: its name.
        entries: of the glossary.
        sweep: its score at every threshold.
        dial: false hints an hour asked for -> its score where the table, too, is that of other voices; nothing where
            there are none.
    """

    stream: str
    entries: int
    sweep: tuple[StreamScore, ...]
    dial: Mapping[int, StreamScore] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the folder's calibration report."""
        recall = {str(allowed): round(recall_at(self.sweep, allowed).recall, 4) for allowed in ALLOWED}
        dial = {
            str(asked): {"false_per_hour": round(got.false_per_hour, 1), "recall": round(got.recall, 4)}
            for asked, got in self.dial.items()
        }
        return {
            "stream": self.stream,
            "terms": self.entries,
            "recall_at_false_hints_per_hour": recall,
            **({"at_false_hints_asked_for": dial} if dial else {}),
        }


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """What ships, the figures of each stream, and how honest the probabilities were on voices not fitted on."""

    calibration: Calibration
    fits: tuple[StreamFit, ...]
    honesty: Reliability

    @property
    def hours(self) -> float:
        """Of speech; a stream that was heard with several glossaries counts once."""
        return sum({one.stream: one.sweep[0].hours for one in self.fits}.values())

    def report(self) -> dict[str, Any]:
        """For `training.export.folder.recalibrate`."""
        return {"streams": [one.to_json() for one in self.fits]}


def nominal_size(entries: int) -> int:
    """One significant digit, so that glossaries of 300 and of 334 terms share a row of the table."""
    unit = int(10 ** (len(str(entries)) - 1))
    return round(entries / unit) * unit


def fit_streams(evidence: Sequence[StreamEvidence]) -> FittedCalibration:
    """Fit on all streams; judge each with weights of the others where there are others.

    Raises:
        CalibrationError: no candidate was right, or none was wrong.
    """
    rows = _labelled(evidence)
    fits = [_judged(one, rows) for one in evidence]
    judged = [
        replace(one, dial=_dialled(heard, _fit_without(rows, _voices(one.stream)), fits))
        for heard, one in zip(evidence, fits, strict=True)
    ]
    calibration = with_table(fit([labelled for _, labelled in rows]), _sweeps(fits))
    return FittedCalibration(calibration, tuple(judged), _honesty(rows))


def judge_changed(clean: Sequence[StreamEvidence], changed: Sequence[StreamEvidence]) -> list[StreamFit]:
    """Streams in noise, over a telephone, …, each judged with weights and table of other voices' clean speech.

    Args:
        clean: evidence of streams as they were recorded, each with one glossary.
        changed: of the same or others; sizes are those of `clean`.

    Raises:
        CalibrationError: as `fit_streams`.
    """
    rows = _labelled(clean)
    fits = [_judged(one, rows) for one in clean]
    return [
        replace(_judged(one, rows), dial=_dialled(one, _fit_without(rows, _voices(one.name)), fits)) for one in changed
    ]


def _judged(heard: StreamEvidence, rows: Sequence[tuple[str, LabelledRows]]) -> StreamFit:
    return StreamFit(heard.name, heard.size, tuple(sweep(heard, _fit_without(rows, _voices(heard.name)))))


def _labelled(evidence: Sequence[StreamEvidence]) -> list[tuple[str, LabelledRows]]:
    """The voices of each stream and what it teaches."""
    smallest = {e.name: min(o.size for o in evidence if o.name == e.name) for e in evidence}
    # The weights come from each stream's smallest glossary: distractors of larger ones would only drown its terms.
    rows = [(_voices(e.name), label(e)) for e in evidence if e.size == smallest[e.name]]
    verdicts = {bool(right) for _, labelled in rows for right in labelled.right}
    if len(verdicts) < 2:
        raise CalibrationError(_nothing_to_weigh(len(smallest), has_right=True in verdicts))
    return rows


def _sweeps(fits: Sequence[StreamFit]) -> dict[int, list[tuple[StreamScore, ...]]]:
    """By the size of the glossary."""
    sweeps: dict[int, list[tuple[StreamScore, ...]]] = {}
    for one in fits:
        sweeps.setdefault(nominal_size(one.entries), []).append(one.sweep)
    return sweeps


def _dialled(heard: StreamEvidence, calibration: Calibration, fits: Sequence[StreamFit]) -> dict[int, StreamScore]:
    """What a stream gets where so many false hints an hour are asked for, as it is served to a new voice."""
    size = nominal_size(heard.size)
    others = [f for f in fits if _voices(f.stream) != _voices(heard.name) and nominal_size(f.entries) == size]
    if not others:
        return {}
    curve = with_table(calibration, _sweeps(others)).curve(heard.size)
    candidates = [candidates_of(hop, heard.forms, calibration) for hop in heard.hops]
    configs = {n: DecisionConfig(curve.threshold(n), budget=FalseHintBudget(n, curve)) for n in ALLOWED}
    return {asked: decide_by(heard, candidates, config) for asked, config in configs.items()}


def _nothing_to_weigh(streams: int, *, has_right: bool) -> str:
    given = "1 stream" if streams == 1 else f"{streams} streams"
    if has_right:
        return f"{given} gave no wrong candidate to weigh: give longer streams, or glossaries with more terms"
    return (
        f"{given} gave no right candidate to weigh: train longer; or, where alignment is 0 in the log of the training, "
        "train on rows whose words have times (termcue align and termcue synthesize write them); or give streams and "
        "glossaries whose terms are spoken"
    )


def _voices(name: str) -> str:
    return re.sub(r"\d+$", "", name)


def _fit_without(rows: Sequence[tuple[str, LabelledRows]], voices: str) -> Calibration:
    others = [labelled for name, labelled in rows if name != voices]
    kinds = {bool(right) for labelled in others for right in labelled.right}
    return fit(others if len(kinds) == 2 else [labelled for _, labelled in rows])


def _honesty(rows: Sequence[tuple[str, LabelledRows]]) -> Reliability:
    said: list[NDArray[np.float64]] = []
    for voices, labelled in rows:
        said.append(_fit_without(rows, voices).probability(labelled.features))
    return reliability(np.concatenate(said), np.concatenate([labelled.right for _, labelled in rows]))
