"""Peers that hear a stream chunk by chunk: TermCue itself, and keyword spotting with pocketsphinx."""

import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from streaming.events import SAMPLE_RATE
from tests.benchmarks.peers_matching import Sighting
from tests.benchmarks.peers_prepare import Phrase
from training.evaluation.stream_metrics import TimedHint

CHUNK_S = 0.1
_FRAMES_PER_S = 100
_KEYPHRASES = "glossary"


class Listener(Protocol):
    """A peer that is fed."""

    def feed(self, chunk: bytes) -> Sequence[TimedHint]:
        """The next s16le bytes -> the hints that leave now."""
        ...

    def finish(self) -> Sequence[TimedHint]:
        """The hints of the rest."""
        ...


def listen(listener: Listener, chunks: Iterable[bytes], limit_s: float) -> tuple[list[Sighting], float, float]:
    """Feed a stream until it ends or the computing exceeds `limit_s`; the hints, seconds heard, seconds of computing."""
    sightings: list[Sighting] = []
    heard, spent = 0.0, 0.0
    for chunk in chunks:
        started = time.process_time()
        hints = listener.feed(chunk)
        took = time.process_time() - started
        sightings += [Sighting(hint, took) for hint in hints]
        heard += len(chunk) / 2 / SAMPLE_RATE
        spent += took
        if spent > limit_s:
            return sightings, heard, spent
    started = time.process_time()
    hints = listener.finish()
    took = time.process_time() - started
    return sightings + [Sighting(hint, took) for hint in hints], heard, spent + took


class TermCueListener:
    """The pipeline as `listen` opens it, at so many false hints an hour."""

    def __init__(self, model: Path | None, glossary: Path, cache: Path, false_per_hour: float) -> None:
        from app.glossaries import open_glossary
        from app.loaded_model import load_folder, load_model
        from app.places import Places
        from app.wiring import Sensitivity, decision_of, make_pipeline
        from streaming.audio import AudioFormat

        folder = load_folder(model)
        self.model = load_model(folder)
        index = open_glossary(str(glossary), folder, Places(cache, cache)).index
        self.entries = len(index.entries)
        decision = decision_of(folder, Sensitivity("booth", false_per_hour), self.entries)
        self._pipeline = make_pipeline(self.model, index, decision, AudioFormat())

    def feed(self, chunk: bytes) -> list[TimedHint]:
        """The hints among the pipeline's events."""
        return self._hints(self._pipeline.feed(chunk))

    def finish(self) -> list[TimedHint]:
        """Those of the end."""
        return self._hints(self._pipeline.finish())

    @staticmethod
    def _hints(events: Iterable[Any]) -> list[TimedHint]:
        from streaming.events import Hint

        return [
            TimedHint(e.term, e.start_sample / SAMPLE_RATE, e.end_sample / SAMPLE_RATE, e.emitted_sample / SAMPLE_RATE)
            for e in events
            if isinstance(e, Hint)
        ]


class SphinxListener:
    """Keyword spotting with the acoustic model and dictionary of pocketsphinx's own wheel.

    Every spoken form is one keyphrase, all with the threshold 10 ** `exponent`: at few false hints that finds more than
    one in proportion to the phonemes. A word that the dictionary lacks is added with the pronunciation of TermCue's
    index; a phrase without one is left out (`left_out` counts them).
    """

    def __init__(self, phrases: Sequence[Phrase], work: Path, exponent: int) -> None:
        sphinx = import_module("pocketsphinx")
        self._decoder = sphinx.Decoder(
            hmm=sphinx.get_model_path("en-us/en-us"),
            dict=sphinx.get_model_path("en-us/cmudict-en-us.dict"),
            lm=None,
            loglevel="FATAL",
        )
        self._terms: dict[str, str] = {}
        self.left_out = 0
        lines = []
        for phrase in phrases:
            text = " ".join(phrase.words)
            if not self._learn(phrase):
                self.left_out += 1
            elif text not in self._terms:
                self._terms[text] = phrase.term
                lines.append(f"{text} /1e{exponent}/\n")
        keyphrases = work / "keyphrases.txt"
        keyphrases.write_text("".join(lines), "utf-8")
        self._decoder.add_kws(_KEYPHRASES, str(keyphrases))
        self._decoder.activate_search(_KEYPHRASES)
        self._decoder.start_utt()
        self._heard = 0.0
        self._last_end: dict[str, int] = {}

    def _learn(self, phrase: Phrase) -> bool:
        """Make all words of a phrase known; whether that can be done."""
        for i, word in enumerate(phrase.words):
            if self._decoder.lookup_word(word) is None:
                if i >= len(phrase.phones):
                    return False
                self._decoder.add_word(word, phrase.phones[i], update=False)
        return True

    def feed(self, chunk: bytes) -> list[TimedHint]:
        """Detections that are new since the last chunk."""
        self._decoder.process_raw(chunk)
        self._heard += len(chunk) / 2 / SAMPLE_RATE
        return self._new()

    def finish(self) -> list[TimedHint]:
        """Detections that were still waiting for a better score."""
        self._decoder.end_utt()
        return self._new()

    def _new(self) -> list[TimedHint]:
        hints = []
        for segment in self._decoder.seg() or ():
            # As read from the file, a keyphrase ends with the blank before its threshold.
            text = segment.word.strip()
            # A detection may still move to a better score on the same stretch: it is told once.
            if text in self._terms and segment.start_frame > self._last_end.get(text, -1):
                start, end = segment.start_frame / _FRAMES_PER_S, segment.end_frame / _FRAMES_PER_S
                hints.append(TimedHint(self._terms[text], start, end, self._heard))
            self._last_end[text] = max(segment.end_frame, self._last_end.get(text, -1))
        return hints
