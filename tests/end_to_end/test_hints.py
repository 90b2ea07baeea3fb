"""What the program is for: the terms that were said, near where they were said, soon after, and no others.

The recordings of the sample were part of the training, so this shows that the whole way works, not how well unknown
speakers are heard; the benchmark does that.
"""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model
from app.places import Places
from app.samples import glossary_path, recordings
from app.wiring import OpenGlossary, Sensitivity, decision_of, make_pipeline
from streaming.audio import AudioFormat, float_to_pcm16
from streaming.events import SAMPLE_RATE, Abstention, Event, Hint, HintWithdrawn, SpeechStarted
from streaming.model_folder import BUNDLED
from streaming.pipeline import Pipeline
from streaming.testing import noise_pcm, synthetic_pcm

ROOT = Path(__file__).parents[2]
HOP_S = 0.64
# A hint may come so long after the end of its term: the hop, and what the decision waits for.
LATEST_S = 1.6
SPAN_TOLERANCE_S = 0.75

# Where each term is said in the stream of `listen sample`, in seconds, by forced alignment of the transcripts.
SAID: dict[str, list[tuple[float, float]]] = {
    "John Dashwood": [(0.76, 1.56)],
    "leisure": [(2.36, 2.66)],
    "consider": [(2.98, 3.40)],
    "prudently": [(5.02, 5.40)],
    "power": [(5.82, 6.06)],
    "ill-disposed": [(8.94, 9.70), (15.33, 16.11)],
    "young man": [(9.74, 10.44)],
    "cold-hearted": [(12.51, 13.25)],
    "selfish": [(14.03, 14.55)],
    "married": [(17.51, 17.91)],
    "amiable": [(18.43, 18.87), (25.20, 25.66)],
    "respectable": [(21.19, 21.95)],
    "fellow Americans": [(28.59, 29.47)],
    "country": [(33.17, 33.51), (37.31, 37.61)],
}


@pytest.fixture(scope="module")
def model() -> Model:
    """The bundled model."""
    return load_model(load_folder(BUNDLED))


@pytest.fixture(scope="module")
def glossary(model: Model, tmp_path_factory: pytest.TempPathFactory) -> OpenGlossary:
    """The bundled glossary, built as the program builds it."""
    folder = tmp_path_factory.mktemp("places")
    return open_glossary(None, model.folder, Places(data=folder / "data", cache=folder / "cache"))


