"""The bundled model is whole, computes what it did when it was exported, and hears a recording."""

import json
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from app.samples import glossary_path, recordings
from streaming.encoder import OnnxSpanEncoder, OnnxTextEncoder, open_session
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.entries import Entry, Form, make_form
from streaming.events import SAMPLE_RATE
from streaming.grapheme import OnnxPronouncer
from streaming.index.background import background_scores
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.verifier import verifier_of
from streaming.symbols import CHARACTERS, PHONEMES
from streaming.term_index import TermIndex
from streaming.words.competition import competition_of

Floats = NDArray[np.float32]
MAX_BYTES = 80 * 2**20
# int8 kernels add up in another order and another width on other processors, and differ by this much in the outputs.
KERNELS_DIFFER = 0.05


@pytest.fixture(scope="module")
def folder() -> ModelFolder:
    """The model that ships with the program."""
    return ModelFolder.load(BUNDLED)


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """Its spec as it stands on the disk."""
    spec: dict[str, Any] = json.loads((BUNDLED / "spec.json").read_text("utf-8"))
    return spec


def _ids(text: str) -> NDArray[np.int64]:
    return np.array([[CHARACTERS.index(letter) for letter in text]], np.int64)


def test_model_is_whole_and_small(folder: ModelFolder) -> None:
    """Every graph is there, and the folder stays small enough to ship."""
    assert {"step.onnx", "spans.onnx", "text.onnx", "g2p.onnx", "verifier.onnx"} <= folder.contents.keys()
    assert {"background.npy", "lexicon.npz", "verifier_tokens.json"} <= folder.contents.keys()
    files = [file for file in BUNDLED.iterdir() if file.is_file()]
    assert {file.name for file in files} == {*folder.contents, "spec.json"}
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES


def test_model_says_where_it_comes_from(folder: ModelFolder) -> None:
    """Licence and provenance are filled in, every part of every entry."""
    assert len(folder.spec.licence) > 3
    assert folder.spec.provenance
    for entry in folder.spec.provenance:
        assert {"source", "licence"} <= entry.keys()
        assert all(value.strip() for value in entry.values())


def test_sizes_go_with_the_graphs(folder: ModelFolder) -> None:
    """What the spec says of context, frames and vectors is what the graphs take and give."""
    encoded = open_frame_encoder(folder).encode(np.zeros(folder.spec.context_samples, np.float32))
    frames = folder.spec.context_samples // FRAME_SAMPLES
    assert folder.spec.frame_samples == FRAME_SAMPLES
    assert encoded.characters.shape == (frames, len(CHARACTERS))
    assert encoded.phonemes.shape == (frames, len(PHONEMES))
    assert encoded.frames.shape == (frames, folder.spec.feature_width)
    for head in (encoded.characters, encoded.phonemes):
        np.testing.assert_allclose(np.exp(head).sum(axis=1), 1.0, atol=1e-3)
    vectors = OnnxTextEncoder(folder).embed(["ion", "kalman filter"])
    assert vectors.shape == (2, folder.spec.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)


def test_golden_vectors_are_reproduced(folder: ModelFolder, written: dict[str, Any]) -> None:
    """Each graph gives, on the input of its export, the numbers of its export, within what processors differ by."""
    golden = written["golden"]
    tone = np.sin(2 * np.pi * 440 * np.arange(folder.spec.context_samples) / SAMPLE_RATE).astype(np.float32) * 0.1
    frames = open_frame_encoder(folder).encode(tone).frames
    np.testing.assert_allclose(frames[75, :5], golden["audio_frames"], atol=KERNELS_DIFFER)
    [vector] = OnnxTextEncoder(folder).embed(["golden vector"])
    np.testing.assert_allclose(vector[:5], golden["text"], atol=KERNELS_DIFFER)
    [said] = open_session(folder, "g2p.onnx").run(None, {"letters": _ids("golden")})
    np.testing.assert_allclose(said[0, 0, :5], golden["g2p"], atol=KERNELS_DIFFER)


