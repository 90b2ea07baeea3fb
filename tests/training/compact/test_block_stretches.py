from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from streaming.encoding.block_shape import BlockShape
from training.compact.block_sessions import StoredSession
from training.compact.block_stretches import Shapes, StretchConfig, Stretches, StretchPool
from training.corpus.manifest import ManifestError
from training.speech.batch_effects import BatchEffects

CONFIG = StretchConfig(frames=64)
SAMPLES = 64 * 320
SHAPE = BlockShape(4, 4, 2)


def heard(audio: torch.Tensor, first: float, last: float) -> float:
    """Loudness between two frames, as a root mean square."""
    return float(audio[round(first * 320) : round(last * 320)].square().mean().sqrt())


@pytest.mark.parametrize("speed", [1.0, 0.88, 1.13])
def test_words_lie_where_they_are_heard(sessions: list[StoredSession], speed: float) -> None:
    """At any speed a word's frames are those of its tone, and around it is quiet; cut words are in the wildcards."""
    pool = StretchPool(sessions, CONFIG)
    audio, windows = pool.drawn(np.random.default_rng(1), 30, speed)
    assert audio.shape == (30, 2 * round(SAMPLES * speed / 2))
    clean, same = Stretches(audio, torch.zeros(30), 64, SHAPE, None, 0).heard(torch.Generator())
    assert clean.shape == (30, SAMPLES)
    assert same is clean
    cut = 0
    for row, window in zip(clean, windows, strict=True):
        for _, first, last in window.words:
            assert last - first == pytest.approx(10 / speed, abs=0.1)
            assert heard(row, first + 0.5, last - 0.5) > 0.1
            assert heard(row, max(0, first - 4), first - 0.5) < 0.02 or first < 1
        loud = [heard(row, frame, frame + 1) > 0.1 for frame in range(64)]
        inside = {f for _, first, last in window.words for f in range(int(first), int(np.ceil(last)))}
        lost = {*range(window.left_wildcard), *range(64 - window.right_wildcard, 64)}
        assert {frame for frame, is_loud in enumerate(loud) if is_loud} <= inside | lost
        # 60 ms of margin are three frames, at their own speed.
        assert window.left_wildcard <= np.ceil(13 / speed)
        cut += window.left_wildcard > 0
    assert 0 < cut < 30


def test_speeds_are_drawn(sessions: list[StoredSession]) -> None:
    """About a third of the batches are left as spoken; the others are drawn from the whole range."""
    pool, rng = StretchPool(sessions, CONFIG), np.random.default_rng(0)
    speeds = [pool.speed(rng) for _ in range(2000)]
    assert np.mean([speed == 1.0 for speed in speeds]) == pytest.approx(0.35, abs=0.04)
    assert min(speeds) == pytest.approx(0.88, abs=0.01)
    assert max(speeds) == pytest.approx(1.13, abs=0.01)


def test_sessions_are_drawn_by_length_and_weight(sessions: list[StoredSession]) -> None:
    """A collection of weight 0 is never drawn, one of a third rarely; a longer session more often."""
    rng = np.random.default_rng(0)
    _, windows = StretchPool(sessions, CONFIG).drawn(rng, 600, 1.0)
    share = Counter(window.collection for window in windows)["an4"] / 600
    assert share == pytest.approx(0.35 / 2.35, abs=0.04)
    never = replace(CONFIG, collection_weights={"an4": 0.0})
    _, windows = StretchPool(sessions, never).drawn(rng, 100, 1.0)
    assert {window.collection for window in windows} == {"c"}
    with pytest.raises(ManifestError, match="none of 1 sessions"):
        StretchPool(sessions[2:], never)
    with pytest.raises(ManifestError, match="none of 0 sessions"):
        StretchPool([], CONFIG)


def test_short_sessions_are_filled_with_silence(sessions: list[StoredSession]) -> None:
    """A session shorter than a stretch is heard from its start."""
    short = replace(sessions[0], audio=sessions[0].audio[:8000], words=sessions[0].words[:1])
    audio, [window] = StretchPool([short], CONFIG).drawn(np.random.default_rng(0), 1, 1.0)
    assert not audio[0, 8000:].any()
    assert [word for word, _, _ in window.words] == [short.words[0].text]


def test_a_batch_depends_on_its_generator_alone(sessions: list[StoredSession]) -> None:
    """Same generator, same batch, effects and positions included; held-out ones are clean and spread over the table."""
    pool = StretchPool(sessions, CONFIG)
    (first, said), (again, _), (other, _) = (
        pool.stretches(np.random.default_rng(seed), 4, SHAPE, BatchEffects()) for seed in (1, 1, 2)
    )
    assert torch.equal(first.audio, again.audio)
    assert torch.equal(first.first, again.first)
    assert torch.equal(first.heard(first.generator())[1], again.heard(again.generator())[1])
    assert first.seed != other.seed
    otherwise = replace(first, seed=other.seed)
    assert not torch.equal(first.heard(first.generator())[1], otherwise.heard(otherwise.generator())[1])
    assert len(first) == len(said) == 4
    held_out, _ = pool.held_out(3, 5, SHAPE)
    assert held_out.effects is None
    assert held_out.first.tolist() == [0, 300, 600, 900, 1200]
    assert torch.equal(held_out.audio, pool.held_out(3, 5, SHAPE)[0].audio)
    assert not torch.equal(held_out.audio, pool.held_out(4, 5, SHAPE)[0].audio)


def test_shapes_are_drawn_by_their_shares() -> None:
    """Right context and look-back each by their own shares; what is not drawn is that of the shape served."""
    shapes, rng = Shapes(), np.random.default_rng(0)
    drawn = [shapes.drawn(rng) for _ in range(4000)]
    assert {(shape.block, shape.positions) for shape in drawn} == {(16, 1500)}
    rights, backs = Counter(shape.right for shape in drawn), Counter(shape.look_back for shape in drawn)
    assert {right: n / 4000 for right, n in rights.items()} == pytest.approx({16: 0.75, 8: 0.25}, abs=0.03)
    assert {back: n / 4000 for back, n in backs.items()} == pytest.approx({9: 0.8, 12: 0.1, 6: 0.1}, abs=0.03)
    assert shapes.having(8) == BlockShape(16, 8, 9)
