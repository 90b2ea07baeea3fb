"""What a scorer knows of each form: its path, its rivals, what was seen and read before."""

from dataclasses import replace

import numpy as np
import pytest

from streaming.calibration import FEATURES
from streaming.encoding.encoded_context import EncodedContext
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES
from streaming.spotting.span_reading import ReadingConfig
from streaming.symbols import CHARACTERS, PHONEMES, phoneme_sequence
from streaming.term_index import TermIndex
from streaming.testing import FakeVerifier
from streaming.words.bigrams import Bigrams
from streaming.words.competition import Competition
from streaming.words.lexicon import Lexicon
from tests.streaming.spoken_forms import (
    BACKGROUND,
    CONTEXT_START,
    ENTRIES,
    FORMS,
    FRAMES,
    HOP_FRAME,
    ION,
    LEISURE,
    PLAGUE,
    MeanSpanEncoder,
    calibration_of,
    config_of,
    index_of_forms,
    random_log_probs,
    score_of,
    scorer_of,
    spoken,
)


def test_features_of_a_perfect_path_are_known() -> None:
    """Each number of the evidence of a term that was planted has its closed form."""
    [found] = scorer_of().evidence(spoken(PLAGUE, end=140), HOP_FRAME)
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
            "over_rivals": 0.0,
            "over_neighbour": 10.0,
            "over_covering": 0.0,
            "fit_around": 0.0,
            "commonness": 0.0,
            "seen_before": 0.0,
            "over_free_before": -2.0,
            **dict.fromkeys(("text", "text_squared", "text_least", "text_least_squared", "text_doubt"), 0.0),
        },
        abs=1e-3,
    )


def test_newest_frames_wait_until_they_have_settled() -> None:
    """A form that ends within the newest frames is found a hop later, at the same place."""
    config = config_of(settle_frames=12)
    assert all(c.probability < 0.01 for c in score_of(scorer_of(config), spoken(PLAGUE, end=140)))
    [found, *_] = scorer_of(config).evidence(spoken(PLAGUE, end=124), HOP_FRAME)
    assert (FORMS[found.form_index].text, found.end) == ("plague", 124)


def test_an_earlier_sighting_counts_and_a_reset_forgets_it() -> None:
    """The same form on the same stretch of the stream was seen before; elsewhere, or after a reset, it was not."""
    scorer = scorer_of()
    hops = [
        scorer.evidence(spoken(PLAGUE, end=end), HOP_FRAME, first * FRAME_SAMPLES)[0]
        for end, first in ((148, 0), (132, 16), (140, 90))
    ]
    assert [e.features["seen_before"] for e in hops] == [0.0, 1.0, 0.0]
    assert [e.features["over_free_before"] for e in hops] == pytest.approx([-2.0, 0.0, -2.0], abs=1e-3)
    scorer.reset()
    assert scorer.evidence(spoken(PLAGUE, end=140), HOP_FRAME, 90 * FRAME_SAMPLES)[0].features["seen_before"] == 0.0


def test_a_sighting_is_carried_to_another_index_by_entry_and_form() -> None:
    """A scorer over a new version goes on where that of the old one stopped, whatever the numbers of its forms."""
    turned = [(form, BACKGROUND[n], np.eye(len(FORMS), dtype=np.float32)[n]) for n, form in enumerate(FORMS)][::-1]
    entries = ENTRIES[::-1]
    forms = [replace(form, entry_index=len(ENTRIES) - 1 - form.entry_index) for form, _, _ in turned]
    vectors = np.stack([vector for _, _, vector in turned])
    new = TermIndex(entries, forms, vectors, BACKGROUND, "x", "v2")
    before, after = scorer_of(), TermScorer(new, MeanSpanEncoder(), calibration_of(), config_of())
    before.evidence(spoken(PLAGUE, end=148), HOP_FRAME, 0)
    after.go_on_from(before.sightings)
    [found, *_] = after.evidence(spoken(PLAGUE, end=132), HOP_FRAME, 16 * FRAME_SAMPLES)
    assert (forms[found.form_index].text, found.features["seen_before"]) == ("plague", 1.0)
    renamed = [replace(entry, entry_id=f"other:{entry.entry_id}") for entry in entries]
    other = TermIndex(renamed, forms, vectors, BACKGROUND, "x", "v3")
    stranger = TermScorer(other, MeanSpanEncoder(), calibration_of(), config_of())
    stranger.go_on_from(before.sightings)
    assert stranger.evidence(spoken(PLAGUE, end=132), HOP_FRAME, 16 * FRAME_SAMPLES)[0].features["seen_before"] == 0.0


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
    config = config_of(floor=-99.0)
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config, _competition())
    first, *rest = scorer.evidence(spoken(PLAGUE, 124), 100)
    assert FORMS[first.form_index].text == "plague"
    assert first.features["over_rivals"] > 3
    for weak in rest:
        assert weak.features["over_rivals"] == -12.5


