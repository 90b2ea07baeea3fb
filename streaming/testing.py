"""Fakes for every port and synthetic speech: the whole pipeline without a model, a microphone or a file.

In this small world a term is a tone: entry k of `tone_index()` is spoken by sounding TONES[k].
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.audio import AudioFormat, float_to_pcm16
from streaming.decision import Candidate
from streaming.decision_config import DecisionConfig
from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.whole_contexts import WholeContexts
from streaming.entries import Entry
from streaming.events import SAMPLE_RATE
from streaming.index.entry_register import EntryRegister
from streaming.pipeline import Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.sessions.served_glossary import ServedGlossary
from streaming.sessions.session_settings import SessionSettings
from streaming.spans import FRAME_SAMPLES
from streaming.spotting.evidence import Sightings
from streaming.symbols import CHARACTERS, PHONEMES

# Multiples of 50 Hz have whole periods in a frame of 20 ms, so that the tones do not leak into each other; all of them
# survive a stream of 8 kHz.
TONES = (500, 900, 1300, 1700)
_MONO_16K = AudioFormat()


@dataclass(frozen=True, slots=True)
class ToneIndex:
    """An index without vectors: the entries that the tones stand for."""

    entries: tuple[Entry, ...]
    version: str = "v1"

    def version_of(self, entry_index: int) -> str:
        """The same for all."""
        return self.version


def tone_index() -> ToneIndex:
    """One entry for each of TONES, with a German translation."""
    return ToneIndex(tuple(Entry(f"tones:{f}", f"{f} hertz tone", {"de": f"Ton von {f} Hertz"}) for f in TONES))


def tone_glossary(index: ToneIndex | None = None, target_langs: tuple[str, ...] = ("de",)) -> ServedGlossary:
    """The tones as a glossary that is heard by the real pipeline over fakes."""
    searched = index or tone_index()

    def open_pipeline(settings: SessionSettings) -> Pipeline:
        config = PipelineConfig(decision=settings.decision, format=settings.format, hop_ms=320)
        return Pipeline(FakeEncoder(), searched, FakeScorer(), FakeVoiceDetector(), config)

    return ServedGlossary(
        version=searched.version,
        terms=len(searched.entries),
        profiles={"booth": DecisionConfig(threshold=0.5), "mt": DecisionConfig(threshold=0.3, max_hints_per_hop=10)},
        open=open_pipeline,
        take_over=lambda pipeline: pipeline.replace_index(searched, FakeScorer()),
        register=EntryRegister(searched.entries),
        target_langs=target_langs,
    )


def synthetic_pcm(
    parts: Sequence[tuple[int, int]], audio_format: AudioFormat = _MONO_16K, amplitude: float = 0.5
) -> bytes:
    """Tones one after the other, as a stream of `audio_format` carries them; the same on every channel.

    Args:
        parts: frequency in Hz (0 for silence) and duration in ms of each.
        audio_format: rate and channels.
        amplitude: peak, 0..1.
    """
    rate = audio_format.sample_rate
    waves = [
        amplitude * np.sin(2 * np.pi * frequency / rate * np.arange(rate * duration_ms // 1000))
        for frequency, duration_ms in parts
    ]
    return _interleaved(np.concatenate([np.zeros(0), *waves]), audio_format)


def noise_pcm(duration_ms: int, seed: int, audio_format: AudioFormat = _MONO_16K, amplitude: float = 0.1) -> bytes:
    """White noise of that standard deviation, the same for the same `seed`."""
    samples = np.random.default_rng(seed).standard_normal(audio_format.sample_rate * duration_ms // 1000)
    return _interleaved(amplitude * samples, audio_format)


def _interleaved(samples: NDArray[np.float64], audio_format: AudioFormat) -> bytes:
    return float_to_pcm16(np.repeat(samples, audio_format.channels).astype(np.float32))


class FakeVoiceDetector:
    """Calls a frame speech where its mean square exceeds `floor`; remembers nothing."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, floor: float = 1e-4) -> None:
        self._floor = floor

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Judge float32[320]."""
        return bool(frame @ frame > self._floor * len(frame))

    def reset(self) -> None:
        """Nothing to forget."""


class FakeEncoder:
    """Gives the amplitude of each tone in each frame; counts its passes and keeps the last context it saw."""

    def __init__(self) -> None:
        phase = 2 * np.pi / SAMPLE_RATE * np.outer(np.arange(FRAME_SAMPLES), TONES)
        self._waves = (np.concatenate((np.cos(phase), np.sin(phase)), axis=1) * (2 / FRAME_SAMPLES)).astype(np.float32)
        self.passes = 0
        self.last_context = np.zeros(0, np.float32)

    def encode(self, context: NDArray[np.float32]) -> EncodedContext:
        """float32[T * 320] -> uniform log-probabilities and frames float32[T, len(TONES)]."""
        self.passes += 1
        self.last_context = context
        in_phase, quadrature = np.split(context.reshape(-1, FRAME_SAMPLES) @ self._waves, 2, axis=1)
        frames = np.hypot(in_phase, quadrature)
        return EncodedContext(_uniform(len(frames), len(CHARACTERS)), _uniform(len(frames), len(PHONEMES)), frames)

    def open(self) -> WholeContexts:
        """The encoder of a stream, which hears every context anew."""
        return WholeContexts(self)


def _uniform(n_frames: int, n_symbols: int) -> NDArray[np.float32]:
    return np.full((n_frames, n_symbols), -np.log(n_symbols), np.float32)


class FakeScorer:
    """A candidate for each tone of at least 100 ms that was heard to end in the hop.

    Its probability is twice the mean amplitude of the tone, 0.99 at most.
    """

    def __init__(self, floor: float = 0.1, shortest_frames: int = 5) -> None:
        self._floor = floor
        self._shortest = shortest_frames
        self._still_sounds = False

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> list[Candidate]:
        """The tones whose first frame of silence is new."""
        candidates = []
        self._still_sounds = bool((encoded.frames[-1] > self._floor).any())
        sounding = np.pad(encoded.frames > self._floor, ((1, 1), (0, 0)))
        edges = np.diff(sounding.astype(np.int8), axis=0)
        for entry_index in np.flatnonzero(sounding.any(axis=0)).tolist():
            starts = np.flatnonzero(edges[:, entry_index] == 1).tolist()
            ends = np.flatnonzero(edges[:, entry_index] == -1).tolist()
            for start, end in zip(starts, ends, strict=True):
                if first_hop_frame <= end < len(encoded.frames) and end - start >= self._shortest:
                    probability = min(0.99, 2 * float(encoded.frames[start:end, entry_index].mean()))
                    first, last = (context_start_sample + frame * FRAME_SAMPLES for frame in (start, end))
                    candidates.append(Candidate(entry_index, entry_index, first, last, probability))
        return candidates

    @property
    def nbytes(self) -> int:
        """Nothing."""
        return 0

    @property
    def looks_again(self) -> bool:
        """Whether a tone still sounded at the end of the hop."""
        return self._still_sounds

    @property
    def sightings(self) -> Sightings:
        """Nothing."""
        return {}

    def go_on_from(self, sightings: Sightings) -> None:
        """Nothing to remember."""

    def reset(self) -> None:
        """Nothing to forget."""


class FakeVerifier:
    """A verifier that holds each text it knows for as likely as it was told, token by token, and any other for absurd.

    Attributes:
        asked: the spans and texts of each call.
    """

    def __init__(self, log_probs: Mapping[str, Sequence[float]]) -> None:
        self._log_probs = dict(log_probs)
        self.asked: list[tuple[tuple[tuple[int, int], ...], tuple[str, ...]]] = []

    def log_probs(
        self, hidden: NDArray[np.float32], spans: Sequence[tuple[int, int]], texts: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        """What it was told; −99 of anything else."""
        self.asked.append((tuple(spans), tuple(texts)))
        return [np.array(self._log_probs.get(text, [-99.0]), np.float32) for text in texts]


class ListSource:
    """A source whose chunks are known beforehand."""

    def __init__(self, audio_format: AudioFormat, chunks: Sequence[bytes]) -> None:
        self.format = audio_format
        self._chunks = tuple(chunks)

    def chunks(self) -> Iterator[bytes]:
        """The chunks in their order."""
        return iter(self._chunks)
