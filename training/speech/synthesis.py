"""Terms and sentences -> synthetic speech with known spans, as a manifest that `training.corpus.manifest` reads.

A line is spoken in parts that are synthesised one by one and joined, so the bounds of each part are measured and not
guessed: the carrier before a term, the term, the carrier after it. Words inside a part share its time by letters.
"""

import argparse
import hashlib
import json
import logging
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.durable import replace_file
from streaming.events import SAMPLE_RATE
from streaming.symbols import words_of
from training.speech.speech_commands import VOICES, SpeechCommand, SynthesisError, speak

_LOG = logging.getLogger(__name__)
_MARKED = re.compile(r"\[([^\[\]]+)\]")
_GAP_S = (0.01, 0.09)
_EDGE_S = (0.1, 0.3)
CARRIERS: tuple[tuple[str, str], ...] = (
    ("we now come to", "and what follows from it"),
    ("the next slide is about", ""),
    ("", "is what we measured first"),
    ("please look at", "on the second page"),
    ("nobody had mentioned", "until last week"),
    ("this depends on", "more than on anything else"),
)
"""What is said before and after a bare term."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that is synthesised in one piece; `is_term` where its span is to be kept as a term's."""

    text: str
    is_term: bool


def parts_of(line: str) -> tuple[Part, ...]:
    """A sentence with terms in square brackets -> its parts; a sentence without brackets is one part.

    Raises SynthesisError for a part that would be read out otherwise than it is written.
    """
    parts = []
    for i, piece in enumerate(_MARKED.split(line)):
        # `split` gives what is between the marks at even places, what is marked at odd ones.
        if not (text := piece.strip()) and i % 2 == 0:
            continue
        if not words_of(text) or re.search(r"[^A-Za-z' .,;:!?-]", text):
            raise SynthesisError(f"{text!r} cannot be spoken as written: use words in a-z, numbers read out")
        parts.append(Part(text, i % 2 == 1))
    if not parts:
        raise SynthesisError("an empty line cannot be spoken")
    return tuple(parts)


def carried(term: str, rng: random.Random) -> str:
    """A term in one of the carriers, marked as in a sentence."""
    before, after = rng.choice(CARRIERS)
    return f"{before} [{term}] {after}".strip()


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """Joined speech float32[n] and the span of each part in samples."""

    audio: NDArray[np.float32]
    spans: tuple[tuple[Part, int, int], ...]


def speak_parts(parts: Sequence[Part], command: SpeechCommand, rng: random.Random) -> SpokenLine:
    """Synthesise each part, join them with short gaps; every part is scaled to the same level."""

    def silence(bounds: tuple[float, float]) -> NDArray[np.float32]:
        return np.zeros(round(rng.uniform(*bounds) * SAMPLE_RATE), np.float32)

    pieces, spans = [silence(_EDGE_S)], []
    offset = len(pieces[0])
    for i, part in enumerate(parts):
        if i:
            pieces.append(silence(_GAP_S))
            offset += len(pieces[-1])
        speech = speak(command, part.text)
        speech = speech * np.float32(0.1 / (np.sqrt(np.mean(speech**2)) + 1e-6))
        spans.append((part, offset, offset + len(speech)))
        offset += len(speech)
        pieces.append(speech)
    pieces.append(silence(_EDGE_S))
    return SpokenLine(np.clip(np.concatenate(pieces), -1.0, 1.0), tuple(spans))


def row_of(line_id: str, line: SpokenLine, voice: str) -> dict[str, Any]:
    """The manifest row: every part is a timed token, and `terms` repeats those that were marked."""

    def timed(part: Part, start: int, end: int) -> list[Any]:
        return [" ".join(words_of(part.text)), round(start / SAMPLE_RATE, 6), round(end / SAMPLE_RATE, 6)]

    return {
        "id": line_id,
        "path": f"audio/{line_id}.flac",
        "duration_s": round(len(line.audio) / SAMPLE_RATE, 6),
        "voice": voice,
        "collection": "synthetic",
        "use": "train",
        "text": " ".join(" ".join(words_of(part.text)) for part, _, _ in line.spans),
        "words": [timed(*span) for span in line.spans],
        "terms": [timed(*span) for span in line.spans if span[0].is_term],
    }


