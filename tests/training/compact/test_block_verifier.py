import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from streaming.encoding.block_shape import BlockShape
from streaming.spotting.verifier import END
from training.compact.block_features import log_mel
from training.compact.block_sessions import StoredSession
from training.compact.block_stretches import Shapes, StretchConfig, StretchPool
from training.compact.block_verifier import (
    Batch,
    BlockTower,
    BlockVerifierConfig,
    StretchCropSampler,
    StretchFrames,
    with_some_provisional,
)
from training.compact.train_blocks import heard_in_blocks
from training.compact.train_verifier import HeldOutNats, VerifierModel, VerifierSchedule, train_verifier
from training.models.block_encoder import BlockEncoder, BlockOutputs
from training.models.verifier import SpanVerifier, VerifierConfig

Make = Callable[[int], BlockEncoder]
WORDS = ("dog", "cat", "sun")
POSITIONS, REACH = 6, 24
SHORT = BlockVerifierConfig(
    schedule=VerifierSchedule(
        steps=7, batch_windows=3, crops_per_window=4, warmup_steps=3, checkpoint_every_s=1e9, held_out_windows=6
    ),
    stretches=StretchConfig(frames=64),
    shapes=Shapes(BlockShape(4, 4, 2), rights=((4, 0.5), (2, 0.5)), look_backs=((2, 1.0),)),
    reach=REACH,
    longest=30,
)


def sampler(sessions: list[StoredSession], config: BlockVerifierConfig = SHORT) -> StretchCropSampler:
    """A token for each word."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS, 2)}, unk_token="dog"))
    made.pre_tokenizer = Whitespace()
    return StretchCropSampler(StretchPool(sessions, config.stretches), made, POSITIONS, config)


def model(encoder: BlockEncoder) -> VerifierModel:
    """A small decoder over the frames of the encoder."""
    torch.manual_seed(21)
    verifier = SpanVerifier(VerifierConfig(len(WORDS) + 2, 16, layers=1, heads=2, inner=32, positions=POSITIONS))
    verifier.embed_tokens.weight.data.mul_(0.5)
    return VerifierModel(BlockTower(encoder, REACH), verifier)


def test_some_blocks_begin_as_heard_first() -> None:
    """All, none or their share; the rest of a block and the whole first one are final."""
    hidden = torch.arange(200 * 5 * 4.0).reshape(200, 5, 4, 1)
    provisional = -hidden[:, 1:, :3] - 1
    empty = torch.zeros(0)
    outputs = BlockOutputs(hidden, provisional, empty, empty, empty)
    none, half, every = (
        with_some_provisional(outputs, share, torch.Generator().manual_seed(1)).reshape(200, 5, 4)
        for share in (0, 0.5, 1)
    )
    assert torch.equal(none, hidden[..., 0])
    assert torch.equal(every[:, 1:, :3], provisional[..., 0])
    for frames in (half, every):
        assert torch.equal(frames[:, 0], hidden[:, 0, :, 0])
        assert torch.equal(frames[:, :, 3:], hidden[:, :, 3:, 0])
    is_first = half[:, 1:, :3] < 0
    assert (is_first.all(2) == is_first.any(2)).all()
    assert float(is_first.float().mean()) == pytest.approx(0.5, abs=0.06)


def test_frames_are_those_of_the_encoder(sessions: list[StoredSession], tiny_encoder: Make) -> None:
    """Clean stretches give the encoder's own final frames; noise is the same for the same seed, and no more than asked."""
    stretches, _ = StretchPool(sessions, SHORT.stretches).held_out(0, 3, SHORT.shapes.shape)
    encoder = tiny_encoder(1)
    tower = BlockTower(encoder, REACH)
    with torch.no_grad():
        frames = tower(StretchFrames(stretches, 0.0, 0.0))
        expected = heard_in_blocks(encoder, stretches, log_mel(stretches.audio), REACH).hidden.flatten(1, 2)
        assert torch.equal(frames, expected)
        noisy, again = (tower(StretchFrames(stretches, 0.0, 0.1)) for _ in "ab")
    assert torch.equal(noisy, again)
    added = (noisy - frames).std(dim=(1, 2)) / frames.std()
    assert 0 < float(added.min()) < float(added.max()) < 0.11


