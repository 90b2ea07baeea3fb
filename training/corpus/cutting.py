"""One segment -> its rows: chunks with their audio files, and contexts that point into the recording."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from training.corpus.chunks import (
    ChunkConfig,
    Stretch,
    around,
    no_term_chunks,
    spans_inside,
    spans_of,
    text_inside,
    words_heard,
)
from training.corpus.contexts import ContextConfig, contexts, cut, no_term_contexts
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import key_of
from training.corpus.manifest import Word
from training.corpus.matching import TermMatcher
from training.corpus.segments import Segment
from training.corpus.textgrid import read_textgrid

AudioFormat: TypeAlias = Literal["wav", "flac"]
_LATE_SAMPLES = SAMPLE_RATE // 4
_UNSAFE = re.compile(r"[^\w.\-]+")
_LONGEST_NAME = 60


class SegmentError(TermCueError):
    """A segment that cannot be cut; the message names the file and the reason."""


class ChunkWriteError(TermCueError):
    """Audio that cannot be written; no fault of the segment."""


@dataclass(frozen=True, slots=True)
class CutConfig:
    """How segments are cut; `contexts` None: no contexts are made."""

    chunks: ChunkConfig = field(default_factory=ChunkConfig)
    contexts: ContextConfig | None = None
    audio_format: AudioFormat = "wav"
    tier: str = "words"
    seed: int = 1


@dataclass(slots=True)
class Quota:
    """How many no-term rows are due: a share of the term rows so far, less those that were made."""

    due: float = 0.0

    def whole(self) -> int:
        """As many as may be made now."""
        return int(self.due + 1e-9)


@dataclass(slots=True)
class Quotas:
    """Of chunks and of contexts."""

    chunks: Quota = field(default_factory=Quota)
    contexts: Quota = field(default_factory=Quota)


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Rows of one segment: chunks in the term-level schema, contexts, and terms that fit into no context."""

    chunks: list[dict[str, Any]]
    contexts: list[Example]
    lost: int


