"""Evidence of both heads becomes one candidate per entry, whole glossary or proposals of the span search alike."""

import functools
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.calibration import FEATURES, Calibration
from streaming.decision import Candidate
from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Entry, Form, make_form
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES, PARTS, SpanGrid
from streaming.spotting.alignment import AlignmentBank
from streaming.spotting.form_bank import FormBank, FormScores
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.span_reading import ReadingConfig
from streaming.symbols import BLANK, CHARACTERS, PHONEMES, phoneme_sequence
from streaming.term_index import TermIndex
from streaming.testing import FakeVerifier
from streaming.words.bigrams import Bigrams
from streaming.words.competition import Competition
from streaming.words.lexicon import Lexicon

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
FRAMES = 150
CONTEXT_START = 16_000
HOP_END = CONTEXT_START + FRAMES * FRAME_SAMPLES
HOP_FRAME = FRAMES - 16
UNHEARD = -9.0

# Entry 1 has two forms; entry 3 has no pronunciation, so its letters decide alone.
ENTRIES = tuple(Entry(f"e{i}", term, {}) for i, term in enumerate(("plague", "gradient", "leisure", "ion")))
FORMS = (
    make_form(0, "plague", [[("P", "L", "EY", "G")]]),
    make_form(1, "gradient", [[("G", "R", "EY", "D", "AH", "N", "T")], [("G", "R", "EY", "D", "IY", "AH", "N", "T")]]),
    make_form(1, "slope", [[("S", "L", "OW", "P")]]),
    make_form(2, "leisure", [[("L", "IY", "ZH", "ER")], [("L", "EH", "ZH", "ER")]]),
    make_form(3, "ion", []),
)
PLAGUE, GRADIENT, SLOPE, LEISURE, ION = range(5)
BACKGROUND = np.tile(np.array([-4.0, -3.0, -3.5, -2.5], np.float32), (len(FORMS), 1))


class MeanSpanEncoder:
    """The mean of a span's parts, brought to unit norm."""

    def __init__(self) -> None:
        self.spans = 0

    def embed(self, pooled: Floats) -> Floats:
        """float32[n, 6 * dim] -> float32[n, dim]."""
        self.spans += len(pooled)
        mean = pooled.reshape(len(pooled), PARTS, -1).mean(axis=1) + 1e-6
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def _calibration(**weight_of: float) -> Calibration:
    """By default both heads' scores alone decide: perfect ones give sigmoid(3)."""
    chosen = weight_of or {"characters": 3.0, "phonemes": 3.0}
    weights = np.array([chosen.get(name, 0.0) for name in FEATURES])
    size = len(FEATURES)
    return Calibration(np.zeros(size), np.ones(size), weights, 3.0, (1,), np.array([0.5]), np.zeros((1, 1)))


def _index() -> TermIndex:
    vectors = np.eye(len(FORMS), dtype=np.float32)
    return TermIndex(ENTRIES, FORMS, vectors, BACKGROUND, "fake", "v1")


def _plant(sequence: Ids, start: int, step: int, vocabulary: int) -> Floats:
    """Log-probabilities in which each symbol of `sequence` is certain for one frame of `step`, blank elsewhere."""
    log_probs = np.full((FRAMES, vocabulary), UNHEARD, np.float32)
    log_probs[:, BLANK] = 0.0
    for frame, symbol in zip(range(start, FRAMES, step), sequence.tolist(), strict=False):
        log_probs[frame, [BLANK, symbol]] = UNHEARD, 0.0
    return log_probs


def _spoken(form: int, end: int, step: int = 4, way: int = 0) -> EncodedContext:
    """A context in which one form is said and ends in frame `end` in both heads; its vector stands in its frames."""
    letters = FORMS[form].characters
    sounds = FORMS[form].pronunciations[way] if FORMS[form].pronunciations else np.zeros(0, np.int16)
    frames = np.zeros((FRAMES, len(FORMS)), np.float32)
    start = end - step * (len(letters) - 1)
    frames[start : end + 1, form] = 1.0
    return EncodedContext(
        _plant(letters, start, step, len(CHARACTERS)),
        _plant(sounds, end - step * (len(sounds) - 1), step, len(PHONEMES)),
        frames,
    )


# All frames are settled, and no word may go on, unless a test asks otherwise.
_config = functools.partial(ScoringConfig, settle_frames=0, second_look_frames=0)


