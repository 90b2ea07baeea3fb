from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn

from streaming.encoding.block_shape import BlockShape
from streaming.spotting.verifier import END
from training.compact.served_crops import ServedCropSampler, ServedVerifierConfig
from training.compact.served_speech import ServedSession
from training.compact.train_verifier import HeldOutNats, VerifierModel, VerifierSchedule, train_verifier
from training.corpus.manifest import ManifestError
from training.models.verifier import SpanVerifier, VerifierConfig

WORDS = ("dog", "cat", "sun")
WIDTH, POSITIONS, WORD_FRAMES = 8, 6, 10
BLOCKS = BlockShape(8, 8, 2)
SHORT = ServedVerifierConfig(
    VerifierSchedule(
        steps=6,
        batch_windows=8,
        crops_per_window=1,
        warmup_steps=2,
        rate=3e-3,
        average=0.5,
        checkpoint_every_s=1e9,
        held_out_windows=16,
        precision="fp32",
    ),
    longest=40,
)


def sessions() -> list[ServedSession]:
    """A word each 20 frames, of which every frame says which it is; provisional frames say so in the last number."""
    rng = np.random.default_rng(0)
    made = []
    for collection in ("c", "an4"):
        words = [(str(rng.choice(WORDS)), 20.0 * i + 5, 20.0 * i + 5 + WORD_FRAMES) for i in range(10)]
        frames = np.zeros((200, WIDTH), np.float16)
        for text, first, last in words:
            frames[int(first) : int(last), WORDS.index(text)] = 1
        steps = np.stack([frames[first : first + 16] for first in range(0, 184, 8)])
        steps[:, 8:, -1] = 1
        made.append(ServedSession(steps, tuple(words), collection, BLOCKS))
    return made


def sampler(config: ServedVerifierConfig = SHORT) -> ServedCropSampler:
    """A token for each word."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS, 2)}, unk_token="dog"))
    made.pre_tokenizer = Whitespace()
    return ServedCropSampler(sessions(), made, POSITIONS, config)


def test_crops_say_what_is_heard_in_them() -> None:
    """A crop says a word when more than six of its ten frames are in it, in their order, and then the end."""
    lengths = []
    for inputs, labels in sampler(replace(SHORT, noise=0.0))(0, 0):
        assert len(inputs.groups) == len(labels.is_said) <= SHORT.groups
        for group, is_said in zip(inputs.groups, labels.is_said, strict=True):
            frames, outside = group.cut(inputs.heard)
            for own, is_outside, tokens, said in zip(frames, outside, group.tokens, is_said, strict=True):
                own = own[is_outside == 0]
                lengths.append(len(own))
                counts = [int(own[:, which].sum()) for which in range(3)]
                texts = [WORDS[token - 2] for token in tokens[1:][said].tolist() if token != END]
                for which, word in enumerate(WORDS):
                    assert abs(counts[which] - WORD_FRAMES * texts.count(word)) <= 6 + 4 * texts.count(word)
                assert tokens[1:][said].tolist()[-1] == END
    assert 6 <= min(lengths) < max(lengths) <= SHORT.longest


def test_later_crops_are_less_provisional() -> None:
    """As soon as a stream asks, the end of a crop is provisional; a block later all of it is final."""

    def provisional(later_share: float) -> float:
        found = list(sampler(replace(SHORT, later_share=later_share, noise=0.0))(0, 0))
        frames = torch.cat([g.cut(i.heard)[0][g.cut(i.heard)[1] == 0] for i, _ in found for g in i.groups])
        return float(frames[:, -1].mean())

    # Here a block is as long as what is heard behind it.
    assert provisional(1.0) == 0 < provisional(0.5) < provisional(0.0) < 0.6


def test_a_step_has_its_own_batch() -> None:
    """Step n has the same crops and noise whether the run was broken before it or not; held-out ones are clean."""
    whole, rest = (
        [(inputs.heard.sum(), inputs.groups[0].tokens.tolist()) for inputs, _ in sampler()(0, skip)] for skip in (0, 4)
    )
    assert rest == whole[4:]
    assert len(whole) == len(sampler()) == 6
    first, again = (list(sampler().once()) for _ in "ab")
    assert len(first) == 2
    for (one, _), (other, _) in zip(first, again, strict=True):
        assert torch.equal(one.heard, other.heard)
        assert set(one.heard.unique().tolist()) == {0.0, 1.0}


def test_collections_have_weights() -> None:
    """One of weight 0 is not heard; where none has a weight, that is said."""
    of_one = sampler(replace(SHORT, collection_weights={"c": 0.0}))
    assert of_one._shares.tolist() == [0.0, 1.0]
    with pytest.raises(ManifestError, match="none of 2 sessions can teach"):
        sampler(replace(SHORT, collection_weights={"c": 0.0, "an4": 0.0}))


def test_training_goes_on_from_what_was_learnt(tmp_path: Path) -> None:
    """Held-out crops become likelier."""
    torch.manual_seed(1)
    verifier = SpanVerifier(VerifierConfig(len(WORDS) + 2, WIDTH, layers=1, heads=2, inner=32, positions=POSITIONS))
    model = VerifierModel(nn.Identity(), verifier)
    config = replace(SHORT, schedule=replace(SHORT.schedule, steps=60))
    judge = HeldOutNats(sampler(config))
    with torch.no_grad():
        before = judge(model, 0)["loss"]
    weights = train_verifier(model, sampler(config), sampler(config), tmp_path, config.schedule)
    model.load_state_dict(dict(weights))
    with torch.no_grad():
        assert judge(model.eval(), 0)["loss"] < 0.7 * before