def test_quantised_graphs_kept_to_the_originals(written: dict[str, Any]) -> None:
    """The export measured each graph against torch; int8 chose the same best symbol nearly everywhere."""
    parity = written["parity"]
    assert parity["step_int8"]["same_best"] >= 0.95
    assert parity["step_fp32"]["same_best"] >= 0.999
    for name in ("spans", "text"):
        assert parity[f"{name}_int8"]["largest"] < 0.1


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("country", "K AH N T R IY"),
        ("market", "M AA R K AH T"),
        ("fish", "F IH SH"),
        ("system", "S IH S T AH M"),
        ("nation", "N EY SH AH N"),
    ],
)
def test_words_are_pronounced_as_in_a_dictionary(folder: ModelFolder, word: str, expected: str) -> None:
    """The dictionary's pronunciation of a plain word is among the first three."""
    assert tuple(expected.split()) in OnnxPronouncer(folder).pronounce([word])[0]


def test_pronunciations_are_plausible(folder: ModelFolder) -> None:
    """A word the network cannot know has one to three pronunciations, in ARPAbet, about as long as the word."""
    words = ["zorblax", "termcue", "schiphol", "a", "o'brien"]
    for word, ways in zip(words, OnnxPronouncer(folder).pronounce(words), strict=True):
        assert 1 <= len(ways) <= 3, word
        assert all(set(way) <= set(PHONEMES[2:]) for way in ways)
        assert all(1 <= len(way) <= 2 * len(word) for way in ways)


def _index(folder: ModelFolder, terms: tuple[str, ...]) -> TermIndex:
    ways = OnnxPronouncer(folder).pronounce(terms)
    forms: list[Form] = [make_form(i, term, [[way] for way in ways[i]]) for i, term in enumerate(terms)]
    vectors = np.concatenate([OnnxTextEncoder(folder).embed([form.text]) for form in forms])
    entries = [Entry(term, term, {}) for term in terms]
    return TermIndex(entries, forms, vectors, background_scores(folder)(forms), folder.encoder_id, "v1")


@pytest.mark.parametrize("exhaustive_forms", [1500, 0], ids=["aligned whole", "proposed by spans"])
def test_spoken_word_beats_every_unspoken_one(folder: ModelFolder, exhaustive_forms: int) -> None:
    """In "… do for your country" `country` is far more probable than any one-word term of the sample not said there."""
    samples, rate = soundfile.read(recordings()[-1].path, dtype="float32")
    assert rate == SAMPLE_RATE
    said = set(recordings()[-1].words.split())
    terms = [line.split(",")[0].lower() for line in glossary_path().read_text("utf-8").splitlines()[1:]]
    others = [term for term in terms if term.isalpha() and term not in said]
    index = _index(folder, ("country", *others))
    # The last three seconds hold the word and silence after it, as the pipeline adds it at the end of a stream.
    samples = np.concatenate([samples, np.zeros(6400, np.float32)])
    start = len(samples) - folder.spec.context_samples
    encoded = open_frame_encoder(folder).encode(samples[start:])
    config = ScoringConfig(exhaustive_forms=exhaustive_forms, proposal_frames=100)
    rivals, verifier = competition_of(folder), verifier_of(folder)
    scorer = TermScorer(index, OnnxSpanEncoder(folder), folder.calibration, config, rivals, verifier)
    first, *rest = scorer.score(encoded, start, len(samples), 0)
    assert index.entries[first.entry_index].term == "country"
    assert all(first.probability > 2 * other.probability for other in rest)
    # It is said from 10.1 s to 10.4 s; the bound that ends its path is heard in the silence after it.
    assert abs(first.start_sample / SAMPLE_RATE - 10.08) < 0.3
    assert abs(first.end_sample / SAMPLE_RATE - 10.40) < 0.75
