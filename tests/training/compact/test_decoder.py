import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from streaming.spotting.verifier import END, START
from training.compact.decoder import read_decoder
from training.compact.recipe import StageError


def test_a_verifier_begins_as_whispers_decoder(whole_whisper: Path, whisper_tokenizer: dict[str, Any]) -> None:
    """Shape and weights are the folder's; START is what Whisper's text stands after, END what it ends with."""
    part = read_decoder(whole_whisper, 31)
    shape = part.verifier.config
    assert (shape.vocabulary, shape.width, shape.layers, shape.heads, shape.inner) == (33, 32, 1, 2, 64)
    weights = load_file(whole_whisper / "model.safetensors")
    embeddings = weights["model.decoder.embed_tokens.weight"]
    old = {token["content"]: token["id"] for token in whisper_tokenizer["added_tokens"]}
    old |= whisper_tokenizer["model"]["vocab"]
    numbers = part.tokenizer["model"]["vocab"] | {"<|notimestamps|>": START, "<|endoftext|>": END}
    for name, number in numbers.items():
        assert torch.equal(part.verifier.embed_tokens.weight[number], embeddings[old[name]])
    assert torch.equal(part.verifier.state_dict()["layers.0.fc1.weight"], weights["model.decoder.layers.0.fc1.weight"])


def without_tokenizer(folder: Path) -> None:
    """A folder with weights only."""
    (folder / "tokenizer.json").unlink()


def with_other_tokenizer(folder: Path) -> None:
    """The tokenizer of a model of texts."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:1]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


def with_larger_tokenizer(folder: Path) -> None:
    """A token has a number beyond the embeddings."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["vocab"]["q"] = 5000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


def with_a_weight_less(folder: Path) -> None:
    """Half a decoder."""
    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layer_norm.weight"]
    save_file(weights, folder / "model.safetensors")


def with_half_a_file(folder: Path) -> None:
    """A broken download."""
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_tokenizer, r"lacks tokenizer\.json, which"),
        (with_other_tokenizer, r"has no <\|notimestamps\|>"),
        (with_larger_tokenizer, "IndexError"),
        (with_a_weight_less, r"layer_norm\.weight"),
        (with_half_a_file, "SafetensorError"),
    ],
)
def test_what_is_wrong_is_named(
    whole_whisper: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    """A folder that lacks something, or whose files are of different models, is named with the fault and the cure."""
    folder = tmp_path / "spoilt"
    shutil.copytree(whole_whisper, folder)
    spoil(folder)
    with pytest.raises(StageError, match=rf"spoilt .*{message}.*openai/whisper-base") as raised:
        read_decoder(folder, 31)
    assert "\n" not in str(raised.value)


def test_an_encoder_alone_is_not_enough(tiny_whisper: tuple[Path, WhisperEncoder]) -> None:
    """Of the encoder's folder, which all other stages do with, both things that lack are named."""
    with pytest.raises(StageError, match=r"lacks weights model\.decoder\.\* and tokenizer\.json.*openai/whisper-base"):
        read_decoder(tiny_whisper[0], 31)
