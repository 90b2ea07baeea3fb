"""The stages that make the compact retriever, one function each, from what earlier ones left in the work folder.

Every stage goes on where it was stopped: trainings from their last checkpoint, caches from the last whole folder.
"""

import itertools
import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streaming.durable import new_folder
from streaming.model_folder import ModelFolder
from streaming.term_index import TermIndex
from training.compact.cache import CachedFrames, read_cache, write_cache, write_features
from training.compact.decoder import read_decoder
from training.compact.export import CONTEXT_SAMPLES, CompactParts, export_compact
from training.compact.finished_parts import load_part, load_verifier_weights
from training.compact.g2p import GraphemeToPhoneme, greedy, read_dictionary, train_g2p
from training.compact.learning import part_file
from training.compact.lexicon import make_lexicon
from training.compact.recipe import CompactRecipe, Materials, StageError, real_speech, spoken_by_machine
from training.compact.targets import Lexicon
from training.compact.train_alignment import AlignmentModel, BatchSampler, train_alignment
from training.compact.train_spans import SpanModel, SpanSampler, train_spans
from training.compact.train_verifier import CropSampler, VerifierModel, train_verifier
from training.compact.windows import Window, WindowConfig, make_windows
from training.corpus.manifest import Utterance
from training.evaluation.collect import collect, read_stream
from training.evaluation.fit_streams import CalibrationError, fit_streams
from training.export.folder import recalibrate
from training.export.graphs import AudioGraph
from training.export.verifier import VerifierPart, read_tokens
from training.models.heads import AlignmentHead
from training.models.whisper import LowerTower, UpperTower, split_whisper_encoder
from training.speech.augmentation import AugmentationConfig

