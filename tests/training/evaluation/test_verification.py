import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form, make_form
from streaming.errors import SettingError
from streaming.spans import FRAME_SAMPLES, PARTS
from streaming.symbols import BLANK, CHARACTERS, PHONEMES
from training.evaluation.verification import (
    Floats,
    HearingConfig,
    SpokenText,
    TrialScores,
    align,
    auc,
    combine,
    combine_held_out,
    equal_error_rate,
    hear,
    score_trials,
    verification_results,
)
from training.evaluation.verification_pairs import Segment, Trial

VALUES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)
HEARING = HearingConfig(context_samples=40 * FRAME_SAMPLES, after_s=0.2, margin_s=0.1, shift_frames=1)


@given(VALUES, VALUES)
def test_auc_is_the_share_of_ordered_pairs(said: list[float], other: list[float]) -> None:
    """Of all pairs of one said and one not, the share in which the said one is higher; ties count half."""
    pairs = [(a > b) + (a == b) / 2 for a in said for b in other]
    assert auc(np.array(said), np.array(other)) == pytest.approx(sum(pairs) / len(pairs))


@given(VALUES, VALUES)
def test_equal_error_rate_is_where_the_curve_meets_the_diagonal(said: list[float], other: list[float]) -> None:
    """Both error rates at every threshold, and the straight line between the two around equality."""
    points = [(0.0, 1.0)]  # a threshold above everything accepts nothing
    for threshold in sorted({*said, *other}, reverse=True):
        points.append((sum(b >= threshold for b in other) / len(other), sum(a < threshold for a in said) / len(said)))
    after = next(i for i, (accepted, refused) in enumerate(points) if accepted >= refused)
    (a0, r0), (a1, r1) = points[after - 1], points[after]
    share = (r0 - a0) / ((r0 - a0) + (a1 - r1))
    assert equal_error_rate(np.array(said), np.array(other)) == pytest.approx(a0 + share * (a1 - a0))


def test_figures_of_perfect_useless_and_impossible_scores() -> None:
    """Parted scores make no error, equal ones the half of all, and a path without room is below every other."""
    high, low = np.array([2.0, 3.0]), np.array([0.0, -np.inf])
    assert (auc(high, low), equal_error_rate(high, low)) == (1.0, 0.0)
    assert (auc(low, high), equal_error_rate(low, high)) == (0.0, 1.0)
    assert (auc(high, high), equal_error_rate(low, low)) == (0.5, 0.5)


@pytest.mark.parametrize("start_s", [0.1, 0.5, 1.7])
def test_segment_is_heard_in_its_context(start_s: float) -> None:
    """The context ends a little after the segment, which stands at the frames told; beyond the stream is silence."""
    audio = np.arange(2 * 16_000, dtype=np.float32) + 1
    context, first, last = hear(audio, start_s, start_s + 0.2, HEARING)
    assert len(context) == 40 * FRAME_SAMPLES
    assert (first, last) == (20, 30)
    assert context[first * FRAME_SAMPLES] == round(start_s * 16_000) + 1
    known = context[context > 0]
    np.testing.assert_array_equal(np.diff(known), 1)
    assert len(known) == min(len(audio), round((start_s + 0.4) * 16_000)) - max(0, round((start_s - 0.4) * 16_000))


def test_segment_that_does_not_fit_is_refused() -> None:
    """A segment longer than the context is an error, not a silent cut."""
    with pytest.raises(SettingError, match="context"):
        hear(np.zeros(32_000, np.float32), 0.0, 0.9, HEARING)


