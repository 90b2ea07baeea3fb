from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streaming.events import SAMPLE_RATE, Abstention, Event, Hint
from streaming.sessions.term_maps import ChunkTerms, TermMaps

HOP = 5120


def _hint(number: int, emitted: int, *, is_final: bool = True) -> Hint:
    return Hint(
        f"h{number}",
        "g:1",
        f"term {number}",
        {"de": f"Wort {number}"},
        0,
        emitted - 2560,
        emitted,
        0.75,
        None,
        1,
        1,
        is_final=is_final,
    )


def _stream(hops: int) -> list[list[Event]]:
    """Hops of which every third has one hint and every seventh has two."""
    return [
        [_hint(10 * hop + k, (hop + 1) * HOP) for k in range((hop % 3 == 0) + (hop % 7 == 0))]
        or [Abstention(hop * HOP, (hop + 1) * HOP, "no_candidate", 0.0)]
        for hop in range(hops)
    ]


def _oracle(stream: list[list[Event]], chunk: int) -> list[ChunkTerms]:
    """By comparing every hint with every chunk."""
    total = len(stream) * HOP
    bounds = [*range(0, total, chunk), total]
    hints = [event for hop in stream for event in hop if isinstance(event, Hint)]
    return [
        ChunkTerms(
            start, end, tuple((h.term, h.translations["de"], 0.75) for h in hints if start < h.emitted_sample <= end)
        )
        for start, end in pairwise(bounds)
        if end > start
    ]


@given(hops=st.integers(1, 40), chunk_ms=st.sampled_from([320, 500, 960, 1920]), cuts=st.sets(st.integers(1, 39)))
def test_every_hint_is_in_the_chunk_in_which_it_was_emitted(hops: int, chunk_ms: int, cuts: set[int]) -> None:
    """However many hops are told at a time; chunks are gapless, and the oracle compares all with all."""
    stream = _stream(hops)
    maps, told = TermMaps(chunk_ms, "de"), list[ChunkTerms]()
    bounds = [0, *sorted(cut for cut in cuts if cut < hops), hops]
    for start, end in pairwise(bounds):
        told += maps.feed([event for hop in stream[start:end] for event in hop])
    told += maps.finish()
    assert told == _oracle(stream, chunk_ms * SAMPLE_RATE // 1000)


def test_a_chunk_is_told_as_soon_as_it_is_decided() -> None:
    """Three hops of 320 ms are a chunk of 960 ms: nothing waits for a fourth."""
    maps = TermMaps(960, "de")
    assert maps.feed([_hint(1, HOP)]) == []
    assert maps.feed([Abstention(HOP, 2 * HOP, "no_speech", 0.0)]) == []
    assert maps.feed([_hint(2, 3 * HOP)]) == [
        ChunkTerms(0, 3 * HOP, (("term 1", "Wort 1", 0.75), ("term 2", "Wort 2", 0.75)))
    ]
    assert maps.finish() == []


def test_what_may_be_withdrawn_is_left_out() -> None:
    """A translation cannot be taken back."""
    maps = TermMaps(320, None)
    assert maps.feed([_hint(1, HOP, is_final=False), Abstention(0, HOP, "no_candidate", 0.0)]) == [ChunkTerms(0, HOP)]
