"""A block encoder and the verifier of its frames -> a model folder, whose other parts come from an earlier one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from streaming.encoder import OnnxSpanEncoder
from streaming.encoding.block_encoder import BlockEncoders
from streaming.encoding.block_shape import STEP_FILE, BlockShape
from streaming.features import LogMel
from streaming.model_folder import ModelFolder
from streaming.spotting.verifier import GRAPH_FILE, TOKENS_FILE
from training.compact.export import CONTEXT_SAMPLES
from training.compact.recipe import StageError
from training.export.activation_ranges import ActivationRange, measure_ranges
from training.export.background import background_files
from training.export.folder import uncalibrated, write_model_folder
from training.export.graphs import parity, run_graph
from training.export.read_back import block_encoder_of_step
from training.export.step_graph import StepGraph, export_step
from training.export.step_writer import is_centred
from training.export.verifier import VerifierPart, export_verifier, render_tokens, verifier_parity
from training.models.block_encoder import BlockEncoder

# Parts that read frames of the same meaning, or none.
_AS_BEFORE = ("spans.onnx", "text.onnx", "g2p.onnx", "lexicon.npz")
_MEASURED_BEFORE = ("spans_", "text_", "g2p_")
# Contexts that the graphs are compared with torch on.
_MEASURED = 8


def export_blocks(
    target: Path,
    earlier: ModelFolder,
    encoder: BlockEncoder,
    shape: BlockShape,
    verifier: VerifierPart,
    contexts: Sequence[NDArray[np.float32]],
    speech: Sequence[NDArray[np.float32]],
    work: Path,
    facts: Mapping[str, Any],
) -> None:
    """Write the model folder `target`, not yet calibrated.

    Args:
        target: replaced when everything is written.
        earlier: the folder whose encoder was the teacher.
        encoder: as taught.
        shape: of its blocks.
        verifier: reads the encoder's hidden frames.
        contexts: held-out speech, float32[CONTEXT_SAMPLES] each: for scales, parity and as background.
        speech: all there is of it, in such contexts: for what spans of any speech are like.
        work: scratch folder for the graphs.
        facts: licence, provenance and training report, as they go into ``spec.json``.
    """
    work.mkdir(parents=True, exist_ok=True)
    before = json.loads((earlier.path / "spec.json").read_text("utf-8"))
    full, small = export_step(encoder, ranges_of(encoder, shape, contexts), work)
    files: dict[str, Path | bytes] = {
        STEP_FILE: small,
        GRAPH_FILE: export_verifier(verifier.verifier, work),
        TOKENS_FILE: render_tokens(verifier.tokenizer),
        **{name: earlier.contents[name] for name in _AS_BEFORE if name in earlier.contents},
    }
    spec = {
        "name": earlier.spec.name,
        "context_samples": CONTEXT_SAMPLES,
        "frame_samples": earlier.spec.frame_samples,
        "feature_width": earlier.spec.feature_width,
        "dim": earlier.spec.dim,
        "blocks": {name: getattr(shape, name) for name in BlockShape.__dataclass_fields__},
        **facts,
        "parity": {
            **{name: figures for name, figures in before["parity"].items() if name.startswith(_MEASURED_BEFORE)},
            **step_parity(encoder, shape, full, small, contexts[:_MEASURED]),
        },
        "calibration": uncalibrated().to_json(),
    }
    # What stands behind the graph is heard through the folder itself, as it will be served.
    write_model_folder(target, {**files, "background.npy": b""}, {**spec, "golden": {}})
    encoders = BlockEncoders(ModelFolder.load(target), shape)
    heard = [encoders.encode(context) for context in contexts]
    hidden = [torch.from_numpy(one.hidden) for one in heard[:_MEASURED] if one.hidden is not None]
    spec["parity"] |= verifier_parity(verifier, work, hidden)
    spec["golden"] = {**before["golden"], "audio_frames": golden_frames(encoders)}
    embed = OnnxSpanEncoder(ModelFolder.load(target)).embed
    background = background_files(heard, embed, (encoders.encode(context) for context in speech))
    write_model_folder(target, {**files, **background}, spec)


def rewrite_step(
    target: Path, contexts: Sequence[NDArray[np.float32]], speech: Sequence[NDArray[np.float32]], work: Path
) -> None:
    """Write the step of a finished model folder anew from its own weights, and the background as it is heard by it.

    All else stays, calibration included; `contexts`, `speech` and `work` are those of `export_blocks`.

    Raises:
        StageError: the folder does not hear blocks.
    """
    folder = ModelFolder.load(target)
    shape = folder.spec.blocks
    if shape is None:
        raise StageError(f"{target} does not hear blocks; run the stage export-blocks first")
    work.mkdir(parents=True, exist_ok=True)
    encoder = block_encoder_of_step(onnx.load_model_from_string(folder.contents[STEP_FILE]).graph).eval()
    full, small = export_step(encoder, ranges_of(encoder, shape, contexts), work)
    files: dict[str, Path | bytes] = {**folder.contents, STEP_FILE: small}
    spec = json.loads((target / "spec.json").read_text("utf-8"))
    spec["parity"] |= step_parity(encoder, shape, full, small, contexts[:_MEASURED])
    del spec["sha256"], spec["spec_sha256"]
    # The folder as it will be served says what its graph gives.
    write_model_folder(work / "model", files, spec)
    written = ModelFolder.load(work / "model")
    encoders = BlockEncoders(written, shape)
    spec["golden"]["audio_frames"] = golden_frames(encoders)
    heard = [encoders.encode(context) for context in contexts]
    embed = OnnxSpanEncoder(written).embed
    background = background_files(heard, embed, (encoders.encode(context) for context in speech))
    write_model_folder(target, {**files, **background}, spec)


def ranges_of(
    encoder: BlockEncoder, shape: BlockShape, contexts: Sequence[NDArray[np.float32]]
) -> dict[str, ActivationRange]:
    """For the constant scales of the graph: measured on log-mel features as a context heard by itself has them."""
    return measure_ranges(encoder, shape, (LogMel()(context) for context in contexts), is_centred)


def golden_frames(encoders: BlockEncoders) -> list[float]:
    """The first features of a frame in the middle of a tone."""
    tone = np.sin(2 * np.pi * 440 * np.arange(CONTEXT_SAMPLES) / 16_000).astype(np.float32) * 0.1
    return [round(float(x), 4) for x in encoders.encode(tone).frames[75, :5]]


def step_parity(
    encoder: BlockEncoder, shape: BlockShape, full: Path, small: Path, contexts: Sequence[NDArray[np.float32]]
) -> dict[str, dict[str, float]]:
    """What both graphs give for a block in the middle of each context, without anything before it, against torch."""
    frames = shape.block + shape.right
    pairs: dict[str, list[Any]] = {"step_fp32": [], "step_int8": []}
    reference = StepGraph(encoder).eval()
    for context in contexts:
        inputs = reference.example(shape)
        mel = torch.from_numpy(LogMel()(context))
        inputs["mel"] = mel[None, :, 100 : 100 + 2 * frames + 2]
        with torch.no_grad():
            expected = [part.numpy() for part in reference(*inputs.values())[:2]]
        given = {name: value.numpy() for name, value in inputs.items()}
        for kind, path in (("step_fp32", full), ("step_int8", small)):
            pairs[kind].append(parity(expected, run_graph(path, given)[:2]))
    return {
        kind: {
            "largest": max(one.largest for one in found),
            "mean": float(np.mean([one.mean for one in found])),
            "same_best": float(np.mean([one.same_best for one in found])),
        }
        for kind, found in pairs.items()
    }