def _told(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The messages of `termcue listen sample --json`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TERMCUE_")}
    environment = {**kept, "XDG_DATA_HOME": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "app.cli", "listen", "sample", "--json", "--model", str(BUNDLED), *arguments]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    return [json.loads(line) for line in finished.stdout.splitlines()]


def _pipeline(model: Model, glossary: OpenGlossary) -> Pipeline:
    decision = decision_of(model.folder, Sensitivity("booth"), len(glossary.index.entries))
    return make_pipeline(model, glossary.index, decision, AudioFormat())


def _pcm(recording: int) -> bytes:
    samples, rate = soundfile.read(recordings()[recording].path, dtype="float32")
    assert rate == SAMPLE_RATE
    return float_to_pcm16(samples)


def _events(pipeline: Pipeline, chunks: Iterable[bytes]) -> list[Event]:
    return [event for chunk in chunks for event in pipeline.feed(chunk)] + pipeline.finish()


def _hints(events: Iterable[Event]) -> list[Hint]:
    return [event for event in events if isinstance(event, Hint)]


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The hints of `termcue listen sample --json`, run once."""
    messages = _told(tmp_path_factory.mktemp("home"))
    return [message for message in messages if message["type"] == "TermHint"]


def test_table_of_spoken_terms_is_that_of_the_transcripts() -> None:
    """The terms said, and how often, are those that stand in the transcripts."""
    transcripts = [f" {recording.words} " for recording in recordings()]
    terms = [line.split(",")[0] for line in glossary_path().read_text("utf-8").splitlines()[1:]]
    times = {term: sum(text.count(f" {term.lower().replace('-', ' ')} ") for text in transcripts) for term in terms}
    assert {term: n for term, n in times.items() if n} == {term: len(spans) for term, spans in SAID.items()}


def test_most_spoken_terms_are_hinted(hints: list[dict[str, Any]]) -> None:
    """At least 9 of the 14 terms that are said in the sample."""
    heard = {hint["term"] for hint in hints} & SAID.keys()
    assert len(heard) >= 9, sorted(heard)


def test_hardly_anything_else_is_hinted(hints: list[dict[str, Any]]) -> None:
    """At most 2 hints in the 42 seconds name a term that is not said."""
    wrong = [hint["term"] for hint in hints if hint["term"] not in SAID]
    assert len(wrong) <= 2, wrong


def test_hints_lie_where_the_terms_are_said(hints: list[dict[str, Any]]) -> None:
    """Start and end of each hint are near those of one time the term was said."""
    for hint in (hint for hint in hints if hint["term"] in SAID):
        away = [max(abs(hint["start"] - start), abs(hint["end"] - end)) for start, end in SAID[hint["term"]]]
        assert min(away) < SPAN_TOLERANCE_S, (hint["term"], hint["start"], hint["end"])


def test_hints_come_soon_after_the_end_of_their_terms(hints: list[dict[str, Any]]) -> None:
    """Never before the term has ended, and not long after."""
    for hint in hints:
        assert 0 <= hint["emitted"] - hint["end"] <= LATEST_S, hint
        assert hint["start"] < hint["end"]


def test_twice_as_many_decisions_are_sooner(hints: list[dict[str, Any]], tmp_path: Path) -> None:
    """With --hop-ms 320 each decision covers 0.32 s, and about the same terms are hinted, sooner."""
    messages = _told(tmp_path, "--hop-ms", "320", "--abstentions")
    windows = [m["end"] - m["start"] for m in messages if m["type"] == "Abstain"]
    assert max(windows) == pytest.approx(HOP_S / 2)
    found = [message for message in messages if message["type"] == "TermHint"]
    assert len({hint["term"] for hint in found} & SAID.keys()) >= len({hint["term"] for hint in hints}) - 1
    assert len([hint for hint in found if hint["term"] not in SAID]) <= 2
    late = [sorted(hint["emitted"] - hint["end"] for hint in some) for some in (found, hints)]
    assert late[0][len(late[0]) // 2] < late[1][len(late[1]) // 2]


def test_hints_carry_the_translation(hints: list[dict[str, Any]]) -> None:
    """What is shown beside the term is its row of the glossary."""
    rows = [line.split(",") for line in glossary_path().read_text("utf-8").splitlines()[1:]]
    german = {row[0]: row[1] for row in rows}
    assert hints
    assert all(hint["translation"] == german[hint["term"]] for hint in hints)


def test_chunks_of_any_length_give_identical_events(model: Model, glossary: OpenGlossary) -> None:
    """One byte, odd numbers of bytes or the whole at once: the events are equal, to the last digit of their scores."""
    pcm = _pcm(1)
    whole = _events(_pipeline(model, glossary), [pcm])
    assert _hints(whole)
    for step in (1, 7, 320, 4801):
        chunks = (pcm[i : i + step] for i in range(0, len(pcm), step))
        assert _events(_pipeline(model, glossary), chunks) == whole, step


def test_interim_hints_come_sooner_and_change_no_final_one(model: Model, glossary: OpenGlossary) -> None:
    """What is final is the same with and without them, ids apart; every interim hint is confirmed or withdrawn."""
    pcm = b"".join(_pcm(number) for number in range(len(recordings())))
    decision = decision_of(model.folder, Sensitivity("booth"), len(glossary.index.entries))
    without = _hints(_events(_pipeline(model, glossary), [pcm]))
    interim = make_pipeline(model, glossary.index, decision, AudioFormat(), interim_hints=True)
    events = _events(interim, [pcm])
    final = [hint for hint in _hints(events) if hint.is_final]
    assert [replace(hint, hint_id="", rev=1) for hint in final] == [replace(hint, hint_id="") for hint in without]
    shown = {hint.hint_id for hint in _hints(events) if not hint.is_final}
    assert shown
    confirmed = {hint.hint_id for hint in final if hint.rev > 1}
    withdrawn = {event.hint_id for event in events if isinstance(event, HintWithdrawn)}
    assert shown == confirmed | withdrawn
    assert not confirmed & withdrawn


def test_reset_makes_the_stream_a_new_one(model: Model, glossary: OpenGlossary) -> None:
    """After a reset the same bytes give the same events: nothing is kept in encoder, scorer or decision."""
    pipeline = _pipeline(model, glossary)
    pcm = _pcm(1)
    first = _events(pipeline, [pcm])
    pipeline.reset()
    assert _events(pipeline, [pcm]) == first


def test_hour_of_silence_says_nothing_and_costs_no_memory(model: Model, glossary: OpenGlossary) -> None:
    """An hour of digital silence gives an abstention for each hop and nothing else, and memory does not grow."""
    pipeline = _pipeline(model, glossary)
    second = bytes(2 * SAMPLE_RATE)
    hops = 0

    def feed(minutes: int) -> None:
        nonlocal hops
        for _ in range(60 * minutes):
            for event in pipeline.feed(second):
                assert isinstance(event, Abstention)
                assert event.reason == "no_speech"
                hops += 1

    feed(5)
    tracemalloc.start()
    try:
        feed(1)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        feed(54)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 2**20
    assert pipeline.received_samples == 3600 * SAMPLE_RATE
    assert hops == 3600 * 1000 // 640


@pytest.mark.parametrize("kind", ["noise", "loud noise", "hum", "clicks"])
def test_what_is_no_speech_gives_no_hint(model: Model, glossary: OpenGlossary, kind: str) -> None:
    """Twenty seconds of noise, mains hum or clicks have no term in them, whatever the voice detector makes of them."""
    hum = synthetic_pcm([(100, 20_000)], amplitude=0.3)
    clicks = np.zeros(20 * SAMPLE_RATE, np.float32)
    clicks[::4_000] = 0.9
    pcm = {
        "noise": noise_pcm(20_000, 5, amplitude=0.02),
        "loud noise": noise_pcm(20_000, 6, amplitude=0.3),
        "hum": hum,
        "clicks": float_to_pcm16(clicks),
    }[kind]
    events = _events(_pipeline(model, glossary), [pcm])
    assert [hint.term for hint in _hints(events)] == []


def test_flush_in_mid_stream_keeps_the_clock(model: Model, glossary: OpenGlossary) -> None:
    """Flushing decides at once and leaves the stream as it was: later hops and their hints keep their places."""
    pcm = _pcm(1)
    # In mid-sentence, inside a hop, on an odd sample.
    cut = 2 * 17_777
    pipeline = _pipeline(model, glossary)
    before = pipeline.feed(pcm[:cut])
    flushed = pipeline.flush()
    assert pipeline.received_samples == 17_777
    assert all(isinstance(event, Hint | Abstention) for event in flushed)
    assert all(event.emitted_sample == 17_777 for event in _hints(flushed))
    after = pipeline.feed(pcm[cut:]) + pipeline.finish()
    assert pipeline.received_samples == len(pcm) // 2

    plain = _events(_pipeline(model, glossary), [pcm])
    assert [e for e in (*before, *after) if isinstance(e, SpeechStarted)] == [
        e for e in plain if isinstance(e, SpeechStarted)
    ]
    found = {hint.term: hint for hint in _hints([*before, *flushed, *after])}
    expected = {hint.term: hint for hint in _hints(plain)}
    assert expected
    assert found.keys() >= expected.keys()
    for term, hint in expected.items():
        assert abs(found[term].start_sample - hint.start_sample) <= SAMPLE_RATE // 4
        assert abs(found[term].end_sample - hint.end_sample) <= SAMPLE_RATE // 4
        assert found[term].emitted_sample <= hint.emitted_sample
