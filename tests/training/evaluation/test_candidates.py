import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Entry, make_form
from streaming.term_index import TermIndex
from streaming.testing import FakeEncoder, FakeVoiceDetector, synthetic_pcm
from training.evaluation.candidates import (
    ProposalRecorder,
    ProposedHop,
    candidate_recall,
    distinct,
    occurrence_ranks,
    recall_at,
    record_proposals,
)
from training.evaluation.collect import LongStream
from training.evaluation.stream_metrics import Occurrence, Reference

HOP = 5_120
TERMS = ("plague", "gradient", "ion")
# "gradient" has a second form.
FORMS = (make_form(0, "plague", []), make_form(1, "gradient", []), make_form(1, "slope", []), make_form(2, "ion", []))
ENTRY_OF = {term: i for i, term in enumerate(TERMS)}
INDEX = TermIndex(
    [Entry(f"e{i}", term.title(), {}) for i, term in enumerate(TERMS)],
    FORMS,
    np.eye(4, dtype=np.float32),
    np.zeros((4, 4), np.float32),
    "fake",
    "v1",
)


def hops(*entries: tuple[int, ...]) -> list[ProposedHop]:
    """Hops of 0.32 s from the start of a stream, with what each proposes."""
    return [ProposedHop((i + 1) * HOP, np.array(some, np.int64)) for i, some in enumerate(entries)]


@given(st.lists(st.integers(0, 5), max_size=12))
def test_each_entry_keeps_its_best_place(values: list[int]) -> None:
    """Later forms of an entry take no place."""
    assert distinct(np.array(values, np.int64)).tolist() == list(dict.fromkeys(values))


@pytest.mark.parametrize(
    ("end_s", "rank"),
    [
        (0.60, 2),  # the hops that end at 0.64 and 0.96 s: second in the earlier, third in the later
        (0.65, 3),  # at 0.96 and 1.28 s, which proposes others only
        (0.96, 3),  # a hop that ends with the term covers it, and 1.60 s is still in the window
        (0.97, 0),  # at 1.28 and 1.60 s, neither of which proposes it
        (0.10, 2),  # at 0.32 and 0.64 s
        (9.00, 0),  # no hop was heard after it
    ],
)
def test_hops_count_from_the_end_of_the_term(end_s: float, rank: int) -> None:
    """The best place within the hops that end up to 0.64 s after the term, and in no other."""
    heard = hops((1, 0), (1, 2, 0), (0, 1, 2), (0, 1), (0,))
    assert occurrence_ranks([Occurrence("ion", end_s - 0.3, end_s)], ENTRY_OF, heard).tolist() == [rank]


@given(
    st.lists(st.lists(st.integers(0, 2), unique=True, max_size=3).map(tuple), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from(TERMS), st.integers(0, 60_000)), min_size=1, max_size=6),
)
def test_ranks_are_those_of_a_search_through_all_hops(
    entries: list[tuple[int, ...]], said: list[tuple[str, int]]
) -> None:
    """The definition, hop by hop, without any search by time."""
    heard = hops(*entries)
    occurrences = [Occurrence(term, 0.0, end / 16_000) for term, end in said]
    expected = []
    for term, end in said:
        inside = [hop.entries.tolist() for hop in heard if end <= hop.end_sample <= end + 2 * HOP]
        places = [some.index(ENTRY_OF[term]) + 1 for some in inside if ENTRY_OF[term] in some]
        expected.append(min(places, default=0))
    assert occurrence_ranks(occurrences, ENTRY_OF, heard).tolist() == expected


def test_recall_counts_what_is_deep_enough() -> None:
    """What was never proposed is found at no depth; without occurrences nothing is known."""
    ranks = np.array([1, 10, 11, 0], np.int64)
    assert [recall_at(ranks, depth) for depth in (1, 10, 50)] == [0.25, 0.5, 0.75]
    assert np.isnan(recall_at(np.zeros(0, np.int64), 10))


def test_only_terms_of_the_glossary_are_judged() -> None:
    """Occurrences are called as the glossary calls them, by any of their forms; those of no entry do not count."""
    said = (Occurrence("ION", 0.0, 0.3), Occurrence("slope", 0.0, 0.3), Occurrence("unknown", 0.0, 0.3))
    found = candidate_recall("s", Reference(1.0, said, ()), INDEX, hops((0, 2), (1,)), depths=(1, 2))
    assert (found.entries, found.occurrences, found.mean_proposed) == (3, 2, 1.5)
    assert found.recall == (0.5, 1.0)


class TellingProposer:
    """Proposes the forms of both sizes of loudness: all four while a tone is heard at the end, else the last."""

    def proposals(self, encoded: EncodedContext, hop_frames: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Forms 2, 1, 3, 0 or 3 alone."""
        assert hop_frames == 32
        return np.array([2, 1, 3, 0] if encoded.frames[-1].max() > 0.1 else [3], np.int64)


def test_proposals_are_recorded_hop_by_hop_on_the_served_pipeline() -> None:
    """Heard hops only, on the clock of the stream, each entry once; several indexes share the pass."""
    stream = LongStream("s", synthetic_pcm([(0, 960), (500, 640), (0, 3_200)]), Reference(4.8, (), ()))
    recorder = ProposalRecorder({"a": TellingProposer(), "b": TellingProposer()}, {"a": INDEX, "b": INDEX})
    encoder = FakeEncoder()
    found = record_proposals(stream, recorder, INDEX, encoder, FakeVoiceDetector(), 960)
    assert [hop.end_sample for hop in found["a"]][:2] == [4 * HOP, 6 * HOP]
    assert found["a"][-1].end_sample < 4.8 * 16_000  # long after the last speech nothing is encoded
    assert [hop.entries.tolist() for hop in found["a"]][:3] == [[1, 2, 0], [2], [2]]
    assert encoder.passes == len(found["a"]) == len(found["b"])
    recorder.reset()
    assert recorder.hops == {"a": [], "b": []}
