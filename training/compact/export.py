"""The trained parts of the compact retriever -> its model folder, with parity figures against torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streaming.calibration import Calibration
from streaming.encoding.encoded_context import EncodedContext
from streaming.features import LogMel
from streaming.spotting.verifier import GRAPH_FILE, TOKENS_FILE
from streaming.words.lexicon import LEXICON_FILE, Lexicon, pack_lexicon
from training.compact.g2p import GraphemeToPhoneme, letter_ids
from training.compact.train_spans import SpanModel, letters_of
from training.export.background import background_files, span_tower
from training.export.folder import uncalibrated, write_model_folder
from training.export.graphs import (
    AudioGraph,
    export_graph,
    parity,
    quantise,
    run_graph,
    unfold_convolutions,
)
from training.export.verifier import VerifierPart, export_verifier, render_tokens, verifier_parity

CONTEXT_SAMPLES = 48_000
FRAME_SAMPLES = 320
# Contexts that the graphs are compared with torch on.
_MEASURED = 8
_EXAMPLE_TEXTS = ("glossary", "stochastic gradient descent", "ion", "saint giles")


@dataclass(frozen=True, slots=True)
class CompactParts:
    """Everything that goes into the folder, trained."""

    audio: AudioGraph
    spans: SpanModel
    g2p: GraphemeToPhoneme


def export_parts(
    parts: CompactParts, contexts: Sequence[NDArray[np.float32]], work: Path
) -> tuple[dict[str, Path], dict[str, dict[str, float]]]:
    """Write fp32 and int8 graphs into `work`; returns the int8 files and the parity of both on contexts float32[n]."""
    work.mkdir(parents=True, exist_ok=True)
    for part in (parts.audio, parts.spans, parts.g2p):
        part.eval()
    mels = np.stack([LogMel()(context) for context in contexts])
    pooled = torch.randn(16, parts.spans.spans.pooled_width)
    graphs: Mapping[str, tuple[torch.nn.Module, torch.Tensor, str, list[str], dict[str, dict[int, str]]]] = {
        "audio": (
            unfold_convolutions(parts.audio),
            torch.from_numpy(mels[:1]),
            "mel",
            ["characters", "phonemes", "frames", "hidden"],
            {name: {0: "n"} for name in ("mel", "characters", "phonemes", "frames", "hidden")},
        ),
        "spans": (parts.spans.spans, pooled, "pooled", ["vectors"], {"pooled": {0: "n"}, "vectors": {0: "n"}}),
        "text": (
            parts.spans.text,
            letters_of(_EXAMPLE_TEXTS),
            "letters",
            ["vectors"],
            {"letters": {0: "n", 1: "l"}, "vectors": {0: "n"}},
        ),
        "g2p": (
            parts.g2p,
            letter_ids(["glossary", "descent", "ion"]),
            "letters",
            ["phonemes"],
            {"letters": {0: "n", 1: "l"}, "phonemes": {0: "n", 1: "s"}},
        ),
    }
    files, figures = {}, {}
    for name, (module, example, input_name, outputs, axes) in graphs.items():
        full, small = work / f"{name}.fp32.onnx", work / f"{name}.onnx"
        export_graph(module, {input_name: example}, full, outputs, axes)
        quantise(full, small)
        files[f"{name}.onnx"] = small
        if name == "audio":
            continue
        with torch.no_grad():
            expected = module(example).numpy()
        for kind, path in (("fp32", full), ("int8", small)):
            found = run_graph(path, {input_name: example.numpy()})[0]
            figures[f"{name}_{kind}"] = {"largest": float(np.abs(found - expected).max())}
    with torch.no_grad():
        reference = [[o.numpy() for o in parts.audio(torch.from_numpy(mel[None]))] for mel in mels]
    for kind, path in (("fp32", work / "audio.fp32.onnx"), ("int8", work / "audio.onnx")):
        pairs = [parity(r, run_graph(path, {"mel": mel[None]})) for r, mel in zip(reference, mels, strict=True)]
        figures[f"audio_{kind}"] = {
            "largest": max(p.largest for p in pairs),
            "mean": float(np.mean([p.mean for p in pairs])),
            "same_best": float(np.mean([p.same_best for p in pairs])),
        }
    return files, figures


def background_of(files: Mapping[str, Path], contexts: Sequence[NDArray[np.float32]]) -> dict[str, bytes]:
    """Held-out contexts through the exported graphs, packed for the folder."""
    log_mel, encoded = LogMel(), []
    for context in contexts:
        outputs = run_graph(files["audio.onnx"], {"mel": log_mel(context)[None]})
        encoded.append(EncodedContext(*(output[0] for output in outputs)))
    return background_files(encoded, span_tower(files["spans.onnx"]))


def golden_vectors(files: Mapping[str, Path]) -> dict[str, list[float]]:
    """The first five numbers of each graph on a fixed input, for tests of every later build."""
    tone = np.sin(2 * np.pi * 440 * np.arange(CONTEXT_SAMPLES) / 16_000).astype(np.float32) * 0.1
    mel = LogMel()(tone)[None]
    audio = run_graph(files["audio.onnx"], {"mel": mel})
    text = run_graph(files["text.onnx"], {"letters": letters_of(["golden vector"]).numpy()})
    g2p = run_graph(files["g2p.onnx"], {"letters": letter_ids(["golden"]).numpy()})
    return {
        "audio_frames": [round(float(x), 4) for x in audio[2][0, 75, :5]],
        "text": [round(float(x), 4) for x in text[0][0, :5]],
        "g2p": [round(float(x), 4) for x in g2p[0][0, 0, :5]],
    }


def export_compact(
    target: Path,
    parts: CompactParts,
    contexts: Sequence[NDArray[np.float32]],
    work: Path,
    facts: Mapping[str, Any],
    calibration: Calibration | None = None,
    lexicon: Lexicon | None = None,
    verifier: VerifierPart | None = None,
) -> None:
    """Write the model folder `target`.

    Args:
        target: replaced when everything is written.
        parts: the trained modules.
        contexts: held-out speech, float32[CONTEXT_SAMPLES] each: for parity and as background.
        work: scratch folder for the graphs.
        facts: licence, provenance and training report, as they go into ``spec.json``.
        calibration: None before the development streams were heard.
        lexicon: the common words that terms compete with; None lets every term stand alone.
        verifier: reads the audio graph's `hidden`; None: candidates get no second look.
    """
    files, figures = export_parts(parts, contexts[:_MEASURED], work)
    contents: dict[str, Path | bytes] = {**files, **background_of(files, contexts)}
    if lexicon is not None:
        contents[LEXICON_FILE] = pack_lexicon(lexicon)
    if verifier is not None:
        contents[GRAPH_FILE] = export_verifier(verifier.verifier, work)
        contents[TOKENS_FILE] = render_tokens(verifier.tokenizer)
        with torch.no_grad():
            heard = [parts.audio(torch.from_numpy(LogMel()(c)[None]))[3][0] for c in contexts[:_MEASURED]]
        figures |= verifier_parity(verifier, work, heard)
    spec = {
        "name": "compact",
        "context_samples": CONTEXT_SAMPLES,
        "frame_samples": FRAME_SAMPLES,
        "feature_width": parts.audio.head.characters.in_features,
        "dim": parts.spans.text.out.out_features,
        **facts,
        "parity": figures,
        "golden": golden_vectors(files),
        "calibration": (calibration or uncalibrated()).to_json(),
    }
    write_model_folder(target, contents, spec)
