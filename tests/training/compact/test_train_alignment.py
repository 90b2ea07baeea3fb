import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperConfig

from streaming.symbols import CHARACTERS
from training.compact.cache import CachedFrames, CachedWindow
from training.compact.targets import Lexicon, target_of
from training.compact.train_alignment import (
    AlignmentLabels,
    AlignmentModel,
    AlignmentTrainingConfig,
    Batch,
    BatchSampler,
    alignment_objective,
    spoil,
    train_alignment,
)
from training.corpus.manifest import ManifestError
from training.models.heads import AlignmentHead, HeadConfig
from training.models.whisper import UpperTower

WORDS = ("dog", "cat", "sun", "bird", "milk", "rope")
WIDTH = 32
SHORT = AlignmentTrainingConfig(steps=10, batch_frames=240, warmup_steps=3, checkpoint_every_s=1e9, held_out_windows=4)


@pytest.fixture
def lexicon(tmp_path: Path) -> Lexicon:
    """Toy pronunciations: a phoneme for each of the first letters of the alphabet."""
    dictionary = tmp_path / "toy.dict"
    dictionary.write_text(
        "dog D AO1 G\ncat K AE1 T\nsun S AH1 N\nbird B ER1 D\nmilk M IH1 L K\nrope R OW1 P\n", "utf-8"
    )
    return Lexicon(dictionary, lambda words: [("AH",) for _ in words])


def block(length: int, windows: int, seed: int) -> CachedFrames:
    """Windows of three words whose frames say which letter is spoken: four frames each, with a little noise."""
    rng = np.random.default_rng(seed)
    codes = np.random.default_rng(0).standard_normal((len(CHARACTERS), WIDTH))
    frames = rng.standard_normal((windows, length, WIDTH)) * 0.1
    said = []
    for row in range(windows):
        words, at = [], 2
        for word in rng.choice(WORDS, 3):
            first = at
            for letter in word:
                frames[row, at : at + 4] += codes[CHARACTERS.index(letter)]
                at += 4
            words.append((str(word), float(first), float(at)))
            at += 4
        said.append(CachedWindow(tuple(words), 0, 0, ("an4", "c")[row % 2]))
    return CachedFrames(length, frames.astype(np.float16), tuple(said))


def model() -> AlignmentModel:
    """A tower of one small layer under a small head."""
    config = WhisperConfig(d_model=WIDTH, encoder_attention_heads=2, encoder_ffn_dim=64)
    config._attn_implementation = "sdpa"
    torch.manual_seed(21)
    return AlignmentModel(UpperTower(config, 1), AlignmentHead(HeadConfig(WIDTH, WIDTH)))


def samplers(lexicon: Lexicon, config: AlignmentTrainingConfig) -> tuple[BatchSampler, BatchSampler]:
    """Training windows of two lengths and held-out ones."""
    blocks = [block(60, 24, 1), block(70, 24, 2)]
    return BatchSampler(blocks, lexicon, config), BatchSampler([block(60, 8, 3)], lexicon, config)


