"""eSpeak NG inside the test process (about a thousand clips a second), and small corpora spoken by it.

The library and its voices come from the wheel `espeakng-loader` (GPL: a tool of the tests, never part of the product).
Word bounds are the events of the synthesiser (speak_lib.h), exact to a sample at its rate of 22050 Hz.
"""

import ctypes
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import Word
from training.corpus.rows import write_examples
from training.speech.carriers import PHRASES
from training.speech.speech_commands import sounding

Audio = NDArray[np.float32]

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = tuple("m1 f1 m2 f2 m3 f3 m4 f4 m5 f5 m6 Annie m7 linda m8 steph max belinda adam Andrea".split())
CARRIERS = (
    ("now the", "again"),
    ("this is the", ""),
    ("the", "is what we saw"),
    ("look at the", "here"),
    ("it needs the", "today"),
    ("why the", "fails"),
)
"""What is said before and after a term, or before and after an everyday phrase where there is none."""

_SYNCHRONOUS, _UTF8, _RATE, _PITCH, _WORD_EVENT = 2, 1, 1, 3, 1
_WORDS = re.compile(r"[A-Za-z']+")
_LEVEL = 0.1


class _Event(ctypes.Structure):
    """`espeak_EVENT`."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", ctypes.c_int64),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: an accent, a vocal tract (eSpeak's variants), words a minute, and pitch from 0 to 99."""

    accent: str
    variant: str
    rate: int = 150
    pitch: int = 50

    @property
    def name(self) -> str:
        """Its name as a speaker."""
        return f"{self.accent}-{self.variant}-{self.rate}-{self.pitch}"


@dataclass(frozen=True, slots=True)
class Speech:
    """float32[n] at 16 kHz from the first to the last sound, and the words in it."""

    audio: Audio
    words: tuple[Word, ...]


