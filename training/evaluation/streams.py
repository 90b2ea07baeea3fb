"""Long streams and what a listener would be shown of them; rows of a corpus joined into such streams."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from streaming.audio import float_to_pcm16
from streaming.calibration import PROFILES, Calibration
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from training.corpus.audio import read_stretch
from training.corpus.examples import Example
from training.corpus.keys import normal_form
from training.evaluation.calibrate import candidates_of, decide_candidates, recall_at, sweep
from training.evaluation.collect import LongStream, read_stream
from training.evaluation.fit_streams import ALLOWED
from training.evaluation.stream_evidence import StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference, StreamScore

ON_TIME_S = 2.0
"""A hint later than this after the end of its term comes too late for an interpreter."""
_GAP_S = (0.3, 0.9)
_KEYS = ("name", "duration_s", "utterances", "occurrences", "words")


def is_stream(path: Path) -> bool:
    """Whether a file is the JSON of a long stream, not rows of a corpus: an object that begins with a name."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return re.match(rb'\s*\{\s*"(name|duration_s|utterances)"', file.read(4096)) is not None


def open_stream(path: Path, audio: Path | None = None) -> LongStream:
    """Read a stream; its audio lies below `audio`, else beside the file or in the folder above.

    Raises:
        SettingError: it is no stream, or its audio is in none of these places.
    """
    try:
        raw: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"cannot read the stream {path}: {error}; name a JSON file with its reference") from error
    lacking = [key for key in _KEYS if not isinstance(raw, dict) or key not in raw]
    if lacking:
        raise SettingError(f"{path} is no stream: it lacks {', '.join(lacking)}")
    return read_stream(path, _audio_folder(path, raw, audio))


def _audio_folder(path: Path, raw: Mapping[str, Any], audio: Path | None) -> Path:
    places = [audio] if audio is not None else [path.parent, path.parent.parent]
    wanted = next((str(utterance["path"]) for utterance in raw["utterances"]), "")
    for place in places:
        if (place / wanted).exists():
            return place
    raise SettingError(
        f"{path}: its audio {wanted} is not in {' or '.join(map(str, places))}; name the folder with --audio-dir"
    )


def join_examples(name: str, examples: Iterable[Example], seed: int = 0) -> LongStream:
    """Rows one after the other, with pauses of 0.3 to 0.9 s, as one stream with its reference.

    Words without times are spread evenly over their row: they only tell which hints are inflections of what was said.

    Raises:
        AudioError: a row cannot be read.
        SettingError: there is none.
    """
    rng = np.random.default_rng(seed)
    parts, occurrences, words, samples = [], [], [], 0
    for example in examples:
        audio = read_stretch(example)
        start = samples / SAMPLE_RATE
        occurrences += [
            Occurrence(t.term, start + t.start_sample / SAMPLE_RATE, start + t.end_sample / SAMPLE_RATE)
            for t in example.terms
        ]
        words += [(text, start + first, start + last) for text, first, last in _words(example, len(audio))]
        pause = np.zeros(round(rng.uniform(*_GAP_S) * SAMPLE_RATE), np.float32)
        parts += [audio, pause]
        samples += len(audio) + len(pause)
    if not parts:
        raise SettingError(f"the stream {name} has no row; give rows of speech")
    reference = Reference(samples / SAMPLE_RATE, tuple(occurrences), tuple(words))
    return LongStream(name, float_to_pcm16(np.concatenate(parts)), reference)


def _words(example: Example, samples: int) -> list[tuple[str, float, float]]:
    if example.words:
        return [(w.text, w.start_sample / SAMPLE_RATE, w.end_sample / SAMPLE_RATE) for w in example.words]
    spoken = normal_form(example.text).split()
    bounds = np.linspace(0, samples / SAMPLE_RATE, len(spoken) + 1).tolist()
    return list(zip(spoken, bounds[:-1], bounds[1:], strict=True))


def by_speaker(examples: Sequence[Example], name: str, most: int = 4) -> dict[str, list[Example]]:
    """At most so many streams' rows, each speaker in one of them, of about equal length; names end in a letter."""
    speakers: dict[str, list[Example]] = {}
    for example in examples:
        speakers.setdefault(example.speaker or example.recording, []).append(example)
    streams: list[list[Example]] = [[] for _ in range(min(most, len(speakers)))]
    for rows in sorted(speakers.values(), key=len, reverse=True):
        min(streams, key=len).extend(rows)
    return {f"{name}-{chr(ord('a') + i)}": rows for i, rows in enumerate(streams)}


def in_its_terms(evidence: StreamEvidence) -> StreamEvidence:
    """The same with its occurrences called as the glossary calls them; those of no entry are left out."""
    entries = evidence.entries
    called = {form.text: entries[form.entry_index].term for form in evidence.forms}
    called |= {normal_form(alias): entry.term for entry in entries for alias in entry.aliases}
    called |= {normal_form(entry.term): entry.term for entry in entries}
    kept = tuple(
        replace(o, term=called[normal_form(o.term)])
        for o in evidence.reference.occurrences
        if normal_form(o.term) in called
    )
    return replace(evidence, reference=replace(evidence.reference, occurrences=kept))


def stream_results(evidence: StreamEvidence, calibration: Calibration) -> dict[str, Any]:
    """What each profile shows of the stream, and the recall to be had at other numbers of false hints."""
    candidates = [candidates_of(hop, evidence.forms, calibration) for hop in evidence.hops]
    swept = sweep(evidence, calibration)
    results: dict[str, Any] = {
        "stream": evidence.name,
        "entries": evidence.size,
        "occurrences": len(evidence.reference.occurrences),
        "recall_at_false_hints_per_hour": {str(n): round(recall_at(swept, n).recall, 4) for n in ALLOWED},
        "curve": [[round(s.false_per_hour, 3), round(s.recall, 4)] for s in swept],
    }
    for profile, per_hour in PROFILES.items():
        threshold = calibration.threshold(per_hour, evidence.size)
        results[profile] = {"threshold": threshold, **_shown(decide_candidates(evidence, candidates, threshold))}
    return results


def _shown(score: StreamScore) -> dict[str, float | None]:
    late = [score.latency(0.5), score.latency(0.95)] if score.latencies else [None, None]
    on_time = sum(latency <= ON_TIME_S for latency in score.latencies)
    return {
        "recall": score.recall,
        "precision": score.precision,
        "false_hints_per_hour": score.false_per_hour,
        "hint_latency_p50_s": late[0],
        "hint_latency_p95_s": late[1],
        "on_time_rate": on_time / len(score.latencies) if score.latencies else None,
    }
