import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from streaming.encoding.block_shape import BlockShape
from streaming.features import MelScale
from training.compact.block_features import log_mel
from training.compact.block_sessions import StoredSession
from training.compact.block_stretches import Shapes, StretchConfig, Stretches, StretchPool
from training.compact.block_teacher import TeacherWindows, teach
from training.compact.targets import Lexicon
from training.compact.train_blocks import (
    Batch,
    BlockLearner,
    BlockTrainingConfig,
    LessonSampler,
    heard_in_blocks,
    train_blocks,
)
from training.loop.trained_models import load_weights
from training.models.block_encoder import BlockEncoder, BlockOutputs, block_mask
from training.models.heads import HeadConfig
from training.speech.batch_effects import BatchEffects

Make = Callable[[int], BlockEncoder]
WINDOWS = TeacherWindows(24, 16, 4)
SHORT = BlockTrainingConfig(
    steps=7,
    rows=2,
    stretches=StretchConfig(frames=48),
    shapes=Shapes(BlockShape(4, 4, 2), rights=((4, 0.5), (2, 0.5)), look_backs=((2, 0.5), (1, 0.5))),
    windows=WINDOWS,
    warmup_steps=3,
    checkpoint_every_s=1e9,
    held_out_batches=2,
    held_out_rows=3,
)


def sampler(sessions: list[StoredSession], lexicon: Lexicon, config: BlockTrainingConfig = SHORT) -> LessonSampler:
    """Of all sessions."""
    return LessonSampler(StretchPool(sessions, config.stretches), lexicon, config)


