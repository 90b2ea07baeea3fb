"""A trained retriever -> the model folder that `termcue listen` runs: graphs, tokenizer, background, figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from streaming.encoding.encoded_context import EncodedContext
from streaming.errors import ModelError, SettingError
from streaming.events import SAMPLE_RATE
from streaming.features import LogMel
from streaming.model_folder import ModelFolder
from streaming.spans import FRAME_SAMPLES
from streaming.tokens import TOKENIZER
from streaming.words.lexicon import LEXICON_FILE
from training.export.background import background_files, span_tower
from training.export.folder import uncalibrated, write_model_folder
from training.export.graphs import export_graph, gather_weights, parity, quantise, run_graph
from training.export.parts import TEXTS, Format, Part, audio_part, spans_part, text_part
from training.export.tokenizer import tokenizer_file
from training.models.retriever import DualEncoder
from training.models.text_towers import LONGEST_TEXT, CharacterText

Floats = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Told which part is being written, how many are, and of how many."""
_CONTEXTS_AT_ONCE = 8
# ONNX Runtime's quantiser wants a graph above this in several files; protobuf ends at 2 GiB.
_LARGE = 3 * 2**29
_TOO_FAR = 0.01


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How a retriever is written.

    Attributes:
        number_format: of the towers; None for what the audio tower is best served in (`best_format`).
        name: of the model; begins its encoder id.
        context_samples: what the encoder hears at once, whole frames.
        largest_graph: weights of more bytes than this lie beside their graph and are never read into memory whole.
        started_from: the calibrated folder that the training began with: its calibration is a fair start, since the
            scores still mean nearly the same; None: the folder is uncalibrated.
    """

    number_format: Format | None = None
    name: str = "retriever"
    context_samples: int = 48_000
    largest_graph: int = 256 * 2**20
    started_from: ModelFolder | None = None


def best_format(model: DualEncoder) -> Format:
    """int8 for a small tower on the CPU; fp16 for that of Qwen2-Audio, which wants a GPU."""
    return "fp16" if isinstance(model.audio.encoder, Qwen2AudioEncoder) else "int8"


def export_retriever(
    model: DualEncoder,
    target: Path,
    base: ModelFolder,
    contexts: Sequence[Floats],
    facts: Mapping[str, Any] | None = None,
    settings: ExportSettings | None = None,
    progress: Progress = lambda part, done, total: None,
) -> dict[str, dict[str, float]]:
    """Write the model folder of a retriever; the model itself is not changed.

    Args:
        model: with its pretrained weights, adapters and all.
        target: replaced when everything is written.
        base: gives the grapheme-to-phoneme graph.
        contexts: speech that training never heard, float32[context_samples] each: background and parity.
        facts: `licence` and `provenance` for the spec, and whatever else is to be told; None: what the model knows.
        settings: None for the defaults.
        progress: told before each part is written.

    Returns:
        The parity figures, as they stand in the spec.

    Raises:
        SettingError: contexts of another length, or none.
        ModelError: a graph computes something else than the model.
    """
    settings = settings or ExportSettings()
    _check_contexts(contexts, settings.context_samples)
    model.train(False)
    numbers = settings.number_format or best_format(model)
    makers: dict[str, Callable[[], Part]] = {
        "graph audio": lambda: audio_part(model, contexts[:_CONTEXTS_AT_ONCE], numbers),
        "graph spans": lambda: spans_part(model, numbers),
        "graph text": lambda: text_part(model, numbers),
    }
    parts = len(makers) + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}-graphs-", dir=target.parent) as work:
        files: dict[str, Path | bytes] = {}
        figures: dict[str, dict[str, float]] = {}
        for done, (name, make) in enumerate(makers.items()):
            progress(name, done, parts)
            part = make()
            files |= {path.name: path for path in write_part(part, Path(work), settings.largest_graph)}
            figures[f"{part.name}_{part.number_format}"] = compare(part, Path(work) / f"{part.name}.onnx")
        progress("background", len(makers), parts)
        files |= _texts_and_sounds(model, base, Path(work), contexts)
        golden = _golden_vectors(model, Path(work), settings.context_samples)
        write_model_folder(target, files, _spec(model, base, settings, facts, figures, golden))
    return figures


def write_part(part: Part, folder: Path, largest: int) -> list[Path]:
    """Trace a part into `folder`; returns NAME.onnx and, where it is large, NAME.onnx.data."""
    module = part.make()
    size = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    with TemporaryDirectory(dir=folder) as scratch:
        traced, final = Path(scratch) / "traced.onnx", folder / f"{part.name}.onnx"
        examples = {name: value[:2] for name, value in part.inputs.items()}
        export_graph(module, examples, traced, part.outputs, part.axes)
        del module
        if part.number_format == "int8":
            small = Path(scratch) / "int8.onnx"
            quantise(traced, small, is_large=size > _LARGE)
            traced = small
        return gather_weights(traced, final, largest)


def compare(part: Part, graph: Path) -> dict[str, float]:
    """Figures of a written graph against the model.

    Raises:
        ModelError: numbers that are not finite, or an fp32 graph that is off.
    """
    found = run_graph(graph, {name: value.numpy() for name, value in part.inputs.items()})
    if not all(np.isfinite(value).all() for value in found):
        raise ModelError(
            f"{graph.name} gives numbers that are not finite at {part.number_format}; export it at --precision fp32"
        )
    if part.name == "audio":
        figures = asdict(parity(part.expected, found))
    else:
        cosines = (part.expected[0] * found[0]).sum(axis=-1)
        figures = {"largest": float(np.abs(found[0] - part.expected[0]).max()), "least_cosine": float(cosines.min())}
    if part.number_format == "fp32" and figures["largest"] > _TOO_FAR:
        raise ModelError(
            f"{graph.name} differs from the model by {figures['largest']:.3g}; this model cannot be traced"
        )
    return figures


def _check_contexts(contexts: Sequence[Floats], samples: int) -> None:
    if samples < 2 * FRAME_SAMPLES or samples % FRAME_SAMPLES:
        raise SettingError(f"a context of {samples} samples is not whole frames; give a multiple of {FRAME_SAMPLES}")
    lengths = {len(context) for context in contexts}
    if lengths != {samples}:
        raise SettingError(
            f"the background needs contexts of {samples} samples ({samples / SAMPLE_RATE:g} s); given: "
            f"{', '.join(map(str, sorted(lengths))) or 'none'}"
        )


def _texts_and_sounds(
    model: DualEncoder, base: ModelFolder, work: Path, contexts: Sequence[Floats]
) -> dict[str, Path | bytes]:
    if "g2p.onnx" not in base.contents:
        raise ModelError(f"the model folder {base.path} has no g2p.onnx; name another with --model")
    shared = {"g2p.onnx", LEXICON_FILE} & base.contents.keys()
    files: dict[str, Path | bytes] = {name: base.contents[name] for name in shared}
    if not isinstance(model.text, CharacterText):
        samples = (*TEXTS, "o'brien", "term " * LONGEST_TEXT)
        files[TOKENIZER] = tokenizer_file(model.text, model.text.tokenizer, samples)
    log_mel, encoded = LogMel(model.mel_bins), []
    for first in range(0, len(contexts), _CONTEXTS_AT_ONCE):
        mel = np.stack([log_mel(c) for c in contexts[first : first + _CONTEXTS_AT_ONCE]])
        encoded += [EncodedContext(*rows) for rows in zip(*run_graph(work / "audio.onnx", {"mel": mel}), strict=True)]
    return files | background_files(encoded, span_tower(work / "spans.onnx"))


def _golden_vectors(model: DualEncoder, work: Path, samples: int) -> dict[str, list[float]]:
    """The first five numbers of the graphs on a fixed input, for tests of every later build."""
    tone = np.sin(2 * np.pi * 440 * np.arange(samples) / SAMPLE_RATE).astype(np.float32) * 0.1
    frames = run_graph(work / "audio.onnx", {"mel": LogMel(model.mel_bins)(tone)[None]})[2]
    tokens = {name: value.numpy() for name, value in model.text.tokenise(["golden vector"]).items()}
    text = run_graph(work / "text.onnx", tokens)[0]
    middle = frames[0, samples // FRAME_SAMPLES // 2]
    return {name: [round(float(x), 4) for x in row[:5]] for name, row in (("audio_frames", middle), ("text", text[0]))}


def _spec(
    model: DualEncoder,
    base: ModelFolder,
    settings: ExportSettings,
    facts: Mapping[str, Any] | None,
    figures: Mapping[str, Mapping[str, float]],
    golden: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    began = settings.started_from
    return {
        "name": settings.name,
        "context_samples": settings.context_samples,
        "frame_samples": FRAME_SAMPLES,
        "feature_width": model.alignment.characters.in_features,
        "dim": model.dim,
        "mel_bins": model.mel_bins,
        "text_tokens": "letters" if isinstance(model.text, CharacterText) else "subwords",
        **(facts or facts_of(model, base)),
        "parity": figures,
        "golden": golden,
        "calibration": (uncalibrated() if began is None else began.calibration).to_json(),
        **({} if began is None else {"calibration_from": began.encoder_id}),
    }


def facts_of(model: DualEncoder, base: ModelFolder) -> dict[str, Any]:
    """Licence and provenance as far as a model knows them; what it does not know, it says."""
    parts: list[tuple[str, PreTrainedModel]] = [("audio tower", model.audio.encoder)]
    if not isinstance(model.text, CharacterText):
        parts.append(("text tower", model.text.model))
    provenance = [
        {"what": what, "source": body.config.name_or_path or "trained from nothing", "licence": "see its source"}
        for what, body in parts
    ]
    g2p = {"what": "grapheme-to-phoneme model", "source": base.encoder_id, "licence": base.spec.licence}
    return {"licence": "not stated; see the sources", "provenance": [*provenance, g2p]}