def slow_align(form: Form, encoded: EncodedContext, first: int, last: int) -> float:
    """Every stretch of frames with every path over it, one symbol or blank at a time."""

    def head(log_probs: Floats, symbols: list[int]) -> float:
        best = -np.inf
        for start in range(first, last):
            states = {0: float(log_probs[start, symbols[0]])}  # state 2i is symbol i, 2i + 1 the blank after it
            for frame in range(start, last):
                if frame > start:
                    grown: dict[int, float] = {}
                    for state, score in states.items():
                        ways = [state, state + 1]
                        if state % 2 == 0 and state // 2 + 1 < len(symbols):
                            ways += [state + 2] * (symbols[state // 2] != symbols[state // 2 + 1])
                        for way in ways:
                            if way > 2 * len(symbols) - 2:
                                continue
                            symbol = BLANK if way % 2 else symbols[way // 2]
                            total = score + float(log_probs[frame, symbol])
                            grown[way] = max(grown.get(way, -np.inf), total)
                    states = grown
                best = max(best, states.get(2 * len(symbols) - 2, -np.inf) / len(symbols))
        return best

    letters = head(encoded.characters, form.characters.tolist())
    ways = [head(encoded.phonemes, way.tolist()) for way in form.pronunciations]
    return (letters + max(ways)) / 2 if ways else letters


def random_context(seed: int, frames: int = 40) -> EncodedContext:
    """Log-probabilities and features of noise."""
    rng = np.random.default_rng(seed)
    heads = [rng.normal(size=(frames, size)) * 2 for size in (len(CHARACTERS), len(PHONEMES))]
    log_probs = [(h - np.log(np.exp(h).sum(axis=1, keepdims=True))).astype(np.float32) for h in heads]
    return EncodedContext(log_probs[0], log_probs[1], rng.normal(size=(frames, 4)).astype(np.float32))


FORMS = (
    make_form(0, "ion", [[("AY", "AH", "N")], [("AY", "AA", "N")]]),
    make_form(0, "a b", [[("EY",), ("B", "IY")]]),
    make_form(0, "llama", []),
)


@pytest.mark.parametrize("seed", range(3))
def test_alignment_is_the_best_of_all_paths_within_the_bounds(seed: int) -> None:
    """Both heads, several pronunciations or none: the mean of the best paths that lie within the frames given."""
    encoded = random_context(seed)
    expected = [slow_align(form, encoded, 5, 25) for form in FORMS]
    np.testing.assert_allclose(align(FORMS, encoded, 5, 25), expected, rtol=1e-5)


class PlantedEncoder:
    """Gives the same context whatever it hears."""

    def __init__(self, encoded: EncodedContext) -> None:
        self._encoded = encoded

    def encode(self, context: Floats) -> EncodedContext:
        """Nothing is listened to."""
        return self._encoded


class MeanSpanEncoder:
    """The mean of a span's parts, brought to unit norm."""

    hubs = np.zeros((0, 4), np.float32)

    def embed(self, pooled: Floats) -> Floats:
        """float32[n, 6 * dim] -> float32[n, dim]."""
        mean = pooled.reshape(len(pooled), PARTS, -1).mean(axis=1)
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def test_trial_scores_are_those_of_its_three_texts() -> None:
    """The span score is the best cosine of nine spans, the alignment score that of the segment with its margin."""
    encoded = random_context(7)
    rng = np.random.default_rng(0)
    vectors = [v / np.linalg.norm(v) for v in rng.normal(size=(3, 4)).astype(np.float32)]
    texts = {form.text: SpokenText(form, vector) for form, vector in zip(FORMS, vectors, strict=True)}
    trial = Trial(Segment("ion", 0.5, 0.7, "an ion is"), "a b", "llama")
    audio = np.zeros(32_000, np.float32)
    found = score_trials(audio, [trial], texts, PlantedEncoder(encoded), MeanSpanEncoder(), HEARING)
    for column, text in enumerate(trial.texts):
        cosines = []
        for start in (19, 20, 21):
            for end in (29, 30, 31):
                mean = encoded.frames[start:end].mean(axis=0)
                cosines.append(texts[text].vector @ mean / np.linalg.norm(mean))
        assert found.span[0, column] == pytest.approx(max(cosines), abs=1e-5)
        assert found.alignment[0, column] == pytest.approx(slow_align(texts[text].form, encoded, 15, 35), rel=1e-5)


def made_up(seed: int, trials: int = 40) -> TrialScores:
    """Both scores tell a little of what was said, each with noise of its own."""
    rng = np.random.default_rng(seed)
    truth = np.array([1.0, 0.0, 0.0])
    return TrialScores(truth + rng.normal(size=(trials, 3)), truth - 1 + rng.normal(size=(trials, 3)))


def test_combination_beats_its_parts_and_was_fitted_elsewhere() -> None:
    """Two independent scores together are better than either; what is judged has no part in the fit."""
    found = {
        (r.stream, r.split, r.score): r for r in verification_results({"a": made_up(0, 400), "b": made_up(1, 400)})
    }
    assert len(found) == 12
    for stream in ("a", "b"):
        for split in ("easy", "hard"):
            parts = [found[stream, split, kind].auc for kind in ("span", "alignment")]
            assert found[stream, split, "both"].auc > max(parts)
            assert found[stream, split, "both"].pairs == 800
    scores = {"a": made_up(0), "b": made_up(1), "c": made_up(2)}
    both = combine_held_out(scores)
    np.testing.assert_array_equal(both["a"], combine([scores["b"], scores["c"]], scores["a"]))


def test_single_stream_is_halved() -> None:
    """Of one stream alone, the first half is judged by the second and the other way round."""
    own = made_up(3, 11)
    early, late = own.part(slice(0, 5)), own.part(slice(5, 11))
    expected = np.concatenate([combine([late], early), combine([early], late)])
    np.testing.assert_array_equal(combine_held_out({"a": own})["a"], expected)


def test_a_stream_of_one_trial_is_refused() -> None:
    """Too little speech is an error that names the stream."""
    with pytest.raises(SettingError, match="the stream a gives 1 trials"):
        verification_results({"a": made_up(0, 1), "b": made_up(1)})


def test_path_without_room_does_not_break_the_combination() -> None:
    """A text too long for its frames has no path; it counts as the worst fit that there is."""
    own = made_up(4)
    own.alignment[3, 1] = -np.inf
    assert np.isfinite(combine([own], own)).all()