def voices(count: int = len(ACCENTS) * len(VARIANTS)) -> tuple[Voice, ...]:
    """The first `count` (at most 160) different speakers; neighbours differ in accent, tract, rate and pitch."""
    pairs = [(i, (i + i // len(VARIANTS)) % len(ACCENTS), i % len(VARIANTS)) for i in range(count)]
    return tuple(Voice(ACCENTS[a], VARIANTS[v], 135 + 10 * (i % 6), 35 + 7 * (i % 5)) for i, a, v in pairs)


class Espeak:
    """A copy of the library with a state of its own: the same calls from the start give the same samples."""

    def __init__(self) -> None:
        wheel = Path(str(files("espeakng_loader")))
        with tempfile.TemporaryDirectory() as folder:
            # The loader shares one state among all who load one file; a new copy is another library to it.
            source = min(wheel.glob("*espeak-ng.*"))
            self._library = ctypes.CDLL(str(shutil.copy(source, folder)))
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(wheel / "espeak-ng-data").encode(), 0)
        # An unknown variant would be left out without a word.
        self._variants = {path.name for path in (wheel / "espeak-ng-data/voices/!v").iterdir()}
        assert self._rate > 0, f"eSpeak does not start with the voices of {wheel}"
        self._library.espeak_ng_SetRandSeed(1)
        self._library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        self._samples = bytearray()
        self._events: list[tuple[int, int]] = []
        self._callback = _CALLBACK(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: int | None, count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        i = 0
        while events[i].type:
            if events[i].type == _WORD_EVENT:
                self._events.append((events[i].text_position - 1, events[i].sample))
            i += 1
        return 0

    def speak(self, text: str, voice: Voice) -> Speech:
        """Say `text` (words in a-z) in one breath. Raises ValueError for an unknown voice or a text that is silent."""
        self._samples.clear()
        self._events.clear()
        name = f"{voice.accent}+{voice.variant}"
        if voice.variant not in self._variants or self._library.espeak_SetVoiceByName(name.encode()):
            raise ValueError(f"eSpeak has no voice {name}; see `voices`")
        self._library.espeak_SetParameter(_RATE, voice.rate, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        spoken = text.encode("ascii")
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8, None, None)
        raw = np.frombuffer(bytes(self._samples), np.int16).astype(np.float32)
        audio: Audio = np.asarray(soxr.resample(raw / np.float32(32768), self._rate, SAMPLE_RATE), np.float32)
        first, last = sounding(audio)
        if first == last:
            raise ValueError(f"eSpeak says nothing for {text!r}")
        return Speech(audio[first:last], self._words(text, first, last - first))

    def _words(self, text: str, begin: int, samples: int) -> tuple[Word, ...]:
        """Words from an event to the next; words that eSpeak joins ("in the") share that time by their letters."""
        groups: list[tuple[int, list[str]]] = []
        starts = {position: sample for position, sample in self._events}
        for found in _WORDS.finditer(text):
            if found.start() in starts or not groups:
                at = round(starts.get(found.start(), 0) * SAMPLE_RATE / self._rate) - begin
                groups.append((min(max(0, at), samples) if groups else 0, []))
            groups[-1][1].append(found.group().lower())
        ends = [start for start, _ in groups[1:]] + [samples]
        return tuple(
            word for (start, words), end in zip(groups, ends, strict=True) for word in _shared(words, start, end)
        )


def _shared(words: Sequence[str], start: int, end: int) -> Iterator[Word]:
    letters, done = sum(map(len, words)), 0
    for word in words:
        first = start + (end - start) * done // letters
        done += len(word)
        yield Word(word, first, start + (end - start) * done // letters)


@lru_cache(maxsize=1)
def _shared_library() -> Espeak:
    return Espeak()


def say(text: str, voice: str = "en-us", variant: str = "m3", rate: int = 150, pitch: int = 50) -> Audio:
    """float32[n] at 16 kHz, without the silence around it; any number of times in one process."""
    return _shared_library().speak(text, Voice(voice, variant, rate, pitch)).audio


def technical_terms() -> tuple[str, ...]:
    """200 terms of one to three words; none is part of another."""
    return tuple(Path(__file__).with_name("technical_terms.txt").read_text("utf-8").splitlines())


def make_corpus(
    out: Path,
    terms: Sequence[str],
    speakers: Sequence[Voice],
    seed: int,
    *,
    per_row: int = 1,
    no_term_share: float = 0.2,
    phrases: Sequence[str] = PHRASES,
    carriers: Sequence[tuple[str, str]] = CARRIERS,
) -> tuple[Example, ...]:
    """Every voice says every term once, in carriers: rows in `out`/rows.jsonl, one recording a voice.

    Args:
        out: a folder; made if absent.
        terms: each row holds `per_row` of them (the last row of a voice may hold fewer).
        speakers: see `voices`; the speakers of the rows.
        seed: of the order of the terms, the carriers and the silence between them.
        per_row: terms in a row; each takes about 2 s.
        no_term_share: rows without a term, as a share of all: everyday phrases in the same carriers.
        phrases: those that may be said there; by default all of `training.speech.carriers`.
        carriers: what may be said before and after a term or a phrase.
    """
    out.mkdir(parents=True, exist_ok=True)
    library, examples = Espeak(), []
    for voice in speakers:
        rng = random.Random(f"{seed} {voice.name}")
        order = rng.sample(terms, len(terms))
        rows = [tuple(order[i : i + per_row]) for i in range(0, len(order), per_row)]
        empty = round(len(rows) * no_term_share / (1 - no_term_share))
        plans = [(row, True) for row in rows]
        plans += [(tuple(rng.choice(phrases) for _ in rows[0]), False) for _ in range(empty)]
        recording = out / f"{voice.name}.wav"
        pieces, begun = [], 0
        for i, (row, is_term) in enumerate(plans):
            audio, spans, words = _row(library, [rng.choice(carriers) for _ in row], row, voice, rng)
            found = spans if is_term else ()
            text = " ".join(word.text for word in words)
            examples.append(
                Example(f"{voice.name}-{i}", recording, begun, len(audio), text, found, words, voice.name, voice.name)
            )
            pieces.append(audio)
            begun += len(audio)
        soundfile.write(recording, np.concatenate(pieces), SAMPLE_RATE, subtype="PCM_16")
    write_examples(out / "rows.jsonl", examples)
    return tuple(examples)


def _row(
    library: Espeak, carriers: Sequence[tuple[str, str]], said: Sequence[str], voice: Voice, rng: random.Random
) -> tuple[Audio, tuple[TermSpan, ...], tuple[Word, ...]]:
    """Carried phrases one after the other, with silence around them, and where each phrase and each word is."""
    pieces, spans, words, at = [], [], [], 0

    def pause() -> Audio:
        return np.zeros(round(rng.uniform(0.05, 0.3) * SAMPLE_RATE), np.float32)

    for (before, after), phrase in zip(carriers, said, strict=True):
        pieces.append(pause())
        at += len(pieces[-1])
        speech = library.speak(f"{before} {phrase} {after}".strip(), voice)
        timed = [Word(w.text, at + w.start_sample, at + w.end_sample) for w in speech.words]
        first = len(_WORDS.findall(before))
        last = first + len(_WORDS.findall(phrase)) - 1
        spans.append(TermSpan(phrase, timed[first].start_sample, timed[last].end_sample))
        words += timed
        pieces.append(speech.audio * np.float32(_LEVEL / np.sqrt(np.mean(speech.audio**2))))
        at += len(speech.audio)
    return np.clip(np.concatenate([*pieces, pause()]), -1.0, 1.0), tuple(spans), tuple(words)