def _scorer(config: ScoringConfig | None = None) -> TermScorer:
    return TermScorer(_index(), MeanSpanEncoder(), _calibration(), config or _config())


def _score(scorer: TermScorer, encoded: EncodedContext) -> Sequence[Candidate]:
    return scorer.score(encoded, CONTEXT_START, HOP_END, HOP_FRAME)


def _random(seed: int, vocabulary: int, frames: int = 40) -> Floats:
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, vocabulary))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


@given(
    seed=st.integers(0, 9999),
    ways=st.lists(st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=4), max_size=3), min_size=1, max_size=6),
)
def test_form_scores_as_the_best_of_its_pronunciations(seed: int, ways: list[list[list[int]]]) -> None:
    """With forms of none to three pronunciations mixed, each one's best counts; without any, the letters do."""
    forms = [
        Form(row, CHARACTERS[2 + row], tuple(" ".join(PHONEMES[i] for i in way) for way in each))
        for row, each in enumerate(ways)
    ]
    encoded = EncodedContext(_random(seed, len(CHARACTERS)), _random(seed + 1, len(PHONEMES)), np.zeros((40, 1), "f4"))
    found = FormBank(forms).score(encoded, 5)
    for row, form in enumerate(forms):
        letters = AlignmentBank([form.characters], len(CHARACTERS)).score(encoded.characters, 5)
        assert (found.characters[row], found.character_end[row]) == (letters.score[0], letters.end[0])
        by_phonemes = (found.phonemes[row], found.phoneme_end[row], found.winner[row])
        if not form.pronunciations:
            assert by_phonemes == (found.characters[row], found.character_end[row], -1)
            continue
        alone = [AlignmentBank([p], len(PHONEMES)).score(encoded.phonemes, 5) for p in form.pronunciations]
        best = max(range(len(alone)), key=lambda i: float(alone[i].score[0]))
        assert by_phonemes == (alone[best].score[0], alone[best].end[0], best)


@given(
    seed=st.integers(0, 9999),
    ways=st.lists(st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=4), max_size=3), min_size=1, max_size=6),
    floor=st.floats(-6, 0),
)
def test_forms_above_the_floor_score_the_same_with_it(seed: int, ways: list[list[list[int]]], floor: float) -> None:
    """Giving up on forms under the floor changes nothing of those above it, and lifts none of those under it."""
    bank = FormBank(
        [
            Form(row, CHARACTERS[2 + row], tuple(" ".join(PHONEMES[i] for i in way) for way in each))
            for row, each in enumerate(ways)
        ]
    )
    encoded = EncodedContext(_random(seed, len(CHARACTERS)), _random(seed + 1, len(PHONEMES)), np.zeros((40, 1), "f4"))
    whole, early = bank.score(encoded, 5), bank.score(encoded, 5, floor)
    above = whole.mean > floor
    for field in fields(FormScores):
        assert np.array_equal(getattr(whole, field.name)[above], getattr(early, field.name)[above])
    assert not np.any(early.mean[~above] > floor)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_spoken_form_is_the_first_candidate_at_its_place(form: int) -> None:
    """What was said is most probable; its span is that of its frames on the stream's clock."""
    start = 140 - 4 * (len(FORMS[form].characters) - 1)
    encoded = _spoken(form, end=140)
    first, *rest = _score(_scorer(), encoded)
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
    [first, *_], [second, *_] = (_score(_scorer(), _spoken(LEISURE, 140, way=way)) for way in (0, 1))
    assert (first.entry_index, second.entry_index) == (2, 2)
    assert first.probability == pytest.approx(second.probability)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_proposals_that_cover_everything_give_what_the_whole_glossary_gives(form: int) -> None:
    """The span search only saves work: where it proposes every form, the candidates are the same."""
    encoded = _spoken(form, end=140)
    searched = _scorer(_config(exhaustive_forms=0, neighbours_per_span=len(FORMS)))
    assert sorted(searched.forms.proposals(encoded)) == list(range(len(FORMS)))
    assert _score(searched, encoded) == _score(_scorer(), encoded)


def test_proposals_are_few_distinct_and_nearest_first() -> None:
    """At most as many forms as configured, each once, that of the spans' own vector first."""
    found = _scorer(_config(exhaustive_forms=0, proposals=2)).forms.proposals(_spoken(SLOPE, end=145))
    assert found[0] == SLOPE
    assert len(found) == len(set(found.tolist())) == 2


