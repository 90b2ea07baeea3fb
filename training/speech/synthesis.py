"""A script -> synthetic speech with exact spans: ``audio/*.flac`` and the rows of ``manifest.jsonl``.

A line is spoken in parts that are synthesised one by one and joined, so the bounds of each part are measured and not
guessed: the carrier before a term, the term, the carrier after it. Words inside a part share its time by letters.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from training.corpus.examples import Example, TermSpan
from training.corpus.lines import json_bytes
from training.corpus.manifest import spoken_words
from training.corpus.schemas import row_of
from training.speech.augmentation import augment, change_speed
from training.speech.effects import Effects
from training.speech.script import Line, Part, Script
from training.speech.speech_commands import SpeechCommand, SynthesisError, speak

MANIFEST = "manifest.jsonl"
LONGEST_S = 30.0
_GAP_S = (0.01, 0.09)
_EDGE_S = (0.1, 0.3)
_PART_LEVEL = 0.1
_LINES_AHEAD = 8


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """Joined speech float32[n] and the span of each part in samples."""

    audio: NDArray[np.float32]
    spans: tuple[tuple[Part, int, int], ...]


def speak_parts(parts: Sequence[Part], command: SpeechCommand, rng: random.Random, speed: float = 1.0) -> SpokenLine:
    """Synthesise each part, join them with short gaps; every part is scaled to the same level."""

    def silence(bounds: tuple[float, float]) -> NDArray[np.float32]:
        return np.zeros(round(rng.uniform(*bounds) * SAMPLE_RATE), np.float32)

    pieces, spans = [silence(_EDGE_S)], []
    offset = len(pieces[0])
    for i, part in enumerate(parts):
        if i:
            pieces.append(silence(_GAP_S))
            offset += len(pieces[-1])
        speech = change_speed(speak(command, part.text), speed)
        speech = speech * np.float32(_PART_LEVEL / (np.sqrt(np.mean(speech**2)) + 1e-6))
        spans.append((part, offset, offset + len(speech)))
        offset += len(speech)
        pieces.append(speech)
    pieces.append(silence(_EDGE_S))
    return SpokenLine(np.concatenate(pieces), tuple(spans))


def _speak(line: Line, effects: Effects) -> SpokenLine:
    rng = random.Random(line.seed)
    spoken = speak_parts(line.parts, line.command, rng, rng.uniform(*effects.speed))
    if len(spoken.audio) > LONGEST_S * SAMPLE_RATE:
        raise SynthesisError(
            f"{line.command.voice} speaks {len(spoken.audio) / SAMPLE_RATE:.0f} s for "
            f"{line.parts[0].text[:40]!r}…, more than {LONGEST_S:.0f} s; part the sentence"
        )
    audio = augment(spoken.audio, spoken.audio, effects.chain, np.random.default_rng(line.seed))
    return SpokenLine(audio, spoken.spans)


def example_of(line: Line, spoken: SpokenLine, audio: Path) -> Example:
    """The row of a line: each is a recording of its own."""
    words = [
        word
        for part, start, end in spoken.spans
        for word in spoken_words(part.text, start / SAMPLE_RATE, end / SAMPLE_RATE)
    ]
    return Example(
        example_id=line.line_id,
        audio=audio,
        start_sample=0,
        samples=len(spoken.audio),
        text=" ".join(word.text for word in words),
        terms=tuple(TermSpan(p.term, start, end) for p, start, end in spoken.spans if p.term is not None),
        words=tuple(words),
        recording=line.line_id,
        speaker=line.command.voice,
    )


@dataclass(slots=True)
class Outcome:
    """What became of the lines of a script: `new` + `kept` + `failed` are all of them."""

    new: int = 0
    kept: int = 0
    no_term: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many lines are spoken at once, and which share of them may fail before the run does."""

    jobs: int = 1
    max_failed_share: float = 0.05


ONE_AT_A_TIME = Pace()


