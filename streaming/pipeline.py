"""The whole way of the data: bytes in, events out, synchronous and without I/O.

bytes -> samples -> frames of 20 ms -> speech flags -> every hop: context -> encoder -> scorer -> decision. The voice
detector decides whether a hop is worth its encoder pass; it never cuts what the encoder sees.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.audio import PcmDecoder
from streaming.context import RollingContext
from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.errors import AudioError, SettingError
from streaming.events import SAMPLE_RATE, Abstention, Event, Hint, HintWithdrawn
from streaming.framing import Framer
from streaming.interim import InterimHints
from streaming.pacing import Pace
from streaming.pipeline_config import PipelineConfig
from streaming.pipeline_ports import FrameEncoder, Scorer, SearchedGlossary
from streaming.segmentation import Segmenter
from streaming.spans import FRAME_SAMPLES
from streaming.vad import VoiceDetector

__all__ = ["STAGES", "FrameEncoder", "Pipeline", "Scorer", "SearchedGlossary"]

STAGES = ("decode", "detect", "encode", "score", "decide")

_SAMPLES_PER_MS = SAMPLE_RATE // 1000
# What a word needs after its end to be told from the beginning of a longer one.
_FLUSH_SILENCE_SAMPLES = 400 * _SAMPLES_PER_MS


Decision: TypeAlias = Hint | HintWithdrawn | Abstention
"""What is said of one hop."""


class Pipeline:
    """One stream from its bytes to its events; any split of the same bytes gives the same events.

    `clock` (seconds, any origin) is asked before and after each stage for `stage_seconds`; the default stands still.

    Raises SettingError where the frames of `detector` do not divide the hop.
    """

    _hop_start: int
    _finished: bool
    _seconds: dict[str, float]
    _pace: Pace
    _dropped: int
    _looks_again: bool

    def __init__(
        self,
        encoder: FrameEncoder,
        index: SearchedGlossary,
        scorer: Scorer,
        detector: VoiceDetector,
        config: PipelineConfig,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._hop_samples = config.hop_ms * _SAMPLES_PER_MS
        self._look_again_samples = min(config.look_again_ms, config.hop_ms) * _SAMPLES_PER_MS
        if self._hop_samples % detector.frame_samples or self._look_again_samples % detector.frame_samples:
            raise SettingError(
                f"hop_ms = {config.hop_ms} does not hold whole frames of the voice detector:"
                f" give a multiple of {detector.frame_samples // _SAMPLES_PER_MS}"
            )
        self._encoder = encoder.open()
        self._scorer = scorer
        self._detector = detector
        self._clock = clock
        self._gate_samples = config.gate_ms * _SAMPLES_PER_MS
        self._decoder = PcmDecoder(config.format)
        self._framer = Framer(detector.frame_samples)
        self._segmenter = Segmenter(config.segmentation, detector.frame_samples)
        self._context = RollingContext(config.context_ms * _SAMPLES_PER_MS)
        self._decider = Decider(index.entries, config.decision, index.version_of)
        self._interim = InterimHints() if config.interim_hints else None
        self.reset()

    @property
    def received_samples(self) -> int:
        """Length of the stream so far in samples at 16 kHz."""
        return self._decoder.received_samples

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Seconds spent in each of STAGES since the start of the stream, by the given clock."""
        return dict(self._seconds)

    @property
    def nbytes(self) -> int:
        """Memory of what encoder and scorer remember of the stream, by far the most of all that is kept."""
        return self._encoder.nbytes + self._scorer.nbytes

    @property
    def dropped_windows(self) -> int:
        """Hops with speech on which nothing was decided, because the machine was too slow."""
        return self._dropped

    @property
    def tells_interim(self) -> bool:
        """Whether its scorers are to tell tentative candidates."""
        return self._interim is not None

    def pace(self, pace: Pace) -> None:
        """Decide so often from the next hop on. The audio clock and what each decision hears stay the same."""
        self._pace = pace

    def configure(self, decision: DecisionConfig) -> None:
        """Decide by `decision` from the next hop on; what was emitted stays."""
        self._decider.configure(decision)

    def replace_index(self, index: SearchedGlossary, scorer: Scorer) -> int:
        """Listen for the entries of another index from the next hop on; audio, hints and evidence so far stay.

        What was hinted is remembered by entry id, what the last hop saw by entry id and form.

        Args:
            index: the other index.
            scorer: a new one over that index.

        Returns:
            The first sample of the next hop.
        """
        scorer.go_on_from(self._scorer.sightings)
        self._scorer = scorer
        self._decider.replace_entries(index.entries, index.version_of)
        return self._hop_start

    def feed(self, chunk: bytes) -> list[Event]:
        """Bytes of any length -> the events that can be told by now. Raises AudioError after `finish`."""
        self._check_open()
        started = self._clock()
        frames = self._framer.feed(self._decoder.feed(chunk))
        self._spend("decode", started)
        return self._hear(frames)

    def flush(self) -> list[Event]:
        """Decide on everything heard so far as if 0.4 s of silence followed.

        The stream stays usable, its clock and its hops are unmoved. Raises AudioError after `finish`.
        """
        self._check_open()
        return list(self._decide_rest()) if self.received_samples else []

    def finish(self) -> list[Event]:
        """Decide on the rest of the stream and end it; further calls give nothing."""
        if self._finished:
            return []
        started = self._clock()
        frames = self._framer.feed(self._decoder.finish())
        self._spend("decode", started)
        events = self._hear(frames)
        if self.received_samples:
            events += self._decide_rest()
        self._finished = True
        return events + self._segmenter.finish()

    def reset(self) -> None:
        """Forget everything: the next byte is the first of a new stream."""
        for stage in (self._decoder, self._framer, self._detector, self._segmenter, self._context, self._encoder):
            stage.reset()
        self._scorer.reset()
        self._decider.reset()
        if self._interim is not None:
            self._interim.reset()
        self._hop_start = 0
        self._finished = False
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._pace = Pace()
        self._dropped = 0
        self._looks_again = False

    def _check_open(self) -> None:
        if self._finished:
            raise AudioError("the stream has been finished: reset it before it hears another one")

    def _hear(self, frames: Sequence[NDArray[np.float32]]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            started = self._clock()
            self._context.append(frame)
            events += self._segmenter.feed(self._detector.is_speech(frame))
            self._spend("detect", started)
            waiting = self._context.end_sample - self._hop_start
            if waiting % self._look_again_samples == 0 and waiting >= self._due_samples():
                events += self._decide_hop()
        return events

    def _due_samples(self) -> int:
        """How much new audio the next decision has; what is to be looked at again does not wait for a whole hop."""
        if self._pace.hops == 1 and self._looks_again:
            return self._look_again_samples
        return self._pace.hops * self._hop_samples

    def _decide_hop(self) -> list[Decision]:
        hop_start, end = self._hop_start, self._context.end_sample
        is_left_out = self._pace.skips and self._is_speech_near(end)
        if is_left_out:
            self._dropped += 1
            decisions: list[Decision] = [Abstention(hop_start, end, "overloaded", 0.0)]
        else:
            context, context_start = self._context.latest()
            decisions = self._decide(context, context_start, end)
        self._looks_again = not is_left_out and self._is_speech_near(end) and self._scorer.looks_again
        self._hop_start = end
        return decisions

    def _decide_rest(self) -> list[Decision]:
        context, context_start = self._context.latest()
        rest = np.concatenate((self._framer.pending, self._decoder.pending()))
        heard_end = self._context.end_sample + len(rest)
        # The context must end on a whole frame, counted from the start of the hop.
        to_whole_frame = (self._hop_start - heard_end) % FRAME_SAMPLES
        silence = np.zeros(_FLUSH_SILENCE_SAMPLES + to_whole_frame, np.float32)
        extended = np.concatenate((context, rest, silence))
        moved = len(extended) - len(context)
        return self._decide(extended[moved:], context_start + moved, heard_end)

    def _decide(self, context: NDArray[np.float32], context_start: int, heard_end: int) -> list[Decision]:
        """Decide on the hop from the last one's end to `heard_end`; what the context holds beyond is made up."""
        if not self._is_speech_near(heard_end):
            silence = Abstention(self._hop_start, heard_end, "no_speech", 0.0)
            return [silence] if self._interim is None else self._interim.feed([silence], ())
        started = self._clock()
        context_end = context_start + len(context)
        encoded = self._encoder.encode(context, context_end, is_kept=context_end == heard_end)
        started = self._spend("encode", started)
        first_hop_frame = max(0, (self._hop_start - context_start) // FRAME_SAMPLES)
        candidates = self._scorer.score(encoded, context_start, context_end, first_hop_frame)
        started = self._spend("score", started)
        decisions = self._decided(heard_end, _within(candidates, heard_end))
        self._spend("decide", started)
        return decisions

    def _decided(self, heard_end: int, candidates: Sequence[Candidate]) -> list[Decision]:
        certain = [candidate for candidate in candidates if not candidate.is_tentative]
        decisions = self._decider.feed(self._hop_start, heard_end, certain)
        if self._interim is None:
            return list(decisions)
        tentative = [candidate for candidate in candidates if candidate.is_tentative]
        return self._interim.feed(decisions, self._decider.foresee(heard_end, tentative))

    def _is_speech_near(self, end: int) -> bool:
        """Whether speech was heard shortly before a sample."""
        last_speech = self._segmenter.last_speech_sample
        return last_speech is not None and last_speech > end - self._gate_samples

    def _spend(self, stage: str, started: float) -> float:
        now = self._clock()
        self._seconds[stage] += now - started
        return now


def _within(candidates: Sequence[Candidate], heard_end: int) -> Sequence[Candidate]:
    """The candidates cut to the stream: the context's frames may reach before its start and beyond its end."""
    return [
        c
        if c.start_sample >= 0 and c.end_sample <= heard_end
        else replace(c, start_sample=max(c.start_sample, 0), end_sample=min(c.end_sample, heard_end))
        for c in candidates
        if c.start_sample < heard_end and c.end_sample > 0
    ]
