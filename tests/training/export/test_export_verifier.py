import math
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from streaming.spotting.verifier import END, START
from training.export.verifier import (
    VerifierPart,
    export_verifier,
    lower_case_tokens,
    read_tokens,
    verifier_parity,
)
from training.models.verifier import SpanVerifier, VerifierConfig

WIDTH = 48
TEXTS = st.lists(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=12), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def part(whisper_tokenizer: dict[str, Any]) -> VerifierPart:
    """A random verifier over the lower-case part of the tokenizer; one row of its embeddings is zero."""
    small, kept = lower_case_tokens(whisper_tokenizer, 1000, 5, 6)
    torch.manual_seed(4)
    verifier = SpanVerifier(VerifierConfig(len(kept), WIDTH, layers=2, heads=2, inner=96)).eval()
    verifier.embed_tokens.weight.data.mul_(0.3)[END] = 0.0
    return VerifierPart(verifier, small)


@pytest.fixture(scope="module")
def graphs(part: VerifierPart, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its graphs."""
    folder = tmp_path_factory.mktemp("graphs")
    assert export_verifier(part.verifier, folder) == folder / "verifier.onnx"
    return folder


def test_only_small_letters_stay(whisper_tokenizer: dict[str, Any]) -> None:
    """What is kept writes nothing but a to z and apostrophes, and each kept merge makes a token of two others."""
    small, _ = lower_case_tokens(whisper_tokenizer, 1000, 5, 6)
    vocabulary, merges = small["model"]["vocab"], small["model"]["merges"]
    assert {"Ġdog", "Ġcat", "ilk", "rope", "'s", "q", "Ġ", "'"} < vocabulary.keys()
    assert all(re.fullmatch("Ġ?[a-z']*", name) for name in vocabulary)
    assert all({left, right, left + right} <= vocabulary.keys() for left, right in merges)
    # "ro pe" comes before its second part does, and counts only where it comes again.
    assert merges.index(["p", "e"]) < merges.index(["ro", "pe"])
    assert merges.count(["ro", "pe"]) == 1


def test_old_numbers_are_of_the_same_tokens(whisper_tokenizer: dict[str, Any]) -> None:
    """START and END come first; every other new number leads to the old number of the same token."""
    small, kept = lower_case_tokens(whisper_tokenizer, 1000, 5, 6)
    assert (kept[START], kept[END]) == (5, 6)
    old = whisper_tokenizer["model"]["vocab"]
    assert {name: kept[number] for name, number in small["model"]["vocab"].items()} == {
        name: old[name] for name in small["model"]["vocab"]
    }
    assert sorted(small["model"]["vocab"].values()) == list(range(2, len(kept)))


@given(TEXTS, st.sampled_from([0, 30, 34, 1000]))
def test_any_text_is_written_without_loss(whisper_tokenizer: dict[str, Any], words: list[str], most: int) -> None:
    """However few tokens stay, any words of the letters are read back as they were written."""
    small, kept = lower_case_tokens(whisper_tokenizer, most, 5, 6)
    tokenizer, text = read_tokens(small), f" {' '.join(words)}"
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == text
    assert all(END < number < len(kept) for number in ids)


@given(TEXTS.filter(lambda words: not any("'" in word for word in words)))
def test_small_letters_are_written_as_before(whisper_tokenizer: dict[str, Any], words: list[str]) -> None:
    """While no token is left out, a text has the tokens that the whole tokenizer gives it."""
    small, kept = lower_case_tokens(whisper_tokenizer, 1000, 5, 6)
    text = f" {' '.join(words)}"
    old = read_tokens(whisper_tokenizer).encode(text).ids
    assert [kept[number] for number in read_tokens(small).encode(text).ids] == old


def test_commonest_tokens_stay(whisper_tokenizer: dict[str, Any]) -> None:
    """Where few may stay, these are the letters and what is merged first."""
    vocabulary = lower_case_tokens(whisper_tokenizer, 31, 5, 6)[0]["model"]["vocab"]
    assert vocabulary.keys() == {*"abcdefghijklmnopqrstuvwxyz'Ġ", "Ġt", "Ġd", "og"}


def test_copies_without_the_first_merge_are_the_same(whisper_tokenizer: dict[str, Any]) -> None:
    """Some copies lack the merge of a blank and t, some write merges as pairs: nothing changes."""
    model = whisper_tokenizer["model"]
    assert model["merges"][0] == "Ġ t"
    copies = model["merges"][1:], [merge.split(" ") for merge in model["merges"]]
    whole = lower_case_tokens(whisper_tokenizer, 1000, 5, 6)
    for merges in copies:
        copied = whisper_tokenizer | {"model": model | {"merges": merges}}
        assert lower_case_tokens(copied, 1000, 5, 6) == whole


def test_parity_is_measured_on_both_graphs(part: VerifierPart, graphs: Path) -> None:
    """The figures of the folder: int8 is further from torch than fp32, and both follow another verifier's numbers."""
    torch.manual_seed(1)
    contexts = [torch.randn(50, WIDTH) for _ in range(2)]
    figures = verifier_parity(part, graphs, contexts)
    assert figures.keys() == {"verifier_fp32", "verifier_int8"}
    exact, close = figures["verifier_fp32"], figures["verifier_int8"]
    assert 0 < exact["mean_of_log"] < close["mean_of_log"] < 0.1
    assert 0 < exact["largest"] < 0.01
    torch.manual_seed(99)
    other = SpanVerifier(part.verifier.config).eval()
    wrong = verifier_parity(VerifierPart(other, part.tokenizer), graphs, contexts)
    assert wrong["verifier_fp32"]["mean_of_log"] > 1


def test_all_weights_are_int8(part: VerifierPart, graphs: Path) -> None:
    """No matrix but the positions is left in float: neither the embeddings that are read nor those that are compared."""
    stored = onnx.load(str(graphs / "verifier.onnx")).graph.initializer
    largest = max(math.prod(tensor.dims) for tensor in stored if tensor.data_type == onnx.TensorProto.FLOAT)
    assert largest == part.verifier.config.positions * WIDTH < WIDTH * WIDTH


def test_tokens_are_what_the_stream_reads(part: VerifierPart) -> None:
    """The rendered tokenizer gives a text no token around it: START and END are put there by who asks."""
    tokenizer: Tokenizer = read_tokens(part.tokenizer)
    assert tokenizer.encode(" dog cat").tokens == ["Ġdog", "Ġcat"]
