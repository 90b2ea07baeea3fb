import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.audio import AudioFormat
from streaming.decision_config import DecisionConfig
from streaming.errors import AudioError, SettingError
from streaming.events import Abstention, Event, SpeechEnded, SpeechStarted
from streaming.pipeline import STAGES, Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.testing import (
    TONES,
    FakeEncoder,
    FakeScorer,
    FakeVoiceDetector,
    ListSource,
    noise_pcm,
    synthetic_pcm,
    tone_index,
)
from streaming.vad import WebRtcDetector
from tests.streaming.tone_pipelines import (
    DECISION,
    FORMATS,
    FRAME,
    HOP,
    TALK,
    abstentions_of,
    events_of,
    hints_of,
    tone_pipeline,
)


def test_terms_are_hinted_with_their_spans() -> None:
    """Each tone is one hint, at its place in the stream, at the first hop that heard its end."""
    hints = hints_of(events_of(tone_pipeline(), [synthetic_pcm(TALK)]))
    found = [(hint.entry_id, hint.occurrence, hint.start_sample, hint.end_sample) for hint in hints]
    assert found == [
        ("tones:500", 1, 8_000, 12_800),
        ("tones:900", 1, 27_200, 30_720),
        ("tones:500", 2, 35_520, 39_680),
        ("tones:1300", 1, 56_000, 59_600),
    ]
    assert [hint.hint_id for hint in hints] == ["h1", "h2", "h3", "h4"]
    assert all(0 <= hint.emitted_sample - hint.end_sample <= HOP for hint in hints)


def test_every_hop_is_decided_once() -> None:
    """Hops follow on each other without a gap; each gives hints or exactly one abstention."""
    events = events_of(tone_pipeline(), [synthetic_pcm(TALK)])
    ends = [hint.emitted_sample for hint in hints_of(events)] + [gap.end_sample for gap in abstentions_of(events)]
    assert sorted(ends) == [*range(HOP, 59_600, HOP), 59_600]
    assert all(gap.end_sample - gap.start_sample == HOP for gap in abstentions_of(events))


@settings(max_examples=25, deadline=None)
@given(audio_format=st.sampled_from(FORMATS), cuts=st.lists(st.floats(0, 1), max_size=15))
def test_any_split_gives_the_same_events(audio_format: AudioFormat, cuts: list[float]) -> None:
    """Chunks of any lengths, cut inside samples too, give the events of one chunk."""
    pcm = synthetic_pcm(TALK, audio_format)
    bounds = [0, *sorted(int(cut * len(pcm)) for cut in cuts), len(pcm)]
    chunks = [pcm[start:end] for start, end in pairwise(bounds)]
    whole = events_of(tone_pipeline(format=audio_format), [pcm])
    assert len(hints_of(whole)) == 4
    assert events_of(tone_pipeline(format=audio_format), chunks) == whole


def test_any_split_gives_the_same_events_with_the_real_detector() -> None:
    """WebRTC's detector keeps the rule: it sees the same frames however the bytes came."""

    def events(step: int) -> list[Event]:
        config = PipelineConfig(decision=DECISION, hop_ms=320)
        pipeline = Pipeline(FakeEncoder(), tone_index(), FakeScorer(), WebRtcDetector(), config)
        pcm = synthetic_pcm(TALK)
        return events_of(pipeline, [pcm[i : i + step] for i in range(0, len(pcm), step)])

    assert events(333) == events(100_000)


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_formats_agree_on_the_hints(audio_format: AudioFormat) -> None:
    """The same talk in another format gives the same terms within a frame of the same places."""
    expected = hints_of(events_of(tone_pipeline(), [synthetic_pcm(TALK)]))
    hints = hints_of(events_of(tone_pipeline(format=audio_format), [synthetic_pcm(TALK, audio_format)]))
    assert [hint.term for hint in hints] == [hint.term for hint in expected]
    for hint, other in zip(hints, expected, strict=True):
        assert abs(hint.start_sample - other.start_sample) <= FRAME
        assert abs(hint.end_sample - other.end_sample) <= FRAME


def test_speech_onset_is_not_clipped() -> None:
    """The first encoded context holds the stream from well before the onset, as it was, bit for bit."""
    encoder = FakeEncoder()
    pcm = noise_pcm(960, 3, amplitude=0.005) + synthetic_pcm([(TONES[0], 320)])
    pipeline = tone_pipeline(encoder)
    events = pipeline.feed(pcm)
    assert encoder.passes == 1
    heard = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
    np.testing.assert_array_equal(encoder.last_context[-len(heard) :], heard)
    assert not encoder.last_context[: -len(heard)].any()
    assert SpeechStarted(960 * 16 - 4_800) in events


