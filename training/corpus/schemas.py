"""One row of any schema -> an example, and an example -> a row of our own form.

Term-level chunks and preprocessed samples are the two schemas of the earlier training system, read unchanged; chunks
that `termcue align` writes tell more: `term_spans` and `timed_words`, in seconds from the start of their audio. Our own
form is a JSON line that `training.corpus.manifest.read_manifest` reads too: times of words and terms in seconds, where
a sample is always a whole number of 1/16000 s.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from streaming.events import SAMPLE_RATE
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import normal_form
from training.corpus.lines import RawRow
from training.corpus.manifest import Word, spoken_words
from training.corpus.paths import why_no_file

# Two years of audio: what is longer is no length, and no integer of 64 bits need hold it.
_MOST_SAMPLES = 1 << 40
_MOST_S = _MOST_SAMPLES / SAMPLE_RATE
_SLACK_S = 0.001  # times are written with three decimals
_SLICE = re.compile(r"(.+):(\d+):(\d+)", re.DOTALL)
_SEGMENT = re.compile(r"(.+?)_S\d+")
_NO_TERM = re.compile(r"_no_term_\d+$")


class Source(NamedTuple):
    """A stretch of a recording; `samples` is 0 for all that follows."""

    path: Path
    start_sample: int
    samples: int


def source_of(text: str, folder: Path) -> Source:
    """`path` or `path:offset:frames`, relative to `folder` or absolute. Raises ValueError for absurd numbers."""
    path, start, samples = parted(text)
    return Source(folder / path, start, samples)


def parted(text: str) -> tuple[str, int, int]:
    """Path, offset and frames, both 0 where the text is a path alone. Raises ValueError for absurd numbers."""
    if (cut := _SLICE.fullmatch(text)) is not None:
        if max(map(len, cut.groups()[1:])) > len(str(_MOST_SAMPLES)):
            raise ValueError(f"its audio {text!r} names no number of samples")
        return cut[1], int(cut[2]), int(cut[3])
    return text, 0, 0


def recording_of(segment_id: str) -> str:
    """POD0000000003_S0000123 -> POD0000000003; other names stand for themselves."""
    cut = _SEGMENT.match(segment_id)
    return cut[1] if cut else _NO_TERM.sub("", segment_id)


def example_of(raw: RawRow) -> Example:
    """One row of any of the three forms. Raises ValueError that says what is wrong with it."""
    row, folder = raw.value, raw.file.parent
    if "term_chunk_audio" in row:
        return _chunk(row, folder)
    if "ground_truth_term" in row:
        return _sample(row, folder)
    if "path" in row:
        return _own(row, folder)
    raise ValueError(
        f"its keys {sorted(row)[:8]} are of no known form; a row has term_chunk_audio, ground_truth_term or path"
    )


def _chunk(row: Mapping[str, Any], folder: Path) -> Example:
    segment = _text(row, "segment_id")
    source = source_of(_text(row, "term_chunk_audio"), folder)
    terms = _texts(row, "term_chunk_audio_ground_truth_terms")
    if terms and row.get("is_no_term_chunk"):
        raise ValueError(f"is_no_term_chunk is true, yet it has the terms {list(terms)}")
    stem = source.path.stem
    return Example(
        example_id=stem if stem.startswith(segment) else f"{segment}_{stem}",
        audio=source.path,
        start_sample=source.start_sample,
        samples=source.samples,
        text=_optional_text(row, "term_chunk_text"),
        terms=_chunk_spans(row, terms, source),
        words=_words(row.get("timed_words")),
        recording=_optional_text(row, "audio_id") or recording_of(segment),
        speaker=_optional_text(row, "speaker"),
    )


def _chunk_spans(row: Mapping[str, Any], terms: Sequence[str], source: Source) -> tuple[TermSpan, ...]:
    """Where the terms of a chunk are; the whole chunk where its row does not say."""
    start, end = _number(row, "term_start_time"), _number(row, "term_end_time")
    origin, length = _number(row, "extended_start_time"), _length_s(row, source)
    for name, value in (("term_start_time", start), ("term_end_time", end), ("extended_start_time", origin)):
        if value is not None and value < 0:
            raise ValueError(f"{name} is {value}, before the audio starts")
    if start is not None and end is not None:
        if end < start or (end == start and terms):
            raise ValueError(f"term_end_time {end} is not after term_start_time {start}")
        if length is not None and end - start > length + _SLACK_S:
            raise ValueError(f"its term lasts {end - start:.3f} s, longer than its audio of {length:.3f} s")
    if not terms:
        return ()
    if "term_spans" in row:
        spans = _spans(row["term_spans"])
        _refuse_late(spans, source)
        return spans
    if start is None or end is None or origin is None or len(terms) > 1:
        return _whole(terms, length, source)
    last = math.inf if length is None else length
    first_s, last_s = max(0.0, start - origin), min(last, end - origin)
    if last_s <= first_s:
        raise ValueError(f"its term at {start} to {end} s lies outside its audio, which starts at {origin} s")
    return (TermSpan(terms[0], round(first_s * SAMPLE_RATE), round(last_s * SAMPLE_RATE)),)


def _length_s(row: Mapping[str, Any], source: Source) -> float | None:
    """Seconds of audio as far as the row tells."""
    if source.samples:
        return source.samples / SAMPLE_RATE
    length = _number(row, "extended_duration")
    if length is None and (start := _number(row, "extended_start_time")) is not None:
        end = _number(row, "extended_end_time")
        length = None if end is None else end - start
    if length is not None and length <= 0:
        raise ValueError(f"its audio lasts {length} s")
    return length


def _sample(row: Mapping[str, Any], folder: Path) -> Example:
    segment = _text(row, "segment_id")
    source = source_of(_text(row, "audio"), folder)
    terms = _texts(row, "ground_truth_term")
    if row.get("has_target") is False and terms:
        raise ValueError(f"has_target is false, yet it has the terms {list(terms)}")
    start, end = _number(row, "begin_time"), _number(row, "end_time")
    length = source.samples / SAMPLE_RATE if source.samples else None
    if start is not None and end is not None:
        if start < 0 or end <= start:
            raise ValueError(f"end_time {end} is not after begin_time {start}, or that is negative")
        length = length or end - start
    return Example(
        example_id=segment,
        audio=source.path,
        start_sample=source.start_sample,
        samples=source.samples,
        text=_optional_text(row, "text"),
        terms=_whole(terms, length, source),
        recording=_optional_text(row, "audio_id") or recording_of(segment),
        speaker=_optional_text(row, "speaker"),
    )


def _whole(terms: Sequence[str], length_s: float | None, source: Source) -> tuple[TermSpan, ...]:
    """Terms of which only is known that they are somewhere in the audio."""
    if not terms:
        return ()
    if length_s is None:
        if (absence := why_no_file(source.path)) is not None:
            raise ValueError(f"it does not say how long {source.path} is, which {absence}")
        try:
            header = soundfile.info(str(source.path))
        except (OSError, TypeError, soundfile.SoundFileError) as error:
            raise ValueError(f"it does not say how long {source.path} is, which cannot be read ({error})") from error
        length_s = header.frames / header.samplerate
    return tuple(TermSpan(term, 0, round(length_s * SAMPLE_RATE)) for term in terms)


def _own(row: Mapping[str, Any], folder: Path) -> Example:
    if "terms" not in row:
        raise ValueError("it has no terms; match it against a glossary first (termcue align), or write []")
    source = Source(folder / _text(row, "path"), _count(row, "start_sample"), _count(row, "samples"))
    spans = _spans(row["terms"])
    _refuse_late(spans, source)
    return Example(
        example_id=_text(row, "id"),
        audio=source.path,
        start_sample=source.start_sample,
        samples=source.samples,
        text=_optional_text(row, "text"),
        terms=spans,
        words=_words(row.get("words")),
        recording=_optional_text(row, "recording"),
        speaker=_optional_text(row, "speaker"),
    )


def _refuse_late(spans: Sequence[TermSpan], source: Source) -> None:
    late = [s.term for s in spans if source.samples and s.end_sample > source.samples]
    if late:
        raise ValueError(f"the term {late[0]!r} ends after its {source.samples} samples")


def _spans(value: object) -> tuple[TermSpan, ...]:
    spans = tuple(TermSpan(t, round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for t, a, b in _timed(value))
    for span in spans:
        _check_term(span.term)
        if span.start_sample < 0 or span.end_sample <= span.start_sample:
            raise ValueError(f"the term {span.term!r} has samples {span.start_sample} to {span.end_sample}")
    return spans


def _words(value: object) -> tuple[Word, ...]:
    return tuple(word for text, start, end in _timed(value or []) for word in spoken_words(text, start, end))


def _timed(value: object) -> Iterator[tuple[str, float, float]]:
    """[[text, start, end in seconds], …]."""
    for item in value if isinstance(value, list) else [value]:
        match item:
            case [str(text), int() | float() as start, int() | float() as end] if (
                text.strip() and -_MOST_S <= start <= end <= _MOST_S
            ):
                yield text, start, end
            case _:
                raise ValueError(f"{item!r} is no [text, start, end] in seconds")


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip() or "\0" in value or not _is_unicode(value):
        raise ValueError(f"its {key} is {value!r}, not a text")
    return value


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold the text; JSON can name halves of characters, which it cannot."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def _check_term(term: str) -> None:
    if not _is_unicode(term):
        raise ValueError(f"the term {term!r} holds half a character")
    if not any(map(str.isalnum, normal_form(term))):
        raise ValueError(f"the term {term!r} has no word with a letter or digit")


def _optional_text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is not None and not isinstance(value, str | int):
        raise ValueError(f"its {key} is {value!r}, not a text")
    if isinstance(value, str) and not _is_unicode(value):
        raise ValueError(f"its {key} {value!r} holds half a character")
    return "" if value is None else str(value)


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = [] if row.get(key) is None else row[key]
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValueError(f"its {key} is {value!r}, not a list of texts")
    for term in value:
        _check_term(term)
    return tuple(dict.fromkeys(value))


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _MOST_S:
        raise ValueError(f"its {key} is {value!r}, not a number of seconds")
    return float(value)


def _count(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_SAMPLES:
        raise ValueError(f"its {key} is {value!r}, not a number of samples")
    return value


def row_of(example: Example, folder: Path) -> dict[str, Any]:
    """The row of our own form; audio below `folder` is named relative to it."""
    inside = example.audio.is_relative_to(folder)
    return {
        "id": example.example_id,
        "path": str(example.audio.relative_to(folder) if inside else example.audio.absolute()),
        "start_sample": example.start_sample,
        "samples": example.samples,
        "duration_s": example.samples / SAMPLE_RATE,
        "text": example.text,
        "terms": [[t.term, t.start_sample / SAMPLE_RATE, t.end_sample / SAMPLE_RATE] for t in example.terms],
        "words": [[w.text, w.start_sample / SAMPLE_RATE, w.end_sample / SAMPLE_RATE] for w in example.words],
        "recording": example.recording,
        "speaker": example.speaker,
    }