def synthesise(
    script: Script,
    out: Path,
    pace: Pace = ONE_AT_A_TIME,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Speak every line of the script that ``out/manifest.jsonl`` does not hold yet.

    What a line sounds like depends on the script's seed and effects, the line and its voice only, so a run that was
    stopped goes on where it stopped and ends with the same files. `progress` is told lines done and lines in all.

    Raises:
        SynthesisError: before anything is written if a program is missing or a sentence cannot be spoken; later if
            more than a share of the lines fails, or the disk refuses. Rows written until then are whole.
    """
    lines = len(script)
    for command in script.voices:
        command.require()
    outcome = Outcome()
    try:
        (out / "audio").mkdir(parents=True, exist_ok=True)
        done = _done(out / MANIFEST)
        with (out / MANIFEST).open("ab") as rows, ThreadPoolExecutor(pace.jobs) as pool:
            for line, spoken in _spoken(script, done, pool, pace.jobs):
                _keep(line, spoken, out, rows, outcome)
                if len(outcome.failed) > pace.max_failed_share * lines:
                    raise SynthesisError(f"{len(outcome.failed)} of {lines} lines failed: {outcome.failed[-1]}")
                if progress is not None:
                    progress(outcome.new + outcome.kept + len(outcome.failed), lines)
    except (OSError, soundfile.SoundFileError) as error:
        raise SynthesisError(f"cannot write into {out}: {error}; make room there, or choose another folder") from error
    return outcome


def _spoken(
    script: Script, done: set[str], pool: ThreadPoolExecutor, jobs: int
) -> Iterator[tuple[Line, SpokenLine | SynthesisError | None]]:
    """Lines in the order of the script with their speech, why there is none, or None where it is there already."""

    def speech_of(line: Line) -> SpokenLine | SynthesisError | None:
        if line.line_id in done:
            return None
        try:
            return _speak(line, script.effects)
        except SynthesisError as error:
            return error

    lines = script.lines()
    while batch := list(islice(lines, _LINES_AHEAD * jobs)):
        yield from zip(batch, pool.map(speech_of, batch), strict=True)


def _keep(line: Line, spoken: SpokenLine | SynthesisError | None, out: Path, rows: BinaryIO, outcome: Outcome) -> None:
    """Write what was spoken, audio first: a row's audio is always whole."""
    if spoken is None:
        outcome.kept += 1
        return
    if isinstance(spoken, SynthesisError):
        outcome.failed.append(str(spoken))
        return
    audio = out / "audio" / f"{line.line_id}.flac"
    temporary = audio.with_suffix(".part")
    soundfile.write(temporary, spoken.audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    temporary.replace(audio)
    example = example_of(line, spoken, audio)
    rows.write(json_bytes(row_of(example, out)) + b"\n")
    rows.flush()
    outcome.new += 1
    outcome.no_term += example.is_no_term
    outcome.seconds += example.samples / SAMPLE_RATE


def _done(manifest: Path) -> set[str]:
    """Ids of an earlier run's rows; what a kill left of the last line is cut off the file.

    Raises SynthesisError for a line that is no row.
    """
    done: set[str] = set()
    if not manifest.exists():
        return done
    whole = 0
    with manifest.open("rb") as rows:
        for number, line in enumerate(rows, 1):
            if not line.endswith(b"\n"):
                break
            try:
                done.add(json.loads(line)["id"])
            except (ValueError, KeyError, TypeError) as error:
                raise SynthesisError(
                    f"{manifest}, line {number} is no row ({error!r}); remove it, or choose another folder"
                ) from error
            whole += len(line)
    with manifest.open("r+b") as rows:
        rows.truncate(whole)
    return done


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file without the empty ones. Raises SynthesisError if unreadable or empty."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise SynthesisError(f"cannot read {path}: {error.strerror or error}; check the name") from error
    except UnicodeDecodeError as error:
        raise SynthesisError(f"cannot read {path} as UTF-8 text: {error}; save it as UTF-8") from error
    if not lines:
        raise SynthesisError(f"{path} holds no line; write one a line")
    return lines
