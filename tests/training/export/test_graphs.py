from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.compact.g2p import G2pConfig, GraphemeToPhoneme, letter_ids
from training.compact.train_spans import letters_of
from training.export.graphs import (
    AudioGraph,
    export_graph,
    gather_weights,
    parity,
    quantise,
    run_graph,
    unfold_convolutions,
)
from training.models.heads import AlignmentHead, CharacterTower, HeadConfig
from training.models.whisper import split_whisper_encoder

Tiny = tuple[Path, WhisperEncoder]
OUTPUTS = ["characters", "phonemes", "frames"]


@pytest.fixture
def graph(tiny_whisper: Tiny) -> AudioGraph:
    """The tiny encoder under a small head."""
    lower, upper = split_whisper_encoder(tiny_whisper[0], 1)
    torch.manual_seed(0)
    return AudioGraph(lower, upper, AlignmentHead(HeadConfig(32, 32))).eval()


@pytest.fixture
def mel() -> torch.Tensor:
    """Features of two contexts of 1.2 s: float32[2, 80, 120]."""
    torch.manual_seed(1)
    return torch.randn(2, 80, 120) * 0.5


def test_graphs_give_what_torch_gives(graph: AudioGraph, mel: torch.Tensor, tmp_path: Path) -> None:
    """In fp32 the exported graph differs by less than 1e-4, in int8 by little, and int8 is smaller."""
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export_graph(graph, {"mel": mel[:1]}, full, OUTPUTS, {name: {0: "n"} for name in ("mel", *OUTPUTS)})
    quantise(full, small)
    with torch.no_grad():
        reference = [out.numpy() for out in graph(mel)]
    exact, close = (parity(reference, run_graph(path, {"mel": mel.numpy()})) for path in (full, small))
    assert exact.largest < 1e-4
    assert exact.same_best == 1.0
    assert close.largest < 0.05
    assert close.same_best > 0.9
    assert small.stat().st_size < full.stat().st_size


@pytest.mark.parametrize("lengths", [("term",), ("a", "much longer text than the example"), ("x",) * 5])
def test_text_graph_takes_any_batch_and_length(lengths: tuple[str, ...], tmp_path: Path) -> None:
    """A graph traced on one batch is right for batches of other sizes and lengths."""
    torch.manual_seed(0)
    tower = CharacterTower(8, width=16, layers=2, heads=2).eval()
    axes = {"letters": {0: "n", 1: "l"}, "vectors": {0: "n"}}
    export_graph(tower, {"letters": letters_of(["glossary", "ion"])}, tmp_path / "text.onnx", ["vectors"], axes)
    letters = letters_of(lengths)
    (found,) = run_graph(tmp_path / "text.onnx", {"letters": letters.numpy()})
    np.testing.assert_allclose(found, tower(letters).detach().numpy(), atol=1e-5)


def test_pronouncing_graph_takes_any_batch_and_length(tmp_path: Path) -> None:
    """The same for the grapheme-to-phoneme model."""
    torch.manual_seed(0)
    model = GraphemeToPhoneme(G2pConfig(width=16, layers=1, heads=2)).eval()
    axes = {"letters": {0: "n", 1: "l"}, "phonemes": {0: "n", 1: "s"}}
    export_graph(model, {"letters": letter_ids(["glossary", "ion"])}, tmp_path / "g2p.onnx", ["phonemes"], axes)
    letters = letter_ids(["a", "antidisestablishmentarianism", "it"])
    (found,) = run_graph(tmp_path / "g2p.onnx", {"letters": letters.numpy()})
    np.testing.assert_allclose(found, model(letters).detach().numpy(), atol=1e-4)


def test_parity_is_of_probabilities() -> None:
    """Differences count between probabilities, the best symbol in each frame; features are left aside."""
    a = np.log(np.array([[[0.9, 0.1], [0.4, 0.6]]], np.float32))
    b = np.log(np.array([[[0.8, 0.2], [0.6, 0.4]]], np.float32))
    features = [np.zeros(1, np.float32), np.full(1, 9.0, np.float32)]
    found = parity([a, a, features[0]], [b, b, features[1]])
    assert [found.largest, found.mean, found.same_best] == pytest.approx([0.2, 0.15, 0.5])


@pytest.mark.parametrize(("taps", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 0)])
def test_unfolded_convolutions_are_the_same(taps: int, stride: int, padding: int) -> None:
    """As a matrix product a convolution gives the same numbers; the module that was given keeps its own."""
    torch.manual_seed(taps)
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 6, taps, stride, padding, bias=taps != 1), torch.nn.GELU())
    x = torch.randn(2, 4, 20)
    unfolded = unfold_convolutions(module)
    torch.testing.assert_close(unfolded(x), module(x), atol=1e-5, rtol=1e-4)
    assert isinstance(module[0], torch.nn.Conv1d)
    assert not any(isinstance(part, torch.nn.Conv1d) for part in unfolded.modules())


def test_large_graph_is_quantised_and_gathered(tmp_path: Path) -> None:
    """Through files with weights beside them a graph gives the same as through single files, in one file each."""
    torch.manual_seed(1)
    module, x = (
        torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.Linear(64, 8)),
        torch.randn(3, 64),
    )
    full = tmp_path / "full.onnx"
    export_graph(module, {"x": x}, full, ["y"], {"x": {0: "n"}, "y": {0: "n"}})
    quantise(full, tmp_path / "small.onnx")
    quantise(full, tmp_path / "large.onnx", is_large=True)
    [small] = gather_weights(tmp_path / "small.onnx", tmp_path / "a.onnx", 2**20)
    graph, weights = gather_weights(tmp_path / "large.onnx", tmp_path / "b.onnx", 100)
    assert (graph.name, weights.name) == ("b.onnx", "b.onnx.data")
    before = weights.read_bytes()
    assert gather_weights(tmp_path / "large.onnx", graph, 100) == [graph, weights]
    assert weights.read_bytes() == before
    (expected,), (found,) = run_graph(small, {"x": x.numpy()}), run_graph(graph, {"x": x.numpy()})
    np.testing.assert_array_equal(found, expected)