def test_only_spans_that_ended_just_now_are_searched() -> None:
    """A form whose frames lie before the window of the search is not proposed by them, however near it is."""
    said = _spoken(SLOPE, end=149)
    before = _spoken(LEISURE, end=40)
    both = EncodedContext(said.characters, said.phonemes, said.frames + before.frames)
    spans = MeanSpanEncoder()
    config = _config(exhaustive_forms=0, proposal_frames=4, neighbours_per_span=1)
    assert TermScorer(_index(), spans, _calibration(), config).forms.proposals(both).tolist() == [SLOPE]
    assert spans.spans == len(SpanGrid().lengths)  # one end, each length


def test_entry_has_one_candidate() -> None:
    """Of the forms of an entry the more probable one stands for it, whichever of them was said."""
    for form in (GRADIENT, SLOPE):
        candidates = _score(_scorer(_config(floor=-99.0)), _spoken(form, 140))
        assert sorted(c.entry_index for c in candidates) == [0, 1, 2, 3]
        assert [c.form_index for c in candidates if c.entry_index == 1] == [form]


def test_form_of_an_entry_is_chosen_by_its_probability() -> None:
    """Not by its mean score: where the calibration trusts long forms more, the longer one stands for the entry."""
    config = _config(floor=-99.0)
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(length=1.0), config)
    assert [c.form_index for c in _score(scorer, _spoken(SLOPE, 140)) if c.entry_index == 1] == [GRADIENT]


def test_similarity_is_that_of_the_own_span() -> None:
    """What else was said in the context does not count."""
    said = _spoken(PLAGUE, 140)
    other = EncodedContext(said.characters, said.phonemes, said.frames + _spoken(LEISURE, 60).frames)
    [candidate] = _score(_scorer(), other)
    assert candidate.raw_similarity == pytest.approx(1.0, abs=1e-3)


def test_candidates_come_most_probable_first() -> None:
    """The order is by probability."""
    probabilities = [c.probability for c in _score(_scorer(_config(floor=-99.0)), _spoken(PLAGUE, 140))]
    assert probabilities == sorted(probabilities, reverse=True)


def test_what_does_not_fit_is_no_candidate() -> None:
    """Below the floor there is nothing, not even an improbable candidate."""
    silence = np.zeros(0, np.int16)
    nothing = EncodedContext(
        _plant(silence, 0, 1, len(CHARACTERS)),
        _plant(silence, 0, 1, len(PHONEMES)),
        np.zeros((FRAMES, len(FORMS)), "f4"),
    )
    assert _score(_scorer(), nothing) == []
    assert len(_score(_scorer(), _spoken(PLAGUE, 140))) == 1


def test_path_counts_while_it_is_late_but_not_stale() -> None:
    """A path may have ended up to `late_frames` ago, and anywhere in the new frames."""
    encoded = _spoken(PLAGUE, end=100)
    assert len(_score(_scorer(_config(late_frames=50)), encoded)) == 1
    # One window too late (frames 144 to 159 of the stream) it can only be stretched, against all that was heard.
    assert all(c.probability < 0.01 for c in _score(_scorer(_config(late_frames=40)), encoded))
    [new] = _scorer(_config(late_frames=49)).score(encoded, CONTEXT_START, HOP_END, 100)
    assert new.probability > 0.9


def test_at_most_so_many_forms_are_weighed() -> None:
    """`most` bounds the work of a hop; the best fitting forms are kept."""
    evidence = _scorer(_config(floor=-99.0, most=2)).evidence(_spoken(SLOPE, 140), HOP_FRAME)
    assert len(evidence) == 2
    assert evidence[0].form_index == SLOPE


def test_span_does_not_reach_beyond_the_hop() -> None:
    """Frames beyond the end of the hop are no part of a term."""
    [first] = _scorer().score(_spoken(PLAGUE, 149), CONTEXT_START, HOP_END - 100, HOP_FRAME)
    assert first.end_sample == HOP_END - 100