def _whole_rows(manifest: Path) -> dict[str, str]:
    """Rows of an earlier run by id; what a kill left of the last line is dropped from the file."""
    if not manifest.exists():
        return {}
    *lines, unfinished = manifest.read_text("utf-8").split("\n")
    if unfinished:
        replace_file(manifest, "".join(line + "\n" for line in lines).encode())
    return {json.loads(line)["id"]: line for line in lines}


def _write_flac(path: Path, audio: NDArray[np.float32]) -> None:
    temporary = path.with_suffix(".part")
    soundfile.write(temporary, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    temporary.replace(path)


def synthesise(
    sentences: Sequence[str],
    terms: Sequence[str],
    voices: Sequence[SpeechCommand],
    out: Path,
    seed: int,
    copies: int = 1,
) -> int:
    """Speak every line `copies` times into ``out/audio`` and ``out/manifest.jsonl``; returns how many were new.

    Voice, carrier and gaps of a line depend on the seed, the copy and the line only, so a run that was stopped goes on
    where it stopped and ends with the same files. Raises SynthesisError before anything is written if a program is
    missing or a line cannot be spoken.
    """
    planned = list(_plan(sentences, terms, voices, seed, copies))
    for _, _, command, _ in planned:
        command.require()
    (out / "audio").mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    done, new = _whole_rows(manifest), 0
    with manifest.open("a", encoding="utf-8") as rows:
        for line_id, parts, command, rng in planned:
            if line_id in done:
                continue
            line = speak_parts(parts, command, rng)
            _write_flac(out / "audio" / f"{line_id}.flac", line.audio)
            rows.write(json.dumps(row_of(line_id, line, command.voice)) + "\n")
            rows.flush()
            new += 1
    return new


def _plan(
    sentences: Sequence[str], terms: Sequence[str], voices: Sequence[SpeechCommand], seed: int, copies: int
) -> Iterator[tuple[str, tuple[Part, ...], SpeechCommand, random.Random]]:
    seen = set()
    for copy in range(copies):
        for kind, texts in (("sentence", sentences), ("term", terms)):
            for text in texts:
                key = f"{seed} {copy} {kind} {text}"
                line_id = "s" + hashlib.sha256(key.encode()).hexdigest()[:12]
                if line_id in seen:
                    continue
                seen.add(line_id)
                rng = random.Random(key)
                command = rng.choice(voices)
                yield line_id, parts_of(carried(text, rng) if kind == "term" else text), command, rng


def read_lines(path: Path | None) -> list[str]:
    """Lines of a UTF-8 text file without the empty ones; none for no file. Raises SynthesisError if unreadable."""
    if path is None:
        return []
    try:
        return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SynthesisError(f"cannot read {path} as UTF-8 text: {error}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m training.speech.synthesis``."""
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.synthesis",
        description="Terms and sentences -> synthetic speech with the span of each term, and its manifest.",
        epilog="example: python -m training.speech.synthesis --terms terms.txt --out build/synthetic --copies 3",
    )
    parser.add_argument("--terms", type=Path, help="text file, a term a line; each is spoken inside a carrier")
    parser.add_argument("--sentences", type=Path, help="text file, a sentence a line, [terms] in square brackets")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of audio/ and manifest.jsonl; goes on where it stopped"
    )
    parser.add_argument("--voice", action="append", choices=sorted(VOICES), help="may be repeated; default: all")
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="another synthesiser, such as 'piper -m en.onnx -f {out} -- {text}'; may be repeated",
    )
    parser.add_argument("--copies", type=int, default=1, help="voices per line (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        others = [SpeechCommand(f"command-{i}", template) for i, template in enumerate(given.command, 1)]
        names = given.voice or ([] if others else sorted(VOICES))
        lines = read_lines(given.sentences), read_lines(given.terms)
        if not any(lines):
            raise SynthesisError("nothing to say: give --terms or --sentences with at least one line")
        new = synthesise(*lines, [*(VOICES[name] for name in names), *others], given.out, given.seed, given.copies)
    except SynthesisError as error:
        parser.exit(1, f"{error}\n")
    _LOG.info("%d lines spoken into %s", new, given.out / "manifest.jsonl")


if __name__ == "__main__":
    main()