def test_gate_saves_passes_in_silence_only() -> None:
    """Hops are encoded while speech lies less than the gate back, and abstain for want of speech afterwards."""
    encoder = FakeEncoder()
    events = events_of(tone_pipeline(encoder), [synthetic_pcm([(0, 3_200), (TONES[0], 320), (0, 6_400)])])
    silent = [gap for gap in abstentions_of(events) if gap.reason == "no_speech"]
    hops = (3_200 + 320 + 6_400) // 320
    # The speech lies in one hop; the gate keeps that one and the four after it, up to 1.6 s.
    assert encoder.passes == 5
    assert len(silent) == hops + 1 - 5
    assert all(gap.best_score == 0.0 for gap in silent)


def test_speech_bounds_are_told() -> None:
    """A segment starts before its onset by the pre-roll and ends after its hangover, or with the stream."""
    events = events_of(tone_pipeline(), [synthetic_pcm([(0, 1_000), (900, 400), (0, 1_000), (900, 200)])])
    bounds = [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)]
    assert bounds == [SpeechStarted(11_200), SpeechEnded(28_800), SpeechStarted(33_600), SpeechEnded(41_600)]


def test_flush_decides_on_what_was_heard() -> None:
    """A term that has just ended is hinted by flush at once, on the clock of the audio heard."""
    pipeline = tone_pipeline()
    assert hints_of(pipeline.feed(synthetic_pcm([(0, 500), (TONES[1], 305)]))) == []
    [hint] = hints_of(pipeline.flush())
    assert (hint.start_sample, hint.end_sample, hint.emitted_sample) == (8_000, 12_880, 12_880)
    assert pipeline.received_samples == 12_880


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_flush_hears_what_the_resampler_holds(audio_format: AudioFormat) -> None:
    """In every format flush hears the term to its end: its clock is the length of the stream, not of what came out."""
    pipeline = tone_pipeline(format=audio_format)
    pipeline.feed(synthetic_pcm([(0, 500), (TONES[1], 300)], audio_format))
    [hint] = hints_of(pipeline.flush())
    assert hint.emitted_sample == pipeline.received_samples == 12_800
    assert abs(hint.end_sample - 12_800) <= FRAME


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.floats(0, 1), min_size=1, max_size=4), audio_format=st.sampled_from(FORMATS))
def test_flush_leaves_the_stream_as_it_was(cuts: list[float], audio_format: AudioFormat) -> None:
    """With flushes anywhere in silence the stream has the same hints, and the same speech bounds everywhere."""
    pcm = synthetic_pcm(TALK, audio_format)
    pipeline = tone_pipeline(format=audio_format)
    # The first quarter of a second and the stretch from 2.1 to 2.2 s are silent.
    positions = [int((cut * 0.5 if cut < 0.5 else 2.0 + cut * 0.2) * audio_format.sample_rate) for cut in sorted(cuts)]
    bounds = [0, *(position * audio_format.bytes_per_frame for position in positions), len(pcm)]
    events: list[Event] = []
    for start, end in pairwise(bounds):
        events += pipeline.feed(pcm[start:end])
        if end < len(pcm):
            events += pipeline.flush()
    events += pipeline.finish()
    expected = events_of(tone_pipeline(format=audio_format), [pcm])

    def spans(found: list[Event]) -> list[tuple[str, int, int, int]]:
        return [(hint.hint_id, hint.start_sample, hint.end_sample, hint.occurrence) for hint in hints_of(found)]

    def speech(found: list[Event]) -> list[Event]:
        return [event for event in found if isinstance(event, SpeechStarted | SpeechEnded)]

    assert spans(events) == spans(expected)
    assert speech(events) == speech(expected)


def test_flush_repeats_no_hint() -> None:
    """Flushed twice, and heard again by the next hop, an occurrence stays one hint."""
    pipeline = tone_pipeline()
    events = pipeline.feed(synthetic_pcm([(0, 500), (TONES[1], 300)])) + pipeline.flush() + pipeline.flush()
    events += pipeline.feed(synthetic_pcm([(0, 1_000)])) + pipeline.finish()
    assert len(hints_of(events)) == 1


def test_nothing_heard_gives_nothing() -> None:
    """An empty stream has no events; half a sample is none."""
    pipeline = tone_pipeline()
    assert pipeline.feed(b"") == []
    assert pipeline.feed(b"\x01") == []
    assert pipeline.flush() == []
    assert pipeline.finish() == []
    assert pipeline.received_samples == 0


def test_finished_stream_hears_no_more_until_reset() -> None:
    """After finish, feed and flush are told off, finish gives nothing, and reset opens a new stream like the first."""
    pipeline = tone_pipeline()
    first = events_of(pipeline, [synthetic_pcm(TALK)])
    assert pipeline.finish() == []
    with pytest.raises(AudioError, match="finished"):
        pipeline.feed(b"\0\0")
    with pytest.raises(AudioError, match="finished"):
        pipeline.flush()
    pipeline.reset()
    assert pipeline.received_samples == 0
    assert events_of(pipeline, [synthetic_pcm(TALK)]) == first


