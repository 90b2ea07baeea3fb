"""Evidence of both heads becomes one candidate per entry, whole glossary or proposals of the span search alike."""

import numpy as np
import pytest

from streaming.encoding.encoded_context import EncodedContext
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES, SpanGrid
from streaming.symbols import CHARACTERS, PHONEMES
from tests.streaming.spoken_forms import (
    CONTEXT_START,
    FORMS,
    FRAMES,
    GRADIENT,
    HOP_END,
    HOP_FRAME,
    LEISURE,
    PLAGUE,
    SLOPE,
    MeanSpanEncoder,
    calibration_of,
    config_of,
    index_of_forms,
    plant,
    score_of,
    scorer_of,
    spoken,
)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_spoken_form_is_the_first_candidate_at_its_place(form: int) -> None:
    """What was said is most probable; its span is that of its frames on the stream's clock."""
    start = 140 - 4 * (len(FORMS[form].characters) - 1)
    encoded = spoken(form, end=140)
    first, *rest = score_of(scorer_of(), encoded)
    assert (first.entry_index, first.form_index) == (FORMS[form].entry_index, form)
    if FORMS[form].pronunciations:
        start = (start + 140 - 4 * (len(FORMS[form].pronunciations[0]) - 1)) // 2
    assert first.start_sample == CONTEXT_START + start * FRAME_SAMPLES
    assert first.end_sample == CONTEXT_START + 141 * FRAME_SAMPLES
    assert first.probability == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert first.raw_similarity == pytest.approx(1.0, abs=1e-3)
    assert all(other.probability < first.probability for other in rest)


def test_second_pronunciation_counts_as_much_as_the_first() -> None:
    """A word said in another of its ways is as probable."""
    [first, *_], [second, *_] = (score_of(scorer_of(), spoken(LEISURE, 140, way=way)) for way in (0, 1))
    assert (first.entry_index, second.entry_index) == (2, 2)
    assert first.probability == pytest.approx(second.probability)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_proposals_that_cover_everything_give_what_the_whole_glossary_gives(form: int) -> None:
    """The span search only saves work: where it proposes every form, the candidates are the same."""
    encoded = spoken(form, end=140)
    searched = scorer_of(config_of(exhaustive_forms=0))
    assert sorted(searched.forms.proposals(encoded)) == list(range(len(FORMS)))
    assert score_of(searched, encoded) == score_of(scorer_of(), encoded)


def test_proposals_are_few_distinct_and_nearest_first() -> None:
    """At most as many forms as configured, each once, that of the spans' own vector first."""
    found = scorer_of(config_of(exhaustive_forms=0, proposals=2)).forms.proposals(spoken(SLOPE, end=145))
    assert found[0] == SLOPE
    assert len(found) == len(set(found.tolist())) == 2


def test_only_spans_that_ended_just_now_are_searched() -> None:
    """A form whose frames lie before the window of the search is not proposed by them, however near it is."""
    said = spoken(SLOPE, end=149)
    before = spoken(LEISURE, end=40)
    both = EncodedContext(said.characters, said.phonemes, said.frames + before.frames)
    spans = MeanSpanEncoder()
    config = config_of(exhaustive_forms=0, proposal_frames=4, proposals=1)
    assert TermScorer(index_of_forms(), spans, calibration_of(), config).forms.proposals(both).tolist() == [SLOPE]
    assert spans.spans == len(SpanGrid().lengths)  # one end, each length


def test_entry_has_one_candidate() -> None:
    """Of the forms of an entry the more probable one stands for it, whichever of them was said."""
    for form in (GRADIENT, SLOPE):
        candidates = score_of(scorer_of(config_of(floor=-99.0)), spoken(form, 140))
        assert sorted(c.entry_index for c in candidates) == [0, 1, 2, 3]
        assert [c.form_index for c in candidates if c.entry_index == 1] == [form]


def test_form_of_an_entry_is_chosen_by_its_probability() -> None:
    """Not by its mean score: where the calibration trusts long forms more, the longer one stands for the entry."""
    config = config_of(floor=-99.0)
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(length=1.0), config)
    assert [c.form_index for c in score_of(scorer, spoken(SLOPE, 140)) if c.entry_index == 1] == [GRADIENT]


def test_similarity_is_that_of_the_own_span() -> None:
    """What else was said in the context does not count."""
    said = spoken(PLAGUE, 140)
    other = EncodedContext(said.characters, said.phonemes, said.frames + spoken(LEISURE, 60).frames)
    [candidate] = score_of(scorer_of(), other)
    assert candidate.raw_similarity == pytest.approx(1.0, abs=1e-3)


def test_candidates_come_most_probable_first() -> None:
    """The order is by probability."""
    probabilities = [c.probability for c in score_of(scorer_of(config_of(floor=-99.0)), spoken(PLAGUE, 140))]
    assert probabilities == sorted(probabilities, reverse=True)


def test_what_does_not_fit_is_no_candidate() -> None:
    """Below the floor there is nothing, not even an improbable candidate."""
    silence = np.zeros(0, np.int16)
    nothing = EncodedContext(
        plant(silence, 0, 1, len(CHARACTERS)),
        plant(silence, 0, 1, len(PHONEMES)),
        np.zeros((FRAMES, len(FORMS)), "f4"),
    )
    assert score_of(scorer_of(), nothing) == []
    assert len(score_of(scorer_of(), spoken(PLAGUE, 140))) == 1


def test_path_counts_while_it_is_late_but_not_stale() -> None:
    """A path may have ended up to `late_frames` ago, and anywhere in the new frames."""
    encoded = spoken(PLAGUE, end=100)
    assert len(score_of(scorer_of(config_of(late_frames=50)), encoded)) == 1
    # One window too late (frames 144 to 159 of the stream) it can only be stretched, against all that was heard.
    assert all(c.probability < 0.01 for c in score_of(scorer_of(config_of(late_frames=40)), encoded))
    [new] = scorer_of(config_of(late_frames=49)).score(encoded, CONTEXT_START, HOP_END, 100)
    assert new.probability > 0.9


def test_at_most_so_many_forms_are_weighed() -> None:
    """`most` bounds the work of a hop; the best fitting forms are kept."""
    evidence = scorer_of(config_of(floor=-99.0, most=2)).evidence(spoken(SLOPE, 140), HOP_FRAME)
    assert len(evidence) == 2
    assert evidence[0].form_index == SLOPE


def test_span_does_not_reach_beyond_the_hop() -> None:
    """Frames beyond the end of the hop are no part of a term."""
    [first] = scorer_of().score(spoken(PLAGUE, 149), CONTEXT_START, HOP_END - 100, HOP_FRAME)
    assert first.end_sample == HOP_END - 100
