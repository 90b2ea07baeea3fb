"""Long streams with a reference through the serving pipeline -> evidence, as calibration and evaluation want it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.audio import float_to_pcm16
from streaming.decision_config import DecisionConfig
from streaming.encoder import OnnxSpanEncoder
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.events import SAMPLE_RATE
from streaming.model_folder import ModelFolder
from streaming.pipeline import Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.scoring import TermScorer
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.verifier import verifier_of
from streaming.term_index import TermIndex
from streaming.vad import WebRtcDetector
from streaming.words.competition import competition_of
from training.corpus.manifest import ManifestError
from training.evaluation.stream_evidence import RecordingScorer, StreamEvidence
from training.evaluation.stream_metrics import Reference


@dataclass(frozen=True, slots=True)
class LongStream:
    """One long recording with its reference; `pcm` is s16le, mono, 16 kHz."""

    name: str
    pcm: bytes
    reference: Reference


def join_audio(stream: Mapping[str, Any], data: Path) -> NDArray[np.float32]:
    """The utterances of a stream at their places, float32[n] at 16 kHz. Raises ManifestError for another rate."""
    out = np.zeros(int(stream["duration_s"] * SAMPLE_RATE) + 1, np.float32)
    for utterance in stream["utterances"]:
        audio, rate = soundfile.read(data / utterance["path"], dtype="float32")
        if rate != SAMPLE_RATE:
            raise ManifestError(f"{utterance['path']} has {rate} Hz; a stream is joined from {SAMPLE_RATE} Hz")
        first = round(utterance["offset_s"] * SAMPLE_RATE)
        out[first : first + len(audio)] = audio[: len(out) - first]
    return out


def read_stream(path: Path, data: Path) -> LongStream:
    """A stream's JSON (`name`, `duration_s`, `utterances`, `occurrences`, `words`); its audio lies below `data`."""
    raw = json.loads(path.read_text("utf-8"))
    return LongStream(raw["name"], float_to_pcm16(join_audio(raw, data)), Reference.from_json(raw))


def collect(
    stream: LongStream,
    folder: ModelFolder,
    indexes: Mapping[str, TermIndex],
    scoring: ScoringConfig | None = None,
) -> list[StreamEvidence]:
    """The evidence of every hop for each index, from one pass of the encoder over the stream."""
    spans = OnnxSpanEncoder(folder)
    competition, verifier = competition_of(folder), verifier_of(folder)
    scorers = {n: TermScorer(i, spans, folder.calibration, scoring, competition, verifier) for n, i in indexes.items()}
    recorder = RecordingScorer(scorers)
    config = PipelineConfig(decision=DecisionConfig(1.0), context_ms=folder.spec.context_samples * 1000 // SAMPLE_RATE)
    first = next(iter(indexes.values()))
    pipeline = Pipeline(open_frame_encoder(folder), first, recorder, WebRtcDetector(), config)
    for start in range(0, len(stream.pcm), 64_000):
        pipeline.feed(stream.pcm[start : start + 64_000])
    pipeline.finish()
    return [
        StreamEvidence(stream.name, len(i.entries), stream.reference, i.entries, i.forms, tuple(recorder.hops[name]))
        for name, i in indexes.items()
    ]
