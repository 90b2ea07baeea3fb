from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streaming.encoder import OnnxSpanEncoder
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.errors import SettingError
from streaming.features import LogMel
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.spans import SpanGrid, pool_spans
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import key_of
from training.evaluation import encoders, torch_encoder
from training.evaluation.encoders import BadAudio, BadShareError, encode_rows, spans_of, windows
from training.evaluation.onnx_encoder import OnnxEncoder
from training.evaluation.torch_encoder import TorchEncoder, device_of, evaluating
from training.evaluation.untrained import UntrainedEncoder
from training.models.interfaces import RetrieverInputs, RetrieverOutputs, Tokens
from training.models.pooling import pool_spans as torch_pool_spans

Floats = NDArray[np.float32]
MEL_BINS, DIM = 80, 16


class LetterText(nn.Module):
    """Counts letters, projects them."""

    dim = DIM

    def __init__(self) -> None:
        super().__init__()
        self.letters = nn.EmbeddingBag(128, DIM, mode="sum", padding_idx=0)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Codes of the letters."""
        rows = [torch.tensor([ord(c) % 128 for c in text]) for text in texts]
        return {"letters": nn.utils.rnn.pad_sequence(rows, batch_first=True)}

    def forward(self, tokens: Tokens) -> Tensor:
        """Unit vectors."""
        return nn.functional.normalize(self.letters(tokens["letters"]), dim=-1)


class ToyRetriever(nn.Module):
    """Pairs of mel frames, pooled over spans and projected; dropout shows whether it was switched off."""

    mel_bins, dim = MEL_BINS, DIM

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.text = LetterText()
        self.spans = nn.Linear(6 * MEL_BINS, DIM)
        self.dropout = nn.Dropout(0.5)
        self.passes: list[tuple[int, ...]] = []

    def forward(self, inputs: RetrieverInputs) -> RetrieverOutputs:
        """Only spans and terms are computed."""
        self.passes.append(tuple(inputs.spans.shape))
        frames = inputs.mel.unflatten(2, (-1, 2)).mean(-1).transpose(1, 2)
        spans = nn.functional.normalize(self.spans(self.dropout(torch_pool_spans(frames, inputs.spans))), dim=-1)
        nothing = torch.zeros(len(frames), 0)
        return RetrieverOutputs(spans, nothing, self.text(inputs.terms), None, nothing, nothing)


def noise(seconds: float, seed: int) -> Floats:
    """float32[n] at 16 kHz."""
    return np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000)).astype(np.float32)


def one_pass(model: ToyRetriever, audio: Floats, spans: NDArray[np.int32]) -> Floats:
    """The slow twin: one context at a time, pooled by the serving code."""
    frames = len(audio) // 320
    mel = LogMel(MEL_BINS)(audio)[:, : 2 * frames]
    pairs = mel.reshape(MEL_BINS, frames, 2).mean(axis=2).T
    with torch.no_grad():
        vectors: Floats = nn.functional.normalize(model.spans(torch.from_numpy(pool_spans(pairs, spans)))).numpy()
    return vectors


@pytest.mark.parametrize("spans_at_once", [1, 700, 100_000])
def test_torch_rows_equal_one_context_at_a_time(monkeypatch: pytest.MonkeyPatch, spans_at_once: int) -> None:
    """Batches of rows of several lengths, filled up or in several contexts, give what each context alone gives."""
    monkeypatch.setattr(torch_encoder, "_SPANS_AT_ONCE", spans_at_once)
    model = ToyRetriever()
    rows = [noise(seconds, seed) for seed, seconds in enumerate([0.05, 1.0, 3.0, 5.76, 9.0])]
    with evaluating(model):
        found = TorchEncoder(model).spans(rows)
    for row, vectors in zip(rows, found, strict=True):
        pieces = windows(len(row) // 320, 288)
        slow = [one_pass(model, row[w.first * 320 :][: w.frames * 320], spans_of(w.frames, w.new_from)) for w in pieces]
        np.testing.assert_allclose(vectors, np.concatenate(slow), atol=2e-5)


@pytest.mark.parametrize("frames", [1, 7, 150, 151, 250, 299, 300, 1_499])
@pytest.mark.parametrize("context", [101, 150, 288])
def test_contexts_cover_every_span(frames: int, context: int) -> None:
    """Whatever its length, a row's contexts lie inside it and their new spans leave no frame out."""
    covered = np.zeros(frames, bool)
    lengths = set()
    for window in windows(frames, context):
        assert 0 <= window.first <= window.first + window.frames <= frames
        spans = spans_of(window.frames, window.new_from)
        lengths |= set(np.diff(spans, axis=1).ravel().tolist())
        for start, end in spans:
            covered[window.first + start : window.first + end] = True
    assert covered[min(frames, context) % SpanGrid().stride :].all()
    assert lengths == ({n for n in SpanGrid().lengths if n <= frames} or {frames})


def test_a_context_shorter_than_a_span_is_refused() -> None:
    """No context could hold the longest span."""
    with pytest.raises(SettingError, match=r"context of 100 frames"):
        windows(500, 100)


def test_evaluating_switches_dropout_off_and_back() -> None:
    """Every part is as it was after the block, also one that was frozen apart; what has no parts passes through."""
    model = ToyRetriever()
    model.text.eval()
    with evaluating(model):
        assert not any(part.training for part in model.modules())
        encoder = TorchEncoder(model)
        np.testing.assert_array_equal(encoder.spans([noise(1, 0)])[0], encoder.spans([noise(1, 0)])[0])
    assert [model.training, model.dropout.training, model.text.training] == [True, True, False]
    with evaluating(object()):
        assert device_of(object()) == torch.device("cpu")


