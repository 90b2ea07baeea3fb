"""The verifier's graph is asked about each text on its own span, and answers with the log-probabilities of its tokens."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.errors import ModelError
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.spotting.verifier import END, GRAPH_FILE, START, TOKENS_FILE, OnnxVerifier, verifier_of


@pytest.fixture(scope="module")
def folder() -> ModelFolder:
    """The model that TermCue ships."""
    return ModelFolder.load(BUNDLED)


@pytest.fixture(scope="module")
def verifier(folder: ModelFolder) -> OnnxVerifier:
    """Its verifier."""
    return OnnxVerifier(folder)


def _hidden(seed: int, frames: int = 60) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((frames, 512)).astype(np.float32)


def test_each_text_has_its_tokens_and_an_end(verifier: OnnxVerifier, folder: ModelFolder) -> None:
    """One log-probability, at most 0, for each token of the tokenizer and one for the end."""
    vocabulary = json.loads(folder.contents[TOKENS_FILE])["model"]["vocab"]
    assert {START, END}.isdisjoint(vocabulary.values())
    found = verifier.log_probs(_hidden(0), [(3, 20), (10, 50)], ["the", "the the the"])
    assert [len(row) for row in found] == [2, 4]
    assert all(float(row.max()) <= 0 for row in found)


def test_long_text_is_cut(verifier: OnnxVerifier) -> None:
    """A text of more tokens than the decoder has places is judged by its beginning, alone and beside another."""
    long = " ".join(["antidisestablishmentarianism"] * 9)
    [alone] = verifier.log_probs(_hidden(4), [(3, 50)], [long])
    assert len(alone) == 32
    assert [len(row) for row in verifier.log_probs(_hidden(4), [(3, 50), (3, 9)], [long, "the"])] == [32, 2]


def test_texts_together_score_as_each_alone(verifier: OnnxVerifier) -> None:
    """Neither the length of another text nor the place of another span has any influence beyond int8's rounding."""
    hidden, spans = _hidden(1), [(2, 12), (30, 55), (8, 40)]
    texts = ["ion", "stochastic gradient descent", "o'clock"]
    together = verifier.log_probs(hidden, spans, texts)
    for span, text, row in zip(spans, texts, together, strict=True):
        [alone] = verifier.log_probs(hidden, [span], [text])
        # Activations are quantised by the range of the whole run.
        assert np.abs(np.exp(alone) - np.exp(row)).max() < 0.1
        assert len(alone) == len(row)


def test_frames_far_from_the_span_count_nothing(verifier: OnnxVerifier) -> None:
    """What is heard elsewhere in the context changes not one bit."""
    hidden = _hidden(2)
    other = hidden.copy()
    other[:10] = other[45:] = 7.0
    [one], [two] = (verifier.log_probs(h, [(20, 35)], ["plague"]) for h in (hidden, other))
    assert np.array_equal(one, two)


def test_span_at_the_edges_is_cut_to_the_context(verifier: OnnxVerifier) -> None:
    """A margin beyond the first or last frame is simply not there."""
    found = verifier.log_probs(_hidden(3, 20), [(0, 19), (0, 0), (19, 19)], ["a", "b", "c"])
    assert all(np.isfinite(row).all() for row in found)


def test_what_was_said_is_likelier_than_what_was_not(folder: ModelFolder, verifier: OnnxVerifier) -> None:
    """At the place of `country` in a bundled sample that word is far likelier than words that sound alike."""
    import soundfile

    from app.samples import recordings

    samples, rate = soundfile.read(recordings()[-1].path, dtype="float32")
    start = len(samples) - folder.spec.context_samples
    hidden = open_frame_encoder(folder).encode(samples[start:]).hidden
    assert hidden is not None
    # It is said from 10.1 s to 10.4 s.
    span = (round((10.08 - start / rate) * 50), round((10.45 - start / rate) * 50))
    said, *others = (
        float(row.sum()) for row in verifier.log_probs(hidden, [span] * 3, ["country", "counter", "hunting"])
    )
    assert said > max(others) + 3


def test_folder_without_a_verifier_has_none(folder: ModelFolder) -> None:
    """Models exported without one still serve; a graph without its tokenizer, or with a damaged one, is refused."""
    without = {name: content for name, content in folder.contents.items() if name != GRAPH_FILE}
    assert verifier_of(replace(folder, contents=without)) is None
    with pytest.raises(ModelError, match="has no verifier_tokens"):
        verifier_of(replace(folder, contents={n: c for n, c in folder.contents.items() if n != TOKENS_FILE}))
    with pytest.raises(ModelError, match="is no tokenizer"):
        verifier_of(replace(folder, contents={**folder.contents, TOKENS_FILE: b"{}"}))