Stage = Callable[[Materials, CompactRecipe], None]
_LOG = logging.getLogger(__name__)
_HELD_OUT = "held_out"
_CONTEXT = WindowConfig(lengths=(CONTEXT_SAMPLES // 320,), weights=(1.0,))
_LONGEST_WORD = 64


def pronouncing(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage g2p: the pronouncing dictionary -> the grapheme-to-phoneme model."""
    train_g2p(materials.dictionary, materials.work / "g2p", recipe.g2p)


def load_g2p(materials: Materials, recipe: CompactRecipe) -> GraphemeToPhoneme:
    """The finished grapheme-to-phoneme model. Raises StageError before the stage g2p has ended."""
    model = GraphemeToPhoneme(recipe.g2p)
    epochs = load_part(model, part_file(materials.work / "g2p", "g2p"), "g2p")
    if epochs < recipe.g2p.epochs:
        raise StageError(f"the stage g2p stopped after epoch {epochs} of {recipe.g2p.epochs}: run it again")
    return model.eval()


def caching(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage cache: real and synthetic speech -> windows through the frozen lower tower."""
    lower, _ = split_whisper_encoder(materials.whisper, recipe.upper_layers)
    training, held_out = real_speech(materials, recipe)
    _cache(materials, lower, _HELD_OUT, make_windows(held_out, _CONTEXT, None))
    _cache(materials, lower, "clean", make_windows(training, WindowConfig(), None))
    for copy in range(1, recipe.augmented_copies + 1):
        changed = make_windows(training, WindowConfig(), AugmentationConfig(), copy)
        _cache(materials, lower, f"augmented{copy}", changed)
    if materials.synthetic is not None:
        spoken = spoken_by_machine(materials.synthetic)
        _cache(materials, lower, "synthetic0", make_windows(spoken, WindowConfig(), None))
        _cache(materials, lower, "synthetic1", make_windows(spoken, WindowConfig(), AugmentationConfig(), 1))


def _cache(materials: Materials, lower: LowerTower, name: str, windows: Iterator[Window]) -> None:
    folder = materials.work / "cache" / name
    if folder.exists():
        return
    with new_folder(folder, StageError) as staging:
        count = write_cache(staging, lower, windows)
    _LOG.info("%s: %d windows", folder, count)


def _parts(materials: Materials, kind: str) -> list[Path]:
    folders = sorted(p for p in (materials.work / kind).glob("[!.]*") if p.name != _HELD_OUT)
    if not folders:
        raise StageError(f"{materials.work / kind} is empty: run the stage {kind} first")
    return folders


def lexicon_of(dictionary: Path, g2p: GraphemeToPhoneme, words: Iterable[str]) -> Lexicon:
    """Pronunciations of the words, by the model where the dictionary has none."""

    def pronounce(some: Sequence[str]) -> list[tuple[str, ...]]:
        return [found or ("AH",) for found in greedy(g2p, [word[:_LONGEST_WORD] for word in some])]

    lexicon = Lexicon(dictionary, pronounce)
    lexicon.add(words)
    return lexicon


def aligning(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage align: cached frames -> the upper tower and the alignment head, averaged."""
    g2p, width = load_g2p(materials, recipe), recipe.head.frame_width
    blocks = list(read_cache(_parts(materials, "cache"), width))
    held_out = list(read_cache([materials.work / "cache" / _HELD_OUT], width))
    said = (word for block in blocks + held_out for window in block.windows for word, _, _ in window.words)
    lexicon = lexicon_of(materials.dictionary, g2p, said)
    torch.manual_seed(recipe.alignment.seed)
    model, config = _alignment_model(materials, recipe), recipe.alignment
    samplers = BatchSampler(blocks, lexicon, config), BatchSampler(held_out, lexicon, config)
    train_alignment(model, *samplers, materials.work / "align", config)


def _alignment_model(materials: Materials, recipe: CompactRecipe) -> AlignmentModel:
    _, upper = split_whisper_encoder(materials.whisper, recipe.upper_layers)
    return AlignmentModel(upper, AlignmentHead(recipe.head))


def load_alignment(materials: Materials, recipe: CompactRecipe) -> AlignmentModel:
    """The averaged alignment model. Raises StageError before the stage align has ended."""
    model = _alignment_model(materials, recipe)
    load_part(model, part_file(materials.work / "align", "alignment"), "align")
    return model.eval()


def verifying(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage verify: cached frames and Whisper's decoder -> the verifier of single spans, averaged."""
    config = recipe.verifier
    part = read_decoder(materials.whisper, config.tokens)
    model = VerifierModel(load_alignment(materials, recipe).tower, part.verifier)
    tokenizer, positions = read_tokens(part.tokenizer), part.verifier.config.positions

    def sampler(folders: Sequence[Path]) -> CropSampler:
        return CropSampler(list(read_cache(folders, recipe.head.frame_width)), tokenizer, positions, config)

    training, held_out = sampler(_parts(materials, "cache")), sampler([materials.work / "cache" / _HELD_OUT])
    train_verifier(model, training, held_out, materials.work / "verify", config)


def load_verifier(materials: Materials, recipe: CompactRecipe, tower: UpperTower) -> VerifierPart | None:
    """The averaged verifier; None before the stage verify. Raises StageError where it has learnt on another `tower`."""
    path = part_file(materials.work / "verify", "verifier")
    if not path.exists():
        return None
    part = read_decoder(materials.whisper, recipe.verifier.tokens)
    load_verifier_weights(VerifierModel(deepcopy(tower), part.verifier), path, "verify")
    return part


def extracting(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage features: cached frames -> the finished encoder's features, in the same form."""
    model = load_alignment(materials, recipe)
    for source in _parts(materials, "cache"):
        target = materials.work / "features" / source.name
        if target.exists():
            continue
        with new_folder(target, StageError) as staging:
            write_features(staging, read_cache([source], recipe.head.frame_width), model, recipe.head.width)
        _LOG.info("%s: written", target)


def spanning(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage spans: features -> the span tower and the text tower."""
    blocks: list[CachedFrames] = list(read_cache(_parts(materials, "features"), recipe.head.width))
    words = sorted({word for word, _ in read_dictionary(materials.dictionary)})
    unspoken = words
    torch.manual_seed(recipe.spans.seed)
    model = _span_model(recipe)
    train_spans(model, SpanSampler(blocks, recipe.spans), unspoken, materials.work / "spans", recipe.spans)


def _span_model(recipe: CompactRecipe) -> SpanModel:
    return SpanModel(6 * recipe.head.width, recipe.dim, recipe.spans.first_temperature)


def exporting(materials: Materials, recipe: CompactRecipe, model: Path, facts: Mapping[str, Any]) -> None:
    """Stage export: everything trained -> the model folder `model`, uncalibrated."""
    lower, _ = split_whisper_encoder(materials.whisper, recipe.upper_layers)
    alignment, spans = load_alignment(materials, recipe), _span_model(recipe)
    load_part(spans, part_file(materials.work / "spans", "spans"), "spans")
    parts = CompactParts(AudioGraph(lower, alignment.tower, alignment.head), spans, load_g2p(materials, recipe))
    _, held_out = real_speech(materials, recipe)
    contexts = choose_contexts(held_out, recipe.background)
    lexicon = None
    if materials.language_model is not None:
        lexicon = make_lexicon(materials.dictionary, materials.language_model, recipe.lexicon)
    verifier = load_verifier(materials, recipe, alignment.tower)
    export_compact(model, parts, contexts, materials.work / "export", facts, lexicon=lexicon, verifier=verifier)


def choose_contexts(held_out: Sequence[Utterance], counts: Mapping[str, int]) -> list[NDArray[np.float32]]:
    """Contexts of held-out speech, so many of each collection; of all alike where none of these is there."""
    rng = random.Random(3)
    by_collection = _contexts(held_out)
    if not by_collection.keys() & counts.keys():
        counts = dict.fromkeys(by_collection, sum(counts.values()) // max(1, len(by_collection)))
    chosen = []
    for collection, count in counts.items():
        some = by_collection.get(collection, [])
        rng.shuffle(some)
        chosen += some[:count]
    if not chosen:
        raise StageError("the held-out speakers say less than one context of 3 s: hold out more with --hold-out")
    rng.shuffle(chosen)
    return chosen


def every_context(held_out: Sequence[Utterance]) -> list[NDArray[np.float32]]:
    """All of the held-out speech, one context after the other."""
    return list(itertools.chain.from_iterable(_contexts(held_out).values()))


def _contexts(held_out: Sequence[Utterance]) -> dict[str, list[NDArray[np.float32]]]:
    """By collection."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for window in make_windows(held_out, _CONTEXT, None):
        found.setdefault(window.collection, []).append(window.audio)
    return found


def calibrating(materials: Materials, model: Path, streams: Mapping[Path, Sequence[Path]]) -> None:
    """Stage calibrate: long development streams, each with its index folders -> the calibration inside `model`."""
    folder = ModelFolder.load(model)
    evidence = []
    for path, indexes in streams.items():
        stream = read_stream(path, materials.data.parent)
        loaded = {str(index): TermIndex.load(index, folder.encoder_id) for index in indexes}
        evidence += collect(stream, folder, loaded)
        _LOG.info("%s: heard with %d glossaries", stream.name, len(loaded))
    try:
        fitted = fit_streams(evidence)
    except CalibrationError as error:
        raise StageError(str(error)) from error
    recalibrate(model, fitted.calibration, fitted.report())
    _LOG.info("%s", json.dumps(fitted.report()["streams"], indent=1))