def test_features_of_a_perfect_path_are_known() -> None:
    """Each number of the evidence of a term that was planted has its closed form."""
    [found] = _scorer().evidence(_spoken(PLAGUE, end=140), HOP_FRAME)
    tempo = np.log((140 - (112 + 120) // 2) / (4 * 6))
    assert found.features.keys() == set(FEATURES)
    assert found.features == pytest.approx(
        {
            "characters": 0.0,
            "phonemes": 0.0,
            "least": 0.0,
            "characters_over_free": 0.0,
            "phonemes_over_free": 0.0,
            "characters_over_background": 3.0,
            "phonemes_over_background": 2.5,
            "ends_apart": 0.0,
            "starts_apart": 8.0,
            "right_context": np.log1p(9),
            "length": np.log(6),
            "tempo": tempo,
            "tempo_squared": tempo**2,
            "characters_over_rivals": 0.0,
            "phonemes_over_rivals": 0.0,
            "over_neighbour": 10.0,
            "seen_before": 0.0,
            "over_free_before": -2.0,
            **dict.fromkeys(("text", "text_squared", "text_least", "text_least_squared", "text_doubt"), 0.0),
        },
        abs=1e-3,
    )


def test_newest_frames_wait_until_they_have_settled() -> None:
    """A form that ends within the newest frames is found a hop later, at the same place."""
    config = _config(settle_frames=12)
    assert all(c.probability < 0.01 for c in _score(_scorer(config), _spoken(PLAGUE, end=140)))
    [found, *_] = _scorer(config).evidence(_spoken(PLAGUE, end=124), HOP_FRAME)
    assert (FORMS[found.form_index].text, found.end) == ("plague", 124)


def test_an_earlier_sighting_counts_and_a_reset_forgets_it() -> None:
    """The same form on the same stretch of the stream was seen before; elsewhere, or after a reset, it was not."""
    scorer = _scorer()
    hops = [
        scorer.evidence(_spoken(PLAGUE, end=end), HOP_FRAME, first * FRAME_SAMPLES)[0]
        for end, first in ((148, 0), (132, 16), (140, 90))
    ]
    assert [e.features["seen_before"] for e in hops] == [0.0, 1.0, 0.0]
    assert [e.features["over_free_before"] for e in hops] == pytest.approx([-2.0, 0.0, -2.0], abs=1e-3)
    scorer.reset()
    assert scorer.evidence(_spoken(PLAGUE, end=140), HOP_FRAME, 90 * FRAME_SAMPLES)[0].features["seen_before"] == 0.0


def test_a_sighting_is_carried_to_another_index_by_entry_and_form() -> None:
    """A scorer over a new version goes on where that of the old one stopped, whatever the numbers of its forms."""
    turned = [(form, BACKGROUND[n], np.eye(len(FORMS), dtype=np.float32)[n]) for n, form in enumerate(FORMS)][::-1]
    entries = ENTRIES[::-1]
    forms = [replace(form, entry_index=len(ENTRIES) - 1 - form.entry_index) for form, _, _ in turned]
    vectors = np.stack([vector for _, _, vector in turned])
    new = TermIndex(entries, forms, vectors, BACKGROUND, "x", "v2")
    before, after = _scorer(), TermScorer(new, MeanSpanEncoder(), _calibration(), _config())
    before.evidence(_spoken(PLAGUE, end=148), HOP_FRAME, 0)
    after.go_on_from(before.sightings)
    [found, *_] = after.evidence(_spoken(PLAGUE, end=132), HOP_FRAME, 16 * FRAME_SAMPLES)
    assert (forms[found.form_index].text, found.features["seen_before"]) == ("plague", 1.0)
    renamed = [replace(entry, entry_id=f"other:{entry.entry_id}") for entry in entries]
    other = TermIndex(renamed, forms, vectors, BACKGROUND, "x", "v3")
    stranger = TermScorer(other, MeanSpanEncoder(), _calibration(), _config())
    stranger.go_on_from(before.sightings)
    assert stranger.evidence(_spoken(PLAGUE, end=132), HOP_FRAME, 16 * FRAME_SAMPLES)[0].features["seen_before"] == 0.0


def _competition() -> Competition:
    """A language of the two words "plan" and "gradients"."""
    said = (("plan", ("P", "L", "AE", "N")), ("gradients", ("G", "R", "EY", "D", "AH", "N", "T", "S")))
    model = Bigrams(
        np.full(2, -4.0, np.float32),
        np.zeros(2, np.float32),
        np.zeros(3, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.float32),
    )
    spoken = tuple((i, phoneme_sequence([phonemes])[1:-1]) for i, (_, phonemes) in enumerate(said))
    return Competition(Lexicon(tuple(word for word, _ in said), spoken, model))


def test_forms_compete_with_common_words() -> None:
    """What was said beats the words of the language; a form that fits too badly to compete has lost."""
    config = _config(floor=-99.0)
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), config, _competition())
    first, *rest = scorer.evidence(_spoken(PLAGUE, 124), 100)
    assert FORMS[first.form_index].text == "plague"
    assert min(first.features["characters_over_rivals"], first.features["phonemes_over_rivals"]) > 3
    for weak in rest:
        assert weak.features["characters_over_rivals"] == weak.features["phonemes_over_rivals"] == -12.5


