"""A trained verifier -> its int8 graph and the tokenizer that goes with it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from streaming.spotting.verifier import END, GRAPH_FILE, START
from training.export.graph_writer import GraphWriter
from training.export.graphs import run_graph
from training.export.products import DynamicProducts, FloatProducts
from training.export.verifier_writer import VerifierWriter
from training.models.verifier import FAR_BELOW, SpanVerifier

_LOWER_CASE = re.compile(r"Ġ?[a-z']*")
# Some copies of Whisper's tokenizer lack the first merge of all.
_FIRST_MERGE = ["Ġ", "t"]
_FULL_FILE = "verifier.fp32.onnx"
_EXAMPLE_TEXTS = (" glossary", " stochastic gradient descent", " ion", " saint giles")
_UNUSED = ("normalizer", "post_processor", "truncation", "padding")


def lower_case_tokens(tokenizer: dict[str, Any], most: int, start: int, end: int) -> tuple[dict[str, Any], list[int]]:
    """The part of a byte-pair tokenizer that writes a to z and apostrophes, its commonest tokens only.

    Args:
        tokenizer: a `tokenizer.json` of Whisper.
        most: tokens at most; START and END come to them.
        start: the old token that stands before every text.
        end: the one after it.

    Returns:
        the new `tokenizer.json`, and of each new token the old one.
    """
    old, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in merges]
    if _FIRST_MERGE not in pairs:
        pairs.insert(0, _FIRST_MERGE)
    names = sorted((name for name in old if len(name) == 1 and _LOWER_CASE.fullmatch(name)), key=old.__getitem__)
    have, kept = set(names), []
    # A merge stands after those that make its parts, so that what is kept can always be made.
    for left, right in pairs:
        whole = left + right
        if len(names) < most and left in have and right in have and _LOWER_CASE.fullmatch(whole) and whole in old:
            kept.append([left, right])
            if whole not in have:
                names.append(whole)
                have.add(whole)
    first = max(START, END) + 1
    vocabulary = {name: first + i for i, name in enumerate(names)}
    model = {**tokenizer["model"], "vocab": vocabulary, "merges": kept, "unk_token": None}
    small = {**tokenizer, "model": model, "added_tokens": [], **dict.fromkeys(_UNUSED)}
    return small, [start, end, *(old[name] for name in names)]


@dataclass(frozen=True, slots=True)
class VerifierPart:
    """A verifier and the `tokenizer.json` that goes with its vocabulary."""

    verifier: SpanVerifier
    tokenizer: dict[str, Any]


def export_verifier(verifier: SpanVerifier, work: Path) -> Path:
    """Write the graph in fp32 and in int8 into `work`; returns the int8 file.

    A verifier that was read back from an int8 graph gets the same integers and scales again.
    """
    full, small = work / _FULL_FILE, work / GRAPH_FILE
    for path in (full, small):
        graph = GraphWriter()
        products = FloatProducts(graph) if path == full else DynamicProducts(graph)
        VerifierWriter(graph, products, verifier).write()
        graph.save(path)
    return small


def verifier_parity(part: VerifierPart, work: Path, contexts: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """What the graphs that `export_verifier` wrote into `work` give for some texts, against torch.

    Args:
        part: as it was exported.
        work: the folder of the graphs.
        contexts: float32[t, width] each, frames of the encoder; t at least 24.

    Returns:
        of fp32 and int8 each: the largest difference of a token's probability, and the mean one of its logarithm.
    """
    rows = [[START, *one.ids, END] for one in read_tokens(part.tokenizer).encode_batch(list(_EXAMPLE_TEXTS))]
    tokens = torch.full((len(rows), max(map(len, rows))), END)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = torch.tensor(row)
    is_said = torch.arange(tokens.shape[1] - 1) < torch.tensor([len(row) - 1 for row in rows])[:, None]
    differences: dict[str, list[tuple[Tensor, Tensor]]] = {_FULL_FILE: [], GRAPH_FILE: []}
    for frames in contexts:
        first = torch.linspace(0, len(frames) - 24, len(rows)).long()[:, None]
        places = torch.arange(len(frames))
        outside = torch.where((places >= first) & (places < first + 24), 0.0, FAR_BELOW)
        inputs = {"frames": frames[None], "outside": outside, "tokens": tokens}
        with torch.no_grad():
            expected = part.verifier(*inputs.values())[is_said]
        for file, pairs in differences.items():
            [found] = run_graph(work / file, {name: value.numpy() for name, value in inputs.items()})
            pairs.append((expected, torch.from_numpy(found)[is_said]))
    return {
        f"verifier_{kind}": {
            "largest": max(float((a.exp() - b.exp()).abs().max()) for a, b in differences[file]),
            "mean_of_log": float(torch.cat([(a - b).abs() for a, b in differences[file]]).mean()),
        }
        for kind, file in (("fp32", _FULL_FILE), ("int8", GRAPH_FILE))
    }


def render_tokens(tokenizer: dict[str, Any]) -> bytes:
    """`verifier_tokens.json`."""
    return json.dumps(tokenizer, ensure_ascii=False).encode()


def read_tokens(tokenizer: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`."""
    return Tokenizer.from_str(render_tokens(tokenizer).decode())