def test_configure_changes_the_decision_in_mid_stream() -> None:
    """From the next hop on the new threshold decides."""
    pipeline = tone_pipeline()
    quiet_term = synthetic_pcm([(0, 320), (TONES[0], 300), (0, 1_300)], amplitude=0.2)
    assert hints_of(pipeline.feed(quiet_term)) == []
    pipeline.configure(DecisionConfig(threshold=0.3))
    assert len(hints_of(pipeline.feed(quiet_term))) == 1


def test_stages_are_timed_by_the_given_clock() -> None:
    """Every stage has its share of the injected clock, and a new stream starts from zero."""
    ticks = iter(range(10_000))
    config = PipelineConfig(decision=DECISION, hop_ms=320)
    pipeline = Pipeline(
        FakeEncoder(), tone_index(), FakeScorer(), FakeVoiceDetector(), config, clock=lambda: float(next(ticks))
    )
    events_of(pipeline, [synthetic_pcm([(TONES[0], 640)])])
    assert pipeline.stage_seconds == {"decode": 2.0, "detect": 32.0, "encode": 3.0, "score": 3.0, "decide": 3.0}
    pipeline.reset()
    assert pipeline.stage_seconds == dict.fromkeys(STAGES, 0.0)


def heard_hour(minute: bytes) -> tuple[list[Event], int]:
    """Feed a minute 60 times: the events but the abstentions, and the bytes by which memory grew in the last 5 minutes.

    Only the end is traced, since tracing slows everything down; what grew all the time grows there too.
    """
    pipeline = tone_pipeline()
    events: list[Event] = []

    def feed(minutes: int) -> None:
        for _ in range(minutes):
            events.extend(event for event in pipeline.feed(minute) if not isinstance(event, Abstention))

    feed(54)
    tracemalloc.start()
    feed(1)
    before = tracemalloc.get_traced_memory()[0]
    feed(5)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert pipeline.received_samples == 3600 * 16_000
    return events, grown


def test_hour_of_silence_gives_no_hint_and_costs_no_memory() -> None:
    """An hour of silence has no hint, no speech, and leaves nothing behind."""
    events, grown = heard_hour(synthetic_pcm([(0, 60_000)]))
    assert events == []
    assert grown < 20_000


def test_hour_of_noise_gives_no_hint_and_costs_no_memory() -> None:
    """An hour of loud noise is encoded from end to end, has no hint and leaves nothing behind."""
    events, grown = heard_hour(noise_pcm(60_000, 11))
    assert events == [SpeechStarted(0)]
    assert grown < 20_000


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hop_ms": 0}, "hop_ms = 0"),
        ({"hop_ms": 330}, "hop_ms = 330"),
        ({"context_ms": 3_001}, "context_ms = 3001"),
        ({"context_ms": 300}, "context_ms = 300 .* at least hop_ms = 320"),
        ({"context_ms": 30_020}, "at most 30000"),
        ({"gate_ms": 319}, "gate_ms = 319"),
        ({"hop_ms": 480}, "hop_ms = 480 is no multiple of look_again_ms = 320"),
    ],
)
def test_times_that_do_not_fit_are_refused(config: dict[str, Any], said: str) -> None:
    """Hop, context and gate are checked against the encoder's frames and each other."""
    with pytest.raises(SettingError, match=said):
        tone_pipeline(**config)


def test_detector_whose_frames_do_not_fit_the_hop_is_refused() -> None:
    """Frames of the detector must divide the hop, or hops would fall inside them."""
    detector = FakeVoiceDetector()
    detector.frame_samples = 480
    with pytest.raises(SettingError, match=r"hop_ms = 320 .* multiple of 30"):
        Pipeline(FakeEncoder(), tone_index(), FakeScorer(), detector, PipelineConfig(decision=DECISION, hop_ms=320))


def test_short_contexts_and_hops_work() -> None:
    """A context of one hop of 100 ms is legal: flush must not look before its start."""
    pipeline = tone_pipeline(hop_ms=100, context_ms=100)
    pipeline.feed(synthetic_pcm([(TONES[0], 190)]))
    assert len(abstentions_of(pipeline.flush())) == 1


def test_sources_of_chunks_feed_a_pipeline() -> None:
    """A list of chunks is a source; it can be read more than once."""
    source = ListSource(AudioFormat(), [synthetic_pcm([part]) for part in TALK])
    first = events_of(tone_pipeline(format=source.format), source.chunks())
    assert len(hints_of(first)) == 4
    assert events_of(tone_pipeline(format=source.format), source.chunks()) == first
