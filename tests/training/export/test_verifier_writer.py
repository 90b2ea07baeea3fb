from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streaming.spotting.verifier import END, START
from tests.training.export.traced_verifier import trace_verifier
from training.export.read_back_verifier import verifier_of
from training.export.verifier import export_verifier
from training.models.verifier import FAR_BELOW, SpanVerifier, VerifierConfig

CONFIG = VerifierConfig(vocabulary=60, width=128, layers=2, heads=2, inner=96)
SIZES = {"n": st.integers(1, 8), "length": st.integers(1, 32), "t": st.integers(1, 150), "seed": st.integers(0, 2**31)}


@pytest.fixture(scope="module")
def verifier() -> SpanVerifier:
    """A small one with drawn weights, norms and biases that do something."""
    torch.manual_seed(6)
    made = SpanVerifier(CONFIG).eval()
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return made


@pytest.fixture(scope="module")
def folder(verifier: SpanVerifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its graphs lie: written in fp32 and in int8, and traced in int8."""
    work = tmp_path_factory.mktemp("verifier")
    export_verifier(verifier, work)
    trace_verifier(verifier, work)
    return work


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, onnxruntime.InferenceSession]:
    """The graphs, ready to run."""
    names = {"fp32": "verifier.fp32.onnx", "int8": "verifier.onnx", "traced": "traced.onnx"}
    return {kind: session(folder / name) for kind, name in names.items()}


def session(path: Path, optimised: str = "") -> onnxruntime.InferenceSession:
    """A graph as it is served; with a name, what ONNX Runtime makes of it is written there."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = optimised
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def drawn(n: int, length: int, t: int, seed: int) -> dict[str, Tensor]:
    """Spans of one context and as many texts, in which ends stand anywhere."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(START, CONFIG.vocabulary, (n, length + 1), generator=generator)
    tokens[torch.rand(tokens.shape, generator=generator) < 0.2] = END
    tokens[:, 0] = START
    outside = torch.where(torch.rand(n, t, generator=generator) < 0.5, 0.0, FAR_BELOW)
    outside[:, 0] = 0.0
    return {"frames": torch.randn(1, t, CONFIG.width, generator=generator), "outside": outside, "tokens": tokens}


def given_by(run: onnxruntime.InferenceSession, inputs: dict[str, Tensor]) -> np.ndarray:
    """float32[n, l]."""
    found: np.ndarray = run.run(["log_probs"], {name: value.numpy() for name, value in inputs.items()})[0]
    return found


@given(**SIZES)
@settings(deadline=None)
def test_fp32_gives_what_torch_gives(
    verifier: SpanVerifier, runs: dict[str, onnxruntime.InferenceSession], **sizes: int
) -> None:
    """For any number of texts, places and frames; of what comes after an end 0."""
    inputs = drawn(**sizes)
    with torch.no_grad():
        expected = verifier(*inputs.values())
    expected[inputs["tokens"][:, :-1] == END] = 0
    np.testing.assert_allclose(given_by(runs["fp32"], inputs), expected.numpy(), atol=1e-4, rtol=1e-5)


@given(**SIZES)
@settings(deadline=None)
def test_int8_gives_what_the_traced_graph_gives(runs: dict[str, onnxruntime.InferenceSession], **sizes: int) -> None:
    """Operands of all products are the same integers, unless a sum in another order rounds one of them elsewhere."""
    inputs = drawn(**sizes)
    is_open = inputs["tokens"].numpy()[:, :-1] != END
    expected, found = (given_by(runs[kind], inputs)[is_open] for kind in ("traced", "int8"))
    difference = np.abs(expected - found)
    assert np.median(difference) < 1e-5
    assert difference.max() < 0.05


def test_weights_are_those_of_the_traced_graph(folder: Path, tmp_path: Path) -> None:
    """Read back from either, the verifier is the same to the last bit, and so is the file when it is written again."""
    written, traced = (verifier_of(folder / name) for name in ("verifier.onnx", "traced.onnx"))
    assert written.config == traced.config == CONFIG
    for name, value in written.state_dict().items():
        torch.testing.assert_close(traced.state_dict()[name], value, rtol=0, atol=0)
    assert export_verifier(written, tmp_path).read_bytes() == (folder / "verifier.onnx").read_bytes()


def test_nodes_are_few(folder: Path, tmp_path: Path) -> None:
    """A layer takes no more nodes than it needs, sizes are asked for once, and the traced graph has far more."""
    written, traced = (nodes(folder / name, tmp_path) for name in ("verifier.onnx", "traced.onnx"))
    assert [node.op_type for node in written].count("Shape") == 1
    assert len(written) <= 33 * CONFIG.layers + 35
    assert len(traced) > 1.5 * len(written)


def test_constants_are_turned_and_joined_at_load(folder: Path, tmp_path: Path) -> None:
    """The embedding stands in the file once. Every product has a constant matrix, which ONNX Runtime packs."""
    stored = onnx.load(str(folder / "verifier.onnx")).graph.initializer
    assert [list(tensor.dims) for tensor in stored].count([CONFIG.vocabulary, CONFIG.width]) == 1
    found = nodes(folder / "verifier.onnx", tmp_path)
    products = [node for node in found if node.op_type in {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}]
    assert len(products) == 7 * CONFIG.layers + 1
    made = {name for node in found for name in node.output}
    assert not any(node.input[1] in made for node in products)


def nodes(path: Path, work: Path) -> list[Any]:
    """Those that run."""
    session(path, str(work / "optimised.onnx"))
    return list(onnx.load(str(work / "optimised.onnx")).graph.node)