def test_texts_are_embedded() -> None:
    """Term vectors come from the text tower alone, whatever else is in the batch."""
    model = ToyRetriever()
    encoder = TorchEncoder(model)
    vectors = encoder.texts(["ion", "gradient descent"])
    assert vectors.shape == (2, DIM)
    np.testing.assert_allclose(vectors[:1], encoder.texts(["ion"]), atol=1e-6)
    assert not model.passes


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[Sequence[float]], list[Example]]:
    """Writes one recording per length in seconds; length 0 is a file that is no audio."""

    def write(seconds: Sequence[float]) -> list[Example]:
        examples = []
        for i, length in enumerate(seconds):
            path = tmp_path / f"{i}.wav"
            if length:
                soundfile.write(path, noise(length, i), 16_000, subtype="FLOAT")
            else:
                path.write_bytes(b"no sound")
            terms = (TermSpan("Kalman's-filter", 0, 8_000),) if i % 2 else ()
            examples.append(Example(f"e{i}", path, 0, 0, "", terms, recording="talk" if i == 1 else ""))
        return examples

    return write


class LengthEncoder:
    """A vector that tells the length; counts rows of each call."""

    dim = 1

    def __init__(self) -> None:
        self.calls: list[int] = []

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """float32[1, 1] each."""
        self.calls.append(len(rows))
        return [np.array([[len(row)]], np.float32) for row in rows]

    def texts(self, texts: Sequence[str]) -> Floats:
        """Never asked."""
        raise AssertionError(texts)


def test_rows_are_batched_labelled_and_in_order(
    rows: Callable[[Sequence[float]], list[Example]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are bounded by filled-up length; labels are entries of normal forms; recordings are known."""
    monkeypatch.setattr(encoders, "_BATCH_SAMPLES", 40_000)
    encoder, told = LengthEncoder(), list[int]()
    lengths = [0.5, 1.0, 0.5, 2.0, 0.5]
    found = list(encode_rows(encoder, rows(lengths), key_of, BadAudio(), told.append))
    assert [int(row.vectors[0, 0]) for row in found] == [round(s * 16_000) for s in lengths]
    assert encoder.calls == [2, 1, 1, 1]
    assert [row.truth for row in found] == [(), (key_of("kalman filter"),), (), (key_of("kalman filter"),), ()]
    assert [row.recording for row in found] == ["e0", "talk", "e2", "e3", "e4"]
    assert told[-1] == 5


def test_unreadable_rows_are_skipped_and_listed(rows: Callable[[Sequence[float]], list[Example]]) -> None:
    """One of five is no audio: the others are encoded, and its reason is kept."""
    bad = BadAudio(max_share=0.25)
    found = list(encode_rows(LengthEncoder(), rows([0.5, 0, 0.5, 0.5, 0.5]), key_of, bad))
    assert [row.row_id for row in found] == ["e0", "e2", "e3", "e4"]
    assert bad.seen == 5
    assert [error.example.example_id for error in bad.errors] == ["e1"]


def test_too_many_unreadable_rows_end_it(
    rows: Callable[[Sequence[float]], list[Example]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how many, names the first and the command that lists all; a long run ends early."""
    with pytest.raises(BadShareError, match=r"1 of 3 rows.*1\.wav.*validate-audio"):
        list(encode_rows(LengthEncoder(), rows([0.5, 0, 0.5]), key_of, BadAudio()))
    monkeypatch.setattr(encoders, "_ROWS_BEFORE_JUDGING", 2)
    bad = BadAudio()
    with pytest.raises(BadShareError):
        list(encode_rows(LengthEncoder(), rows([0, 0, 0.5, 0.5]), key_of, bad))
    assert bad.seen == 2


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    """The model that ships."""
    return ModelFolder.load(BUNDLED)


def test_a_model_folder_encodes_rows_as_serving_does(bundled: ModelFolder) -> None:
    """A row of a whole context gives the vectors that a stream gives at that hop; others give the grid's number."""
    encoder = OnnxEncoder(bundled)
    short, exact, long = encoder.spans([noise(0.5, 0), noise(3.0, 1), noise(4.0, 2)])
    assert encoder.dim == short.shape[1] == bundled.spec.dim
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([short, exact, long]), axis=1), 1.0, atol=1e-3)
    assert len(short) == len(spans_of(25))
    assert len(exact) == len(spans_of(150))
    assert len(long) == len(exact) + len(spans_of(150, 100))
    encoded = open_frame_encoder(bundled).encode(noise(3.0, 1))
    np.testing.assert_array_equal(exact, OnnxSpanEncoder(bundled).embed(pool_spans(encoded.frames, spans_of(150))))
    texts = encoder.texts(["Ion", "Gradient-descent", "5"])
    assert texts.shape == (3, bundled.spec.dim)
    # The graph is int8, with one scale a batch.
    np.testing.assert_allclose(texts[:2], encoder.texts(["ion", "gradient descent"]), atol=0.01)


def test_the_control_is_fixed_and_knows_nothing() -> None:
    """The same seed gives the same unit vectors for rows of any length and for texts; another seed others."""
    encoder = UntrainedEncoder(dim=32, seed=1)
    rows = [noise(0.05, 0), noise(8.0, 1)]
    found = encoder.spans(rows)
    assert [len(v) for v in found] == [1, sum(len(spans_of(w.frames, w.new_from)) for w in windows(400, 288))]
    texts = encoder.texts(["ion", "gradient descent", ""])
    for vectors in (*found, texts):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found[1], UntrainedEncoder(dim=32, seed=1).spans(rows)[1])
    assert np.abs(found[1] - UntrainedEncoder(dim=32, seed=2).spans(rows)[1]).max() > 0.01
