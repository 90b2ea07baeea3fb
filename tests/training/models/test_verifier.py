from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from streaming.spotting.verifier import END, START
from training.models.verifier import FAR_BELOW, SpanVerifier, VerifierConfig, from_whisper

VOCABULARY, WIDTH = 24, 16
# Start of transcript, language and task come before the token that text stands after.
PROMPT = 3
SHAPE = VerifierConfig(VOCABULARY, WIDTH, layers=2, heads=2, inner=32, positions=12)


@pytest.fixture(scope="module")
def whisper() -> WhisperForConditionalGeneration:
    """A random Whisper whose decoder has 2 layers."""
    torch.manual_seed(5)
    config = WhisperConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        init_std=0.3,
        max_target_positions=20,
        pad_token_id=END,
        bos_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=START,
    )
    config._attn_implementation = "eager"
    model = WhisperForConditionalGeneration(config)
    model.train(False)
    return model


def weights_of(whisper: WhisperForConditionalGeneration) -> dict[str, Tensor]:
    """As the hub's file holds them."""
    return {name: w for name, w in whisper.state_dict().items() if name != "proj_out.weight"}


@pytest.fixture(scope="module")
def verifier(whisper: WhisperForConditionalGeneration) -> SpanVerifier:
    """Its decoder with the whole vocabulary in its own order."""
    return from_whisper(weights_of(whisper), torch.arange(VOCABULARY), SHAPE).eval()


@pytest.fixture
def heard() -> tuple[Tensor, Tensor, Tensor]:
    """Frames of three contexts, a span in each, and three texts of lengths 4, 2 and 0 with their ends."""
    torch.manual_seed(6)
    outside = torch.full((3, 20), FAR_BELOW)
    for row, (first, last) in enumerate(((0, 9), (5, 20), (11, 12))):
        outside[row, first:last] = 0.0
    tokens = [[START, 7, 8, 7, 9, END], [START, 20, 3, END, END, END], [START, END, END, END, END, END]]
    return torch.randn(3, 20, WIDTH), outside, torch.tensor(tokens)


def logits_of(whisper: WhisperForConditionalGeneration, frames: Tensor, tokens: Tensor) -> Tensor:
    """Logits of transformers [n, l, vocabulary] after each of `tokens`, with a prompt before that is not seen."""
    prompt = torch.full((len(tokens), PROMPT), 2)
    decoded: Any = whisper.model.decoder(
        input_ids=torch.cat([prompt, tokens], dim=1),
        attention_mask=torch.cat([torch.zeros_like(prompt), torch.ones_like(tokens)], dim=1),
        encoder_hidden_states=frames,
        use_cache=False,
    )
    logits: Tensor = whisper.proj_out(decoded.last_hidden_state[:, PROMPT:])
    return logits


@torch.no_grad()
def test_it_is_whispers_decoder(
    whisper: WhisperForConditionalGeneration, verifier: SpanVerifier, heard: tuple[Tensor, Tensor, Tensor]
) -> None:
    """From Whisper's fourth place on, with nothing before, the log-probabilities are transformers' own on the span."""
    frames, outside, tokens = heard
    found = verifier(frames, outside, tokens)
    for row, said in enumerate((5, 3, 1)):
        span = frames[row : row + 1, outside[row] == 0]
        logits = logits_of(whisper, span, tokens[row : row + 1, :said])[0].log_softmax(dim=1)
        expected = logits.gather(1, tokens[row, 1 : said + 1, None])[:, 0]
        torch.testing.assert_close(found[row, :said], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_smaller_vocabulary_shares_all_probability(
    whisper: WhisperForConditionalGeneration, heard: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Of the tokens that are kept, by their new numbers, the probabilities are Whisper's, scaled to a sum of 1."""
    frames, outside, _ = heard
    kept = torch.tensor([9, 4, 17, 2, 20])
    shape = VerifierConfig(len(kept), WIDTH, layers=2, heads=2, inner=32, positions=12)
    verifier = from_whisper(weights_of(whisper), kept, shape).eval()
    tokens = torch.tensor([[0, 3, 4, 2, 1]])
    logits = logits_of(whisper, frames[1:2, outside[1] == 0], kept[tokens[:, :-1]])[0][:, kept]
    expected = logits.log_softmax(dim=1).gather(1, tokens[0, 1:, None])[:, 0]
    found = verifier(frames[1:2], outside[1:2], tokens)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_frames_outside_the_span_count_nothing(verifier: SpanVerifier, heard: tuple[Tensor, Tensor, Tensor]) -> None:
    """Other sounds there change not one bit, other sounds inside do."""
    frames, outside, tokens = heard
    before = verifier(frames, outside, tokens)
    other = torch.where(outside[:, :, None] == 0, frames, torch.randn_like(frames) * 50)
    assert torch.equal(verifier(other, outside, tokens), before)
    inside = torch.where(outside[:, :, None] == 0, frames + 1, frames)
    assert (verifier(inside, outside, tokens) != before).all()


@torch.no_grad()
def test_tokens_are_judged_by_those_before(verifier: SpanVerifier, heard: tuple[Tensor, Tensor, Tensor]) -> None:
    """Another token changes its own log-probability and those after it, and none before: padding counts nothing."""
    frames, outside, tokens = heard
    before = verifier(frames, outside, tokens)
    for place in range(1, tokens.shape[1]):
        other = tokens.clone()
        other[:, place] = 11
        after = verifier(frames, outside, other)
        assert torch.equal(after[:, : place - 1], before[:, : place - 1])
        assert (after[:, place - 1 :] != before[:, place - 1 :]).any(dim=0).all()


@torch.no_grad()
def test_spans_of_one_context_need_no_copies(verifier: SpanVerifier, heard: tuple[Tensor, Tensor, Tensor]) -> None:
    """One context for all spans gives what it gives repeated for each."""
    frames, outside, tokens = heard
    repeated = verifier(frames[:1].expand(3, -1, -1), outside, tokens)
    torch.testing.assert_close(verifier(frames[:1], outside, tokens), repeated, atol=1e-6, rtol=0)


def test_missing_weights_are_told(whisper: WhisperForConditionalGeneration) -> None:
    """A file that lacks a weight of the decoder, or has one of another shape, is refused by its name."""
    weights = weights_of(whisper)
    del weights["model.decoder.layers.1.fc2.bias"]
    with pytest.raises(RuntimeError, match=r"layers\.1\.fc2\.bias"):
        from_whisper(weights, torch.arange(VOCABULARY), SHAPE)
    wider = VerifierConfig(VOCABULARY, WIDTH, layers=2, heads=2, inner=64, positions=12)
    with pytest.raises(RuntimeError, match=r"fc1\.weight"):
        from_whisper(weights_of(whisper), torch.arange(VOCABULARY), wider)
