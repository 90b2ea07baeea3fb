"""Tiny models with random weights in the real formats, so that every path of the large ones runs in seconds.

The folders hold what the hub holds of the large model (config, sharded or single safetensors, processor, tokenizer) and
load by `from_pretrained`; nothing is downloaded to make them.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Tokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

_WORDS = "the filter network of a kalman neural signal and model term speech in learning is translation to an".split()
_PAD = "<|endoftext|>"
_SPECIAL = [_PAD, "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


@dataclass(frozen=True, slots=True)
class TinyShape:
    """Size of a tiny model; both halves have the same number of layers and heads."""

    audio_width: int = 64
    text_width: int = 64
    layers: int = 2
    heads: int = 4
    mel_bins: int = 128
    vocabulary: int = 512


def write_tiny_qwen2_audio(
    folder: Path, shape: TinyShape | None = None, *, seed: int = 0, words: Sequence[str] = _WORDS
) -> Path:
    """Write a random Qwen2-Audio; the tokenizer learns its merges from `words`. Returns the folder."""
    shape = shape or TinyShape()
    tokenizer = _qwen_tokenizer(words, shape.vocabulary)
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": shape.audio_width,
            "encoder_layers": shape.layers,
            "encoder_attention_heads": shape.heads,
            "encoder_ffn_dim": 4 * shape.audio_width,
            "num_mel_bins": shape.mel_bins,
            # At the 0.02 of large models the sound would drown in the positions of so few channels.
            "initializer_range": 0.08,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": shape.text_width,
            "intermediate_size": 2 * shape.text_width,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "max_position_embeddings": 512,
            "pad_token_id": tokenizer.pad_token_id,
        },
        audio_token_index=tokenizer.get_vocab()["<|AUDIO|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2AudioForConditionalGeneration(config)
    with torch.no_grad():
        positions = model.model.audio_tower.embed_positions.weight
        positions.copy_(0.1 * sinusoids(*positions.shape))
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=shape.mel_bins)  # type: ignore[no-untyped-call]
    Qwen2AudioProcessor(extractor, tokenizer).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def write_tiny_whisper(folder: Path, *, width: int = 32, layers: int = 2, mel_bins: int = 80, seed: int = 0) -> Path:
    """Write a random Whisper. Returns the folder."""
    config = WhisperConfig(
        d_model=width,
        encoder_layers=layers,
        encoder_attention_heads=2,
        encoder_ffn_dim=2 * width,
        num_mel_bins=mel_bins,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=width,
        vocab_size=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        WhisperForConditionalGeneration(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=mel_bins).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def write_tiny_encoder_lm(folder: Path, *, width: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """Write a random BERT with a tokenizer of its own. Returns the folder."""
    tokenizer = _qwen_tokenizer(_WORDS, TinyShape().vocabulary)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sinusoids(positions: int, width: int) -> Tensor:
    """The table of positions of Vaswani et al. (2017) as Whisper lays it out: float32[positions, width]."""
    half = width // 2
    rates = torch.exp(-math.log(10_000) / max(1, half - 1) * torch.arange(half))
    angles = torch.arange(positions)[:, None] * rates[None, :]
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def _qwen_tokenizer(words: Sequence[str], vocabulary: int) -> Qwen2Tokenizer:
    """Byte-level BPE as Qwen2 writes it: every text has tokens, known words have few."""
    learner = Tokenizer(BPE())
    learner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=ByteLevel.alphabet(), show_progress=False, min_frequency=1
    )
    # Every word once at a start and once after a space, as the byte level writes both.
    learner.train_from_iterator([text for word in words for text in (word, f" {word}")], trainer)
    bpe = json.loads(learner.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=bpe["vocab"],
        merges=[tuple(pair) for pair in bpe["merges"]],  # type: ignore[misc]
        pad_token=_PAD,
        extra_special_tokens=_SPECIAL[1:],
    )