def judged(out: Path) -> list[dict[str, float]]:
    """The evaluations in a training's log."""
    rows = [json.loads(line) for line in (out / "blocks.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "evaluation"]


def test_a_student_comes_near_its_teacher(
    sessions: list[StoredSession], toy_lexicon: Lexicon, tiny_encoder: Make, tmp_path: Path
) -> None:
    """A student with other weights learns to give the teacher's frames, with each right context, provisional or not."""
    config = replace(SHORT, steps=60, rate=1e-2, average=0.9, effects=BatchEffects(share=0.1))
    pair = sampler(sessions, toy_lexicon, config), sampler(sessions, toy_lexicon, config)
    start = replace(config, steps=1, rate=1e-9)
    own = sampler(sessions, toy_lexicon, start)
    train_blocks(BlockLearner(tiny_encoder(1), tiny_encoder(2), WINDOWS), own, own, tmp_path / "a", start)
    weights = train_blocks(BlockLearner(tiny_encoder(1), tiny_encoder(2), WINDOWS), *pair, tmp_path / "b", config)
    first, last = judged(tmp_path / "a")[-1], judged(tmp_path / "b")[-1]
    for right, name in itertools.product((4, 2), ("hidden", "features", "characters", "phonemes")):
        for key in (f"held_out_{name}_{right}", f"held_out_provisional_{name}_{right}"):
            assert last[key] < 0.7 * first[key], key
    assert last["loss"] < 0.6 * first["loss"]
    teacher = tiny_encoder(2).state_dict()
    taught = {name.removeprefix("teacher."): w for name, w in weights.items() if name.startswith("teacher.")}
    assert taught.keys() == teacher.keys() - {"positions"}
    assert all(torch.equal(weight, teacher[name]) for name, weight in taught.items())


class KilledError(Exception):
    """Stands for a kill."""


class MortalSampler(LessonSampler):
    """Dies before its sixth batch."""

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(super().__call__(epoch, skip), skip):
            if step == 5:
                raise KilledError
            yield batch


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_training_ends_the_same(
    sessions: list[StoredSession],
    toy_lexicon: Lexicon,
    tiny_encoder: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed after a checkpoint and started again, a run ends with the weights of an unbroken one; finished, it rests."""

    def learner() -> BlockLearner:
        return BlockLearner(tiny_encoder(1), tiny_encoder(2), WINDOWS)

    pair = sampler(sessions, toy_lexicon), sampler(sessions, toy_lexicon)
    whole = learner()
    average = train_blocks(whole, *pair, tmp_path / "whole", SHORT)
    assert equal(average, train_blocks(learner(), *pair, tmp_path / "whole", SHORT))
    assert len(judged(tmp_path / "whole")) == 1
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    config = replace(SHORT, checkpoint_every_s=9.5)
    mortal = MortalSampler(StretchPool(sessions, config.stretches), toy_lexicon, config)
    with pytest.raises(KilledError):
        train_blocks(learner(), mortal, pair[1], tmp_path / "broken", config)
    assert 0 < int((tmp_path / "broken/blocks.resume/LATEST").read_text().split()[0]) < 5
    resumed = learner()
    torch.manual_seed(99)  # whatever happened in the new process before
    assert equal(average, train_blocks(resumed, *pair, tmp_path / "broken", config))
    assert equal(whole.state_dict(), resumed.state_dict())
    load_weights(learner(), average, tmp_path)


def test_a_step_has_its_own_batch(sessions: list[StoredSession], toy_lexicon: Lexicon) -> None:
    """Step n has the same stretches whether the run was broken before it or not, and no other step has them."""
    whole = [inputs.stretches for inputs, _ in sampler(sessions, toy_lexicon)(0, 0)]
    rest = [inputs.stretches for inputs, _ in sampler(sessions, toy_lexicon)(0, 4)]
    assert [stretches.audio.tolist() for stretches in rest] == [stretches.audio.tolist() for stretches in whole[4:]]
    assert [(one.seed, one.shape) for one in rest] == [(one.seed, one.shape) for one in whole[4:]]
    assert len({stretches.seed for stretches in whole}) == SHORT.steps
    assert {stretches.shape.right for stretches in whole} == {4, 2}


def test_targets_are_of_what_is_whole(sessions: list[StoredSession], toy_lexicon: Lexicon) -> None:
    """Both alphabets write the words of the same stretch, and a loss beyond the worst one is told to be no lesson."""
    for inputs, labels in itertools.chain(sampler(sessions, toy_lexicon)(0, 0), sampler(sessions, toy_lexicon).once(4)):
        assert len(labels.characters) == len(inputs) == len(labels.left)
        assert labels.worst == 3.0
        for characters, phonemes in zip(labels.characters, labels.phonemes, strict=True):
            # A stretch of almost a second has a whole word or more, each of three letters and three phonemes.
            assert len(characters) == len(phonemes) > 3
            assert (characters == 1).tolist() == (phonemes == 1).tolist()


def stretches(sessions: list[StoredSession], right: int = 4) -> Stretches:
    """A clean held-out batch."""
    pool = StretchPool(sessions, SHORT.stretches)
    return pool.held_out(0, 2, SHORT.shapes.having(right))[0]


@pytest.mark.parametrize("right", [4, 2])
def test_what_comes_later_is_not_heard(sessions: list[StoredSession], tiny_encoder: Make, right: int) -> None:
    """A change of the sound changes no block that ends, with its right context, before it, and the block it is in."""
    batch, encoder = stretches(sessions, right), tiny_encoder(1)
    # Block 5 with its right context ends here; a log-mel frame hears 40 ms of sound, half of it ahead.
    end = 320 * (24 + right)
    changed = batch.audio.clone()
    changed[:, end + 200 :] *= -0.5
    with torch.no_grad():
        before, after = (heard_in_blocks(encoder, batch, log_mel(audio), 24) for audio in (batch.audio, changed))
    same = [bool(torch.equal(before.hidden[:, k], after.hidden[:, k])) for k in range(12)]
    # Of the last log-mel frame, the next block's hop tells nothing: a hop has its own scale.
    assert same == [True] * 6 + [False] * 6
    assert torch.equal(before.provisional[:, :6], after.provisional[:, :6])
    assert torch.equal(before.characters[:, :6], after.characters[:, :6])


class KeepsMel(BlockEncoder):
    """Keeps what it is given to hear."""

    def forward(self, mel: Tensor, first: Tensor, shape: BlockShape, mask: Tensor) -> BlockOutputs:
        self.heard = mel, first, mask
        return super().forward(mel, first, shape, mask)


@pytest.mark.parametrize("right", [4, 2])
def test_a_hop_ends_with_a_right_context(sessions: list[StoredSession], right: int) -> None:
    """The features are scaled as in a stream whose hops bring a block with its right context to an end."""
    batch, encoder = stretches(sessions, right), KeepsMel(16, 2, 1, HeadConfig(16, 16))
    raw = torch.randn(2, 80, 96, generator=torch.Generator().manual_seed(0)) * 6
    heard_in_blocks(encoder, batch, raw, 24)
    mel, first, mask = encoder.heard
    hops = [0, *range(2 * right, 96, 8), 96]
    for row in range(2):
        scale, frames = MelScale(48), raw[row].numpy().T
        slow = [scale(frames[start:end]) for start, end in itertools.pairwise(hops)]
        assert np.array_equal(mel[row].numpy().T, np.concatenate(slow))
    assert torch.equal(first, batch.first)
    assert torch.equal(mask, block_mask(48, BlockShape(4, right, 2)))


def test_the_teacher_may_hear_the_clean_sound(
    sessions: list[StoredSession], toy_lexicon: Lexicon, tiny_encoder: Make
) -> None:
    """In the share of the batches that was asked for; the student hears the spoilt sound all the same."""
    config = replace(SHORT, steps=300, clean_teacher=0.4)
    batches = [inputs for inputs, _ in itertools.islice(sampler(sessions, toy_lexicon, config)(0, 0), 300)]
    assert sum(inputs.teacher_hears_clean for inputs in batches) / 300 == pytest.approx(0.4, abs=0.08)
    learner = BlockLearner(tiny_encoder(1), tiny_encoder(2), WINDOWS)
    inputs = replace(batches[0], stretches=replace(batches[0].stretches, effects=BatchEffects(share=10.0)))
    with torch.no_grad():
        clean, spoilt = (learner(replace(inputs, teacher_hears_clean=is_clean)) for is_clean in (True, False))
        sounds = inputs.stretches.heard(inputs.stretches.generator())
    assert torch.equal(clean.outputs.hidden, spoilt.outputs.hidden)
    for lesson, sound in ((clean, sounds[0]), (spoilt, sounds[1])):
        assert torch.equal(lesson.taught.hidden, teach(tiny_encoder(2), log_mel(sound), WINDOWS).hidden)
    assert not torch.equal(clean.taught.hidden, spoilt.taught.hidden)


def test_nothing_is_dropped_in_training(sessions: list[StoredSession], tiny_encoder: Make) -> None:
    """The outputs to be learnt are exact, and so are those that learn."""
    learner = BlockLearner(tiny_encoder(1), tiny_encoder(2), WINDOWS).train()
    assert learner.encoder.head.dropout.p > 0
    assert not any(module.training for module in (*learner.encoder.modules(), *learner.teacher.modules()))
    assert {id(p) for p in learner.parameter_groups()["towers"]} == {id(p) for p in learner.encoder.parameters()}
    assert not any(parameter.requires_grad for parameter in learner.teacher.parameters())