def test_a_form_without_pronunciations_has_no_rivals() -> None:
    """Rivals are heard by their phonemes: of a form that has none it is not known whether they fit better."""
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config_of(floor=-99.0), _competition())
    found = {FORMS[e.form_index].text: e for e in scorer.evidence(spoken(ION, 124), 100)}
    assert found["ion"].features["over_rivals"] == 0.0
    assert {e.features["over_rivals"] for text, e in found.items() if text != "ion"} == {-12.5}


def test_forms_of_one_stretch_compete_with_each_other() -> None:
    """Of two entries on one stretch, the better one is over its neighbour by what the other is under it."""
    config = config_of(floor=-99.0, competing_floor=-99.0)
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config, _competition())
    encoded = spoken(LEISURE, 124)
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
    config = config_of(floor=-99.0, reading=ReadingConfig(floor=-99.0))
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config, verifier=verifier)
    found = {FORMS[e.form_index].text: e for e in scorer.evidence(_with_hidden(spoken(PLAGUE, 124)), 100)}
    assert (found["plague"].features["text"], found["plague"].features["text_least"]) == (-1.75, -1.0)
    absurd = next(e for text, e in found.items() if text != "plague")
    assert (absurd.features["text"], absurd.features["text_least"], absurd.features["text_doubt"]) == (-20, -15, -3)
    assert (absurd.features["text_squared"], absurd.features["text_least_squared"]) == (20.0, 15.0)
    [(spans, texts)] = verifier.asked
    assert dict(zip(texts, spans, strict=True)) == {text: (e.start, e.end) for text, e in found.items()}


@pytest.mark.parametrize("has_hidden", [False, True])
def test_without_verifier_or_frames_for_it_the_text_counts_nothing(has_hidden: bool) -> None:
    """A model without a verifier, and an encoder without what it reads, leave both numbers at 0."""
    encoded = spoken(PLAGUE, 124)
    verifier = None if has_hidden else FakeVerifier({})
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config_of(), verifier=verifier)
    first, *_ = scorer.evidence(_with_hidden(encoded) if has_hidden else encoded, 100)
    assert (first.features["text"], first.features["text_least"]) == (0.0, 0.0)


def test_word_at_the_edge_waits_for_a_second_look() -> None:
    """A form first seen to end in the newest frames may be the beginning of a longer word; the next hop decides."""
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config_of(second_look_frames=10))

    def texts(end: int, start_sample: int = 0) -> set[str]:
        return {FORMS[e.form_index].text for e in scorer.evidence(spoken(PLAGUE, end), 0, start_sample)}

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
    scorer = TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config_of(), _competition())
    sizes = []
    for hop in range(200):
        encoded = EncodedContext(
            random_log_probs(hop, len(CHARACTERS), FRAMES),
            random_log_probs(hop, len(PHONEMES), FRAMES),
            np.zeros((FRAMES, 5), "f4"),
        )
        scorer.evidence(encoded.carried(FRAMES - 16, 1), HOP_FRAME, CONTEXT_START + hop * 16 * FRAME_SAMPLES)
        sizes.append(scorer.nbytes)
    assert 0 < max(sizes[20:]) < 1.05 * max(sizes[10:20])
