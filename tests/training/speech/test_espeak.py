from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from streaming.symbols import words_of
from tests.training.espeak import (
    ACCENTS,
    CARRIERS,
    VARIANTS,
    Espeak,
    Voice,
    make_corpus,
    say,
    technical_terms,
    voices,
)
from training.corpus.audio import read_stretch
from training.corpus.rows import read_examples
from training.speech.carriers import PHRASES


def test_a_call_is_speech_at_16_khz() -> None:
    """Speech starts and ends with sound; twice the rate takes about half as long."""
    slow, fast = say("limit of detection", rate=120), say("limit of detection", "en", "f2", rate=240, pitch=70)
    assert slow.dtype == np.float32
    assert 0.8 < len(slow) / 16_000 < 2.5
    assert 1.6 < len(slow) / len(fast) < 2.4
    assert np.abs(slow[:320]).max() > 1e-3


def test_word_bounds_are_where_the_sound_is() -> None:
    """After a comma the second word starts with its sound: what is before it is silent."""
    speech = Espeak().speak("detection, tapping", Voice("en-us", "m3"))
    first, second = speech.words
    assert (first.text, second.text) == ("detection", "tapping")
    assert (first.start_sample, second.end_sample) == (0, len(speech.audio))
    before, after = speech.audio[second.start_sample - 480 : second.start_sample], speech.audio[second.start_sample :]
    assert np.abs(before).max() < 0.02 * np.abs(after[:1_600]).max()


def test_joined_words_share_their_time() -> None:
    """Words that eSpeak speaks as one ("of the"), and parts of a hyphened one, still have spans in order."""
    words = Espeak().speak("state of the art, don't x-ray it in the end", Voice("en", "f1")).words
    assert [w.text for w in words] == "state of the art don't x ray it in the end".split()
    assert all(a.end_sample == b.start_sample for a, b in pairwise(words))
    assert all(w.start_sample < w.end_sample for w in words)


def test_unknown_voices_and_silent_texts_are_errors() -> None:
    """A typing error must not give the default voice, nor a comma a clip of nothing."""
    with pytest.raises(ValueError, match=r"no voice en-us\+nobody"):
        say("hello", variant="nobody")
    with pytest.raises(ValueError, match="says nothing"):
        say(",")


def test_voices_are_there_and_differ() -> None:
    """Every voice speaks; accents and vocal tracts make a difference that rate and pitch alone do not."""
    library = Espeak()
    assert len({voice.name for voice in voices()}) == 160
    assert all(len(library.speak("gradient", voice).audio) for voice in voices())
    for kinds in ([Voice("en", variant) for variant in VARIANTS], [Voice(accent, "m1") for accent in ACCENTS]):
        spectra = [np.abs(np.fft.rfft(library.speak("the water is getting hotter", v).audio, 65_536)) for v in kinds]
        for one, other in combinations(spectra, 2):
            assert np.linalg.norm(one - other) > 0.3 * np.linalg.norm(one)


def test_texts_are_apart() -> None:
    """No term is part of another term, of a phrase or of a carrier, so the labels of a row are complete."""
    terms = [words_of(term) for term in technical_terms()]
    others = [words_of(text) for text in (*PHRASES, *(f"{a} {b}" for a, b in CARRIERS))]
    assert len({tuple(term) for term in terms}) == 200
    assert all(1 <= len(term.split()) <= 3 for term in technical_terms())
    for term in terms:
        for text in (*terms, *others):
            inside = any(text[i : i + len(term)] == term for i in range(len(text)))
            assert inside == (text is term)


def test_term_bounds_are_events() -> None:
    """In every carrier eSpeak tells where each term starts and where it ends."""
    library = Espeak()
    for i, term in enumerate(technical_terms()):
        before, after = CARRIERS[i % len(CARRIERS)]
        library.speak(f"{before} {term} {after}".strip(), Voice("en-us", "m1"))
        told = {position for position, _ in library._events}
        assert len(before) + 1 in told
        assert not after or len(before) + len(term) + 2 in told


def test_a_corpus_is_complete_and_the_same_again(tmp_path: Path) -> None:
    """Every voice says every term; rows are read back as they were made; the seed decides every sample."""
    terms, speakers = technical_terms()[:7], voices(2)
    made = make_corpus(tmp_path / "a", terms, speakers, 5, per_row=2, no_term_share=0.2)
    assert tuple(read_examples([tmp_path / "a/rows.jsonl"])) == made
    for voice in speakers:
        rows = [row for row in made if row.speaker == voice.name]
        assert sorted(span.term for row in rows for span in row.terms) == sorted(terms)
        assert [len(row.terms) for row in rows] == [2, 2, 2, 1, 0]
    for row in made:
        audio = read_stretch(row)
        for span in row.terms:
            heard = [w.text for w in row.words if span.start_sample <= w.start_sample < span.end_sample]
            assert heard == words_of(span.term)
            assert np.abs(audio[span.start_sample : span.end_sample]).max() > 0.1
    again = make_corpus(tmp_path / "b", terms, speakers, 5, per_row=2, no_term_share=0.2)
    assert [read_stretch(row).tobytes() for row in again] == [read_stretch(row).tobytes() for row in made]
    other = make_corpus(tmp_path / "c", terms, speakers, 6, per_row=2, no_term_share=0.2)
    assert [row.text for row in other] != [row.text for row in made]