class SegmentCutter:
    """Matches, aligns and cuts.

    Args:
        textgrids: folder of alignments, NAME.TextGrid for the segment NAME, also below a folder of its speaker or
            recording.
        matcher: the terms.
        out: folder of the rows; audio goes below out/audio.
        config: how.
    """

    def __init__(self, textgrids: Path, matcher: TermMatcher, out: Path, config: CutConfig) -> None:
        self._textgrids, self._matcher, self._out, self._config = textgrids, matcher, out, config

    def cut(self, segment: Segment, quotas: Quotas) -> SegmentRows:
        """Rows of a segment; `quotas` goes on from segment to segment.

        Raises:
            SegmentError: its audio cannot be used.
            TextGridError: its alignment cannot be used.
            ChunkWriteError: the disk refuses.
        """
        config = self._config
        length = _length(segment)
        words = self._words(segment, length)
        spans = spans_of(words, self._matcher.find([word.text for word in words]))
        rng = np.random.default_rng([config.seed, key_of(segment.segment_id)])
        pieces = [(around(span, length, config.chunks), span) for span in spans]
        quotas.chunks.due += config.chunks.no_term_ratio * len(spans)
        free = no_term_chunks(length, words, spans, config.chunks, quotas.chunks.whole(), rng)
        quotas.chunks.due -= len(free)
        rows = [self._term_row(segment, words, spans, stretch, span) for stretch, span in pieces]
        rows += [self._no_term_row(segment, words, stretch, i) for i, stretch in enumerate(free)]
        if rows:
            audio = _read(segment)
            for row, stretch in zip(rows, [*(stretch for stretch, _ in pieces), *free], strict=True):
                self._write(row["term_chunk_audio"], audio[slice(*stretch)])
        cuts, lost = self._contexts(segment, words, spans, length, quotas.contexts, rng)
        return SegmentRows(rows, cuts, lost)

    def _words(self, segment: Segment, length: int) -> tuple[Word, ...]:
        words = read_textgrid(self._textgrid(segment), self._config.tier)
        if words and words[-1].end_sample > length + _LATE_SAMPLES:
            raise SegmentError(
                f"the alignment of {segment.segment_id} ends at {words[-1].end_sample / SAMPLE_RATE:.2f} s, its audio "
                f"at {length / SAMPLE_RATE:.2f} s; align this segment by itself"
            )
        clamped = (Word(w.text, w.start_sample, min(length, w.end_sample)) for w in words)
        return tuple(word for word in clamped if word.end_sample > word.start_sample)

    def _textgrid(self, segment: Segment) -> Path:
        name = f"{segment.segment_id}.TextGrid"
        folders = ["", *filter(None, (segment.speaker, segment.recording))]
        places = [self._textgrids / folder / name for folder in folders]
        return next((place for place in places if place.is_file()), places[0])

    def _term_row(
        self, segment: Segment, words: Sequence[Word], spans: Sequence[TermSpan], stretch: Stretch, span: TermSpan
    ) -> dict[str, Any]:
        start, end, context = span.start_sample, span.end_sample, self._config.chunks.context_seconds
        name = _UNSAFE.sub("_", span.term)[:_LONGEST_NAME]
        timed = f"{start / SAMPLE_RATE:.2f}_{end / SAMPLE_RATE:.2f}_ctx{context}s"
        row = self._row(segment, segment.segment_id, f"term_{name}_{timed}", words, stretch, (start, end))
        others = spans_inside(spans, stretch)
        # The term that the chunk is about comes first.
        heard = dict.fromkeys([span.term, *(other.term for other in others)])
        return row | {
            "term_chunk_audio_ground_truth_terms": list(heard),
            "context_seconds": context,
            "actual_extended_start": _seconds(start) - context,
            "actual_extended_end": _seconds(end) + context,
            "term_spans": [[s.term, _seconds(s.start_sample), _seconds(s.end_sample)] for s in others],
        }

    def _no_term_row(self, segment: Segment, words: Sequence[Word], stretch: Stretch, number: int) -> dict[str, Any]:
        first, last = stretch
        name = f"no_term_{number}"
        timed = f"{name}_{first / SAMPLE_RATE:.2f}_{last / SAMPLE_RATE:.2f}"
        row = self._row(segment, f"{segment.segment_id}_{name}", timed, words, stretch, stretch)
        return row | {
            "term_chunk_audio_ground_truth_terms": [],
            "context_seconds": 0,
            "actual_extended_start": _seconds(first),
            "actual_extended_end": _seconds(last),
            "is_no_term_chunk": True,
        }

    def _row(
        self, segment: Segment, row_id: str, name: str, words: Sequence[Word], stretch: Stretch, term: Stretch
    ) -> dict[str, Any]:
        offset = segment.source.start_sample
        return {
            "segment_id": row_id,
            "term_chunk_audio": f"audio/{segment.recording}/{segment.segment_id}_{name}.{self._config.audio_format}",
            "term_chunk_text": text_inside(words, stretch),
            "term_start_time": _seconds(term[0]),
            "term_end_time": _seconds(term[1]),
            "term_start_time_abs": _seconds(offset + term[0]),
            "term_end_time_abs": _seconds(offset + term[1]),
            "term_duration": _seconds(term[1] - term[0]),
            "extended_start_time": _seconds(stretch[0]),
            "extended_end_time": _seconds(stretch[1]),
            "extended_duration": _seconds(stretch[1] - stretch[0]),
            "audio_id": segment.recording,
            "speaker": segment.speaker,
            "timed_words": [
                [w.text, _seconds(w.start_sample), _seconds(w.end_sample)] for w in words_heard(words, stretch)
            ],
        }

    def _write(self, name: str, audio: NDArray[np.int16]) -> None:
        path = self._out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, audio, SAMPLE_RATE, subtype="PCM_16")
        except (OSError, soundfile.SoundFileError) as error:
            raise ChunkWriteError(f"cannot write {path} ({error}); free space there, then run it again") from error

    def _contexts(
        self,
        segment: Segment,
        words: tuple[Word, ...],
        spans: tuple[TermSpan, ...],
        length: int,
        quota: Quota,
        rng: np.random.Generator,
    ) -> tuple[list[Example], int]:
        config = self._config.contexts
        if config is None:
            return [], 0
        stretches, lost = contexts(length, spans, config, rng)
        quota.due += self._config.chunks.no_term_ratio * len(stretches)
        free = no_term_contexts(length, spans, config, quota.whole(), rng)
        quota.due -= len(free)
        whole = Example(
            segment.segment_id,
            segment.source.path,
            segment.source.start_sample,
            length,
            segment.text,
            spans,
            words,
            segment.recording,
            segment.speaker,
        )
        named: Mapping[str, list[Stretch]] = {"context": stretches, "no_term_context": free}
        return [
            cut(whole, stretch, f"{segment.segment_id}_{name}_{i}")
            for name, found in named.items()
            for i, stretch in enumerate(found)
        ], lost


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE


def _length(segment: Segment) -> int:
    """Samples of a segment, from the header of its file. Raises SegmentError."""
    source = segment.source
    try:
        header = soundfile.info(str(source.path))
    except (OSError, soundfile.SoundFileError) as error:
        raise SegmentError(f"{source.path} cannot be read ({error})") from error
    if header.samplerate != SAMPLE_RATE or header.channels != 1:
        raise SegmentError(
            f"{source.path} has {header.samplerate} Hz, {header.channels} channels; make it 16000 Hz mono first"
        )
    left = header.frames - source.start_sample
    if left < max(1, source.samples):
        raise SegmentError(
            f"{source.path} has {header.frames} samples, too few for {source.samples} from {source.start_sample} on"
        )
    return int(source.samples or left)


def _read(segment: Segment) -> NDArray[np.int16]:
    """The samples of a segment. Raises SegmentError where they break off."""
    source = segment.source
    try:
        audio, _ = soundfile.read(str(source.path), source.samples or -1, source.start_sample, dtype="int16")
    except (OSError, soundfile.SoundFileError) as error:
        raise SegmentError(f"{source.path} cannot be read ({error})") from error
    if len(audio) < source.samples:
        raise SegmentError(f"{source.path} breaks off after {len(audio)} of {source.samples} samples")
    return np.asarray(audio, np.int16)