def judged(out: Path) -> list[dict[str, float]]:
    """The evaluations in a training's log."""
    rows = [json.loads(line) for line in (out / "alignment.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "evaluation"]


def test_both_losses_fall(lexicon: Lexicon, tmp_path: Path) -> None:
    """On frames that name their letter, both heads learn, on held-out windows too."""
    config = replace(SHORT, steps=120, head_rate=5e-3, tower_rate=2e-3, average=0.9)
    first = train_alignment(
        model(), *samplers(lexicon, replace(config, steps=1)), tmp_path / "a", replace(config, steps=1)
    )
    train_alignment(model(), *samplers(lexicon, config), tmp_path / "b", config)
    before, after = judged(tmp_path / "a")[-1], judged(tmp_path / "b")[-1]
    assert after["step"] == 120
    assert after["held_out_characters"] < 0.5 * before["held_out_characters"]
    assert after["held_out_phonemes"] < 0.5 * before["held_out_phonemes"]
    assert all(torch.isfinite(value).all() for value in first.values())


class KilledError(Exception):
    """Stands for a kill."""


class MortalSampler(BatchSampler):
    """Dies before its eighth batch."""

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(super().__call__(epoch, skip), skip):
            if step == 7:
                raise KilledError
            yield batch


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_training_ends_the_same(lexicon: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed some steps after a checkpoint and started again, a run ends with exactly the weights of an unbroken one."""
    whole = model()
    average = train_alignment(whole, *samplers(lexicon, SHORT), tmp_path / "whole", SHORT)
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    config = replace(SHORT, checkpoint_every_s=9.5)
    mortal = MortalSampler([block(60, 24, 1), block(70, 24, 2)], lexicon, config)
    with pytest.raises(KilledError):
        train_alignment(model(), mortal, samplers(lexicon, config)[1], tmp_path / "broken", config)
    assert 0 < int((tmp_path / "broken/alignment.resume/LATEST").read_text().split()[0]) < 7
    assert judged(tmp_path / "broken")[0]["step"] < 7
    resumed = model()
    torch.manual_seed(99)  # whatever happened in the new process before
    resumed_average = train_alignment(resumed, *samplers(lexicon, config), tmp_path / "broken", config)
    assert equal(average, resumed_average)
    assert equal(whole.state_dict(), resumed.state_dict())


def test_a_finished_training_is_not_run_again(lexicon: Lexicon, tmp_path: Path) -> None:
    """Started again after its last step, a run returns its averaged weights at once."""
    average = train_alignment(model(), *samplers(lexicon, SHORT), tmp_path / "out", SHORT)
    rows = len(judged(tmp_path / "out"))
    assert equal(average, train_alignment(model(), *samplers(lexicon, SHORT), tmp_path / "out", SHORT))
    assert len(judged(tmp_path / "out")) == rows == 1


def test_sampler_draws_by_weight(lexicon: Lexicon) -> None:
    """Collections are drawn by their weights; batches hold about as many frames as asked for."""
    config = replace(SHORT, collection_weights={"an4": 0.0})
    blocks = [block(60, 24, 1), block(70, 24, 2)]
    sampler, rng = BatchSampler(blocks, lexicon, config), np.random.default_rng(1)
    batches = [sampler.drawn(rng) for _ in range(20)]
    assert {len(hidden) * hidden.shape[1] for hidden, _ in batches} == {240, 210}
    allowed = {
        tuple(target_of(window, lexicon).characters.tolist())
        for cached in blocks
        for window in cached.windows
        if window.collection == "c"
    }
    assert {tuple(target.tolist()) for _, labels in batches for target in labels.characters} <= allowed


def test_a_step_has_its_own_batch(lexicon: Lexicon) -> None:
    """Step n has the same spoilt frames whether the run was broken before it or not, and no other step has them."""
    sampler, _ = samplers(lexicon, SHORT)
    whole = [hidden for hidden, _ in sampler(0, 0)]
    assert [hidden.tolist() for hidden, _ in sampler(0, 7)] == [hidden.tolist() for hidden in whole[7:]]
    assert len({hidden.numpy().tobytes() for hidden in whole}) == SHORT.steps


def test_rows_of_great_loss_teach_nothing(lexicon: Lexicon) -> None:
    """After the first 200 steps, rows whose losses reach twice `worst_loss` are left out of the mean."""
    config = replace(SHORT, steps=202, worst_loss=1.25)
    sampler, _ = samplers(lexicon, config)
    assert [labels.worst for _, labels in sampler(0, 198)] == [float("inf"), float("inf"), 2.5, 2.5]
    hidden, labels = next(iter(sampler(0, 0)))
    with torch.no_grad():
        outputs = model().eval()(hidden)
        each = [
            float(alignment_objective(tuple(o[row : row + 1] for o in outputs), one_row(labels, row)).total)
            for row in range(len(hidden))
        ]
        middle = sorted(each)[len(each) // 2]
        kept = [loss for loss in each if loss < middle]
        total = alignment_objective(outputs, replace(labels, worst=middle)).total
    assert 0 < len(kept) < len(each)
    assert float(total) == pytest.approx(np.mean(kept), rel=1e-5)


def one_row(labels: AlignmentLabels, row: int) -> AlignmentLabels:
    """The labels of one row."""
    some = slice(row, row + 1)
    return AlignmentLabels(labels.characters[some], labels.phonemes[some], labels.left[some], labels.right[some])


def test_useless_windows_are_not_drawn(lexicon: Lexicon) -> None:
    """A window that cut words cover nearly whole is left out; where none is left, that is told."""
    good = block(60, 2, 1)
    lost = replace(good.windows[0], left_wildcard=40)
    sampler = BatchSampler([replace(good, windows=(lost, good.windows[1]))], lexicon, SHORT)
    assert sum(len(hidden) for hidden, _ in sampler.once()) == 1
    with pytest.raises(ManifestError, match="none of 2 cached windows"):
        BatchSampler([replace(good, windows=(lost, lost))], lexicon, SHORT)


def test_evaluation_takes_the_same_rows(lexicon: Lexicon) -> None:
    """Held-out windows are limited in number and the same at every call."""
    _, held_out = samplers(lexicon, SHORT)
    first, second = ([hidden for hidden, _ in held_out.once(size=3)] for _ in range(2))
    assert [len(hidden) for hidden in first] == [3, 1]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_spoiling_reaches_every_frame() -> None:
    """Masks are short runs of zeros that may lie anywhere, and the frames given are left as they were."""
    torch.manual_seed(0)
    hidden = torch.ones(64, 30, 4)
    rng = np.random.default_rng(0)
    config = replace(SHORT, noise=0.0, time_masks=3)
    masked = torch.stack([spoil(hidden, config, rng)[:, :, 0] == 0 for _ in range(20)]).flatten(0, 1)
    assert masked.any(0).all()
    assert int(masked.sum(1).max()) <= 30
    assert bool((hidden == 1).all())
