"""How much new audio a decision has."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.events import Abstention, Event, Hint
from streaming.pacing import Pace
from streaming.pipeline import Pipeline
from streaming.testing import (
    TONES,
    synthetic_pcm,
)
from tests.streaming.tone_pipelines import HOP, TALK, abstentions_of, events_of, hints_of, tone_pipeline


def windows_of(pipeline: Pipeline, pcm: bytes) -> list[int]:
    """Lengths of the windows decided on, in hops of 0.32 s; the rest at the end is left out."""
    ends = [e.emitted_sample if isinstance(e, Hint) else e.end_sample for e in decisions_of(pipeline.feed(pcm))]
    return [(end - start) // HOP for start, end in pairwise([0, *sorted(set(ends))])]


def decisions_of(events: Iterable[Event]) -> list[Hint | Abstention]:
    """Hints and abstentions."""
    return [event for event in events if isinstance(event, Hint | Abstention)]


def test_what_still_sounds_is_looked_at_again_soon() -> None:
    """After a hop of 0.64 s in whose end something may be, the next decision has 0.32 s; silence is never hurried."""
    talk = [(0, 640 + 500), (TONES[0], 300), (0, 900 + 1280)]
    assert windows_of(tone_pipeline(hop_ms=640), synthetic_pcm(talk)) == [2, 2, 1, 2, 2, 2]
    assert windows_of(tone_pipeline(hop_ms=640), synthetic_pcm([(0, 640 * 5)])) == [2] * 5
    hints = hints_of(tone_pipeline(hop_ms=640).feed(synthetic_pcm(talk)))
    assert [(hint.start_sample, hint.emitted_sample) for hint in hints] == [(1140 * 16, 1600 * 16)]


def test_a_slow_machine_looks_at_nothing_again() -> None:
    """Where it decides on every second hop only, that is all it does."""
    pipeline = tone_pipeline(hop_ms=640)
    pipeline.pace(Pace(2))
    assert windows_of(pipeline, synthetic_pcm([(0, 640 + 500), (TONES[0], 300), (0, 900 + 1280)])) == [4, 4]


def test_a_flush_moves_no_hop() -> None:
    """What it hears at the made-up end is not what the next hop waits for."""
    plain, flushed = tone_pipeline(hop_ms=640), tone_pipeline(hop_ms=640)
    pcm = synthetic_pcm([(TONES[0], 640 * 3)])
    half = len(pcm) // 2 + 320
    expected = [e.end_sample for e in abstentions_of(plain.feed(pcm))]
    found = flushed.feed(pcm[:half])
    flushed.flush()
    found += flushed.feed(pcm[half:])
    assert [e.end_sample for e in abstentions_of(found)] == expected == [2 * HOP, *(n * HOP for n in range(3, 7))]


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.floats(0, 1), max_size=15))
def test_any_split_gives_the_same_events_where_hops_differ(cuts: list[float]) -> None:
    """Also where some hops are half as long as others."""
    pcm = synthetic_pcm(TALK)
    bounds = [0, *sorted(int(cut * len(pcm)) for cut in cuts), len(pcm)]
    whole = events_of(tone_pipeline(hop_ms=640), [pcm])
    assert len(hints_of(whole)) == 4
    assert events_of(tone_pipeline(hop_ms=640), [pcm[start:end] for start, end in pairwise(bounds)]) == whole


def test_a_slower_pace_hears_the_same_and_skips_no_sample() -> None:
    """Deciding after every second and fourth hop: gapless windows, and the same terms on the same spans."""
    stream = synthetic_pcm([(0, 400), (900, 600), (0, 900), (500, 300), (0, 900), (1300, 400), (0, 1100)])
    hints = {}
    for hops in (1, 2, 4):
        pipeline = tone_pipeline()
        pipeline.pace(Pace(hops))
        events = pipeline.feed(stream) + pipeline.finish()
        hints[hops] = [(e.term, e.start_sample, e.end_sample) for e in events if isinstance(e, Hint)]
        ends = sorted(
            {
                e.emitted_sample if isinstance(e, Hint) else e.end_sample
                for e in events
                if isinstance(e, Hint | Abstention)
            }
        )
        assert set(np.diff([0, *ends[:-1]])) == {hops * 5120}
        assert pipeline.dropped_windows == 0
    assert hints[1] == hints[2] == hints[4]
    assert len(hints[1]) == 3


def test_windows_left_out_are_counted_and_the_clock_runs_on() -> None:
    """Two seconds of speech are skipped, none of silence; what comes after stands where it was said."""
    pipeline = tone_pipeline()
    pipeline.pace(Pace(1, skips=True))
    skipped = pipeline.feed(synthetic_pcm([(900, 1920), (0, 3200)]))
    reasons = [e.reason for e in skipped if isinstance(e, Abstention)]
    assert pipeline.dropped_windows == reasons.count("overloaded") > 5
    assert reasons[-1] == "no_speech"
    pipeline.pace(Pace())
    (hint,) = [e for e in pipeline.feed(synthetic_pcm([(500, 400), (0, 1000)])) if isinstance(e, Hint)]
    assert (hint.start_sample, hint.end_sample) == (5120 * 16, 5120 * 16 + 6400)
    pipeline.reset()
    assert pipeline.dropped_windows == 0
