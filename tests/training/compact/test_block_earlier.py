import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from streaming.encoding.block_shape import BlockShape
from streaming.model_folder import ModelFolder
from tests.training.export.traced_verifier import trace_verifier
from training.compact.block_earlier import read_teacher, read_verifier
from training.compact.recipe import StageError
from training.export.activation_ranges import measure_ranges
from training.export.folder import uncalibrated, write_model_folder
from training.export.step_graph import export_step
from training.export.step_writer import is_centred
from training.export.verifier import export_verifier
from training.models.block_encoder import BlockEncoder
from training.models.heads import HeadConfig
from training.models.verifier import SpanVerifier, VerifierConfig

CONFIG = VerifierConfig(12, 64, layers=2, heads=1, inner=96, positions=7)


def trained() -> SpanVerifier:
    """With random weights, norms included; the export joins weights that are equal, as no trained ones are."""
    torch.manual_seed(0)
    verifier = SpanVerifier(CONFIG).eval()
    for parameter in verifier.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return verifier


def folder(path: Path, files: dict[str, Path | bytes]) -> ModelFolder:
    """A model folder with these files and nothing else."""
    spec: dict[str, Any] = {"name": "tiny", "context_samples": 48_000, "frame_samples": 320}
    spec |= {"feature_width": 32, "dim": 16, "licence": "none", "provenance": []}
    write_model_folder(path, files, {**spec, "calibration": uncalibrated().to_json()})
    return ModelFolder.load(path)


@pytest.mark.parametrize("export", [export_verifier, trace_verifier])
def test_a_verifier_comes_back(export: Callable[[SpanVerifier, Path], Path], tmp_path: Path) -> None:
    """Every weight within half a step of its int8 row or column, and with them what it gives: of a graph old or new."""
    verifier = trained()
    tokens: dict[str, Any] = {"model": {"vocab": {}}}
    files: dict[str, Path | bytes] = {
        "verifier.onnx": export(verifier, tmp_path),
        "verifier_tokens.json": json.dumps(tokens).encode(),
    }
    part = read_verifier(folder(tmp_path / "model", files))
    assert part.tokenizer == tokens
    assert part.verifier.config == CONFIG
    assert not part.verifier.training
    for name, weight in verifier.state_dict().items():
        step = float(weight.abs().max()) / 127
        assert float((part.verifier.state_dict()[name] - weight).abs().max()) <= step, name
    inputs = torch.randn(3, 20, 64), torch.zeros(3, 20), torch.tensor([[0, 5, 6, 1]] * 3)
    with torch.no_grad():
        torch.testing.assert_close(part.verifier(*inputs), verifier(*inputs), atol=0.1, rtol=0.05)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """A folder without the graph, or with a graph of something else, is refused with the cure."""
    empty = folder(tmp_path / "empty", {"text.onnx": b"text"})
    for read, missing in ((read_teacher, "audio.onnx"), (read_verifier, "verifier.onnx")):
        with pytest.raises(StageError, match=rf"has no {missing}.*--earlier"):
            read(empty)
    graph = export_verifier(trained(), tmp_path)
    other = folder(tmp_path / "other", {"audio.onnx": graph, "verifier_tokens.json": b"{}", "verifier.onnx": b""})
    for read in (read_teacher, read_verifier):
        with pytest.raises(StageError, match="not of Whisper's shape"):
            read(other)


def test_an_encoder_of_blocks_comes_back_as_a_teacher(tmp_path: Path) -> None:
    """Of whatever width; every matrix within half a step of its int8 columns, all else to the last bit."""
    torch.manual_seed(1)
    encoder = BlockEncoder(64, 1, 2, HeadConfig(frame_width=64, width=24)).eval()
    encoder.get_buffer("positions").normal_()
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    shape = BlockShape(block=8, right=4, look_back=2)
    mel = np.random.default_rng(1).uniform(-1, 1, (80, 64)).astype(np.float32)
    _, graph = export_step(encoder, measure_ranges(encoder, shape, [mel], is_centred), tmp_path)
    found = read_teacher(folder(tmp_path / "model", {"step.onnx": graph}))
    assert not found.training
    assert len(encoder.state_dict()) == len(found.state_dict()) > 20
    for name, weight in encoder.state_dict().items():
        step = float(weight.abs().max()) / 127 if weight.ndim > 1 and name != "positions" else 0.0
        assert float((found.state_dict()[name] - weight).abs().max()) <= step, name
