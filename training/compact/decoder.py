"""A folder with the whole of a pretrained Whisper -> its decoder as a verifier, with a lower-case vocabulary."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from training.compact.recipe import StageError
from training.export.verifier import VerifierPart, lower_case_tokens
from training.models.verifier import VerifierConfig, from_whisper

# The last token that Whisper is prompted with, and the one that it ends with.
_BEFORE, _AFTER = "<|notimestamps|>", "<|endoftext|>"
_CURE = "download the hub's openai/whisper-base into it (config.json, model.safetensors and tokenizer.json)"


def read_decoder(folder: Path, tokens: int) -> VerifierPart:
    """The pretrained decoder with the commonest `tokens` tokens of its vocabulary.

    Raises:
        StageError: the folder holds no decoder or no tokenizer, or they do not fit each other; it says what is wrong.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        weights = load_file(folder / "model.safetensors")
        has_decoder = any(name.startswith("model.decoder.") for name in weights)
        has_tokenizer = (folder / "tokenizer.json").is_file()
        lacking = ["weights model.decoder.*"] * (not has_decoder) + ["tokenizer.json"] * (not has_tokenizer)
        if lacking:
            raise StageError(f"{folder} lacks {' and '.join(lacking)}, which the stage verify begins with: {_CURE}")
        written = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        small, kept = lower_case_tokens(written, tokens, *(_number(written, name) for name in (_BEFORE, _AFTER)))
        shape = VerifierConfig(
            len(kept),
            config["d_model"],
            config["decoder_layers"],
            config["decoder_attention_heads"],
            config["decoder_ffn_dim"],
        )
        return VerifierPart(from_whisper(weights, torch.tensor(kept), shape), small)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise StageError(f"{folder} holds no whole Whisper of one piece ({error!r}): {_CURE}") from error


def _number(tokenizer: dict[str, Any], name: str) -> int:
    """Of a special token. Raises LookupError where there is none of the name."""
    for token in tokenizer["added_tokens"]:
        if token["content"] == name:
            return int(token["id"])
    raise LookupError(f"tokenizer.json has no {name}")