def test_crops_say_what_is_heard_in_them(sessions: list[StoredSession]) -> None:
    """Of each stretch up to four, none longer than the longest; in a crop as many words as the sound has tones."""
    batches = list(sampler(sessions, replace(SHORT, effects=replace(SHORT.effects, share=0.0)))(0, 0))
    assert len(batches) == SHORT.schedule.steps
    lengths = []
    for inputs, labels in batches:
        sound = inputs.heard.stretches.heard(inputs.heard.stretches.generator())[1]
        loud = sound.reshape(3, 64, 320).square().mean(2).sqrt() > 0.1
        assert len(inputs.groups) == len(labels.is_said) <= SHORT.groups
        for group in inputs.groups:
            lengths += (group.last - group.first).tolist()
            for window, first, last, tokens in zip(
                *(t.tolist() for t in (group.windows, group.first, group.last, group.tokens)), strict=True
            ):
                said = [token for token in tokens[1:] if token != END]
                # Each word lasts about ten frames, of which more than six are in the crop that says it.
                assert abs(int(loud[window, first:last].sum()) - 10 * len(said)) <= 7 + 2 * len(said)
    assert 6 <= min(lengths) < max(lengths) <= SHORT.longest


def test_a_step_has_its_own_batch(sessions: list[StoredSession]) -> None:
    """Step n has the same crops whether the run was broken before it or not; held-out ones are always the same."""
    whole = [(inputs.heard.stretches.seed, inputs.groups[0].tokens.tolist()) for inputs, _ in sampler(sessions)(0, 0)]
    rest = [(inputs.heard.stretches.seed, inputs.groups[0].tokens.tolist()) for inputs, _ in sampler(sessions)(0, 5)]
    assert rest == whole[5:]
    first, again = (list(sampler(sessions).once()) for _ in "ab")
    assert [inputs.heard.provisional_share for inputs, _ in first] == [0.0, 0.0, 0.3, 0.3]
    for (a, _), (b, _) in zip(first, again, strict=True):
        assert a.heard.noise == 0
        assert a.heard.stretches.effects is None
        assert [group.first.tolist() for group in a.groups] == [group.first.tolist() for group in b.groups]


def test_it_learns_to_read_the_frames(sessions: list[StoredSession], tiny_encoder: Make, tmp_path: Path) -> None:
    """The loss of held-out crops falls; encoder and embeddings keep their bits."""
    config = replace(SHORT, schedule=replace(SHORT.schedule, steps=60, rate=1e-2, average=0.9))
    learner = model(tiny_encoder(1))
    before = {name: weight.clone() for name, weight in learner.state_dict().items()}
    held_out = HeldOutNats(sampler(sessions, config))
    with torch.no_grad():
        first = held_out(learner.eval(), 1)["loss"]
    after = train_verifier(learner, sampler(sessions, config), sampler(sessions, config), tmp_path, config.schedule)
    with torch.no_grad():
        assert held_out(learner.eval(), 1)["loss"] < 0.8 * first
    same = {name for name, weight in after.items() if torch.equal(weight, before[name])}
    assert same == {name for name in after if name.startswith(("tower.", "verifier.embed_tokens"))}
    assert any(name.startswith("tower.encoder.layers") for name in same)


class KilledError(Exception):
    """Stands for a kill."""


class MortalSampler(StretchCropSampler):
    """Dies before its sixth batch."""

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(super().__call__(epoch, skip), skip):
            if step == 5:
                raise KilledError
            yield batch


def test_resumed_training_ends_the_same(
    sessions: list[StoredSession], tiny_encoder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after a checkpoint and started again, a run ends with the weights of an unbroken one."""
    own = sampler(sessions)
    average = train_verifier(model(tiny_encoder(1)), own, own, tmp_path / "whole", SHORT.schedule)
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    schedule = replace(SHORT.schedule, checkpoint_every_s=9.5)
    mortal = sampler(sessions)
    mortal.__class__ = MortalSampler
    with pytest.raises(KilledError):
        train_verifier(model(tiny_encoder(1)), mortal, own, tmp_path / "broken", schedule)
    assert 0 < int((tmp_path / "broken/verifier.resume/LATEST").read_text().split()[0]) < 5
    resumed = model(tiny_encoder(1))
    torch.manual_seed(99)  # whatever happened in the new process before
    again = train_verifier(resumed, own, own, tmp_path / "broken", schedule)
    assert all(torch.equal(again[name], weight) for name, weight in average.items())