def test_forms_of_one_stretch_compete_with_each_other() -> None:
    """Of two entries on one stretch, the better one is over its neighbour by what the other is under it."""
    config = _config(floor=-99.0, competing_floor=-99.0)
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), config, _competition())
    encoded = _spoken(LEISURE, 124)
    by_text = {FORMS[e.form_index].text: e for e in scorer.evidence(encoded, 100)}
    best = by_text["leisure"].features["over_neighbour"]
    assert best > 0
    assert all(e.features["over_neighbour"] <= 10 for e in by_text.values())
    assert min(e.features["over_neighbour"] for e in by_text.values()) < 0 or best == 10.0


def _with_hidden(encoded: EncodedContext) -> EncodedContext:
    return EncodedContext(encoded.characters, encoded.phonemes, encoded.frames, np.zeros((140, 3), np.float32))


def test_verifier_says_how_likely_each_text_is_at_its_place() -> None:
    """The sum and the least of the tokens become evidence, both bounded; the verifier is asked once, of each span."""
    verifier = FakeVerifier({"plague": [-0.5, -1.0, -0.25]})
    config = _config(floor=-99.0, reading=ReadingConfig(floor=-99.0))
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), config, verifier=verifier)
    found = {FORMS[e.form_index].text: e for e in scorer.evidence(_with_hidden(_spoken(PLAGUE, 124)), 100)}
    assert (found["plague"].features["text"], found["plague"].features["text_least"]) == (-1.75, -1.0)
    absurd = next(e for text, e in found.items() if text != "plague")
    assert (absurd.features["text"], absurd.features["text_least"], absurd.features["text_doubt"]) == (-20, -15, -3)
    assert (absurd.features["text_squared"], absurd.features["text_least_squared"]) == (20.0, 15.0)
    [(spans, texts)] = verifier.asked
    assert dict(zip(texts, spans, strict=True)) == {text: (e.start, e.end) for text, e in found.items()}


@pytest.mark.parametrize("has_hidden", [False, True])
def test_without_verifier_or_frames_for_it_the_text_counts_nothing(has_hidden: bool) -> None:
    """A model without a verifier, and an encoder without what it reads, leave both numbers at 0."""
    encoded = _spoken(PLAGUE, 124)
    verifier = None if has_hidden else FakeVerifier({})
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), _config(), verifier=verifier)
    first, *_ = scorer.evidence(_with_hidden(encoded) if has_hidden else encoded, 100)
    assert (first.features["text"], first.features["text_least"]) == (0.0, 0.0)


def test_word_at_the_edge_waits_for_a_second_look() -> None:
    """A form first seen to end in the newest frames may be the beginning of a longer word; the next hop decides."""
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), _config(second_look_frames=10))

    def texts(end: int, start_sample: int = 0) -> set[str]:
        return {FORMS[e.form_index].text for e in scorer.evidence(_spoken(PLAGUE, end), 0, start_sample)}

    assert "plague" not in texts(145)
    # A hop of 16 frames later the same word lies as much earlier in its context, and is known.
    assert "plague" in texts(129, 16 * FRAME_SAMPLES)
    scorer.reset()
    assert "plague" in texts(129)
    scorer.reset()
    assert "plague" not in texts(145)
    assert "plague" in texts(145)


def test_what_is_kept_of_a_stream_does_not_grow() -> None:
    """Paths and words that are carried on need the same memory after a minute as after some seconds."""
    scorer = TermScorer(_index(), MeanSpanEncoder(), _calibration(), _config(), _competition())
    sizes = []
    for hop in range(200):
        encoded = EncodedContext(
            _random(hop, len(CHARACTERS), FRAMES), _random(hop, len(PHONEMES), FRAMES), np.zeros((FRAMES, 5), "f4")
        )
        scorer.evidence(encoded.carried(FRAMES - 16, 1), HOP_FRAME, CONTEXT_START + hop * 16 * FRAME_SAMPLES)
        sizes.append(scorer.nbytes)
    assert 0 < max(sizes[20:]) < 1.05 * max(sizes[10:20])
