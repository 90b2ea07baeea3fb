import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import WhisperConfig

from streaming.spotting.verifier import END, START
from training.compact.cache import CachedFrames, CachedWindow
from training.compact.crops import Batch, VerifierInputs, VerifierLabels, draw_crop, grouped, words_within
from training.compact.train_verifier import (
    CropSampler,
    VerifierModel,
    VerifierTrainingConfig,
    train_verifier,
    verifier_objective,
)
from training.corpus.manifest import ManifestError
from training.loop.trained_models import load_weights
from training.models.verifier import SpanVerifier, VerifierConfig
from training.models.whisper import UpperTower

WORDS = ("dog", "cat", "sun", "bird", "milk", "rope")
WIDTH, POSITIONS = 32, 8
SHORT = VerifierTrainingConfig(steps=8, batch_windows=4, warmup_steps=3, checkpoint_every_s=1e9, held_out_windows=6)
SETTINGS = WhisperConfig(d_model=WIDTH, encoder_attention_heads=2, encoder_ffn_dim=64, dropout=0.1)
SETTINGS._attn_implementation = "sdpa"


def tokenizer() -> Tokenizer:
    """A token for each word."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS, 2)}, unk_token="dog"))
    made.pre_tokenizer = Whitespace()
    return made


def block(length: int, windows: int, seed: int) -> CachedFrames:
    """Windows of three words of 12 frames; every frame of a word says which it is, with a little noise."""
    rng = np.random.default_rng(seed)
    codes = np.random.default_rng(0).standard_normal((len(WORDS), WIDTH))
    frames = rng.standard_normal((windows, length, WIDTH)) * 0.1
    said = []
    for row in range(windows):
        words = []
        for place, which in enumerate(rng.choice(len(WORDS), 3)):
            first = 4 + 18 * place
            frames[row, first : first + 12] += codes[which]
            words.append((WORDS[which], float(first), float(first + 12)))
        said.append(CachedWindow(tuple(words), 0, 0, ("an4", "c")[row % 2]))
    return CachedFrames(length, frames.astype(np.float16), tuple(said))


def sampler(*blocks: CachedFrames, config: VerifierTrainingConfig = SHORT, positions: int = POSITIONS) -> CropSampler:
    """Of windows of two lengths, where no other blocks are given."""
    return CropSampler(blocks or (block(60, 24, 1), block(70, 24, 2)), tokenizer(), positions, config)


def model() -> VerifierModel:
    """A small tower and a small decoder, with random weights; the tower would drop something if it trained."""
    torch.manual_seed(21)
    verifier = SpanVerifier(VerifierConfig(len(WORDS) + 2, WIDTH, layers=1, heads=2, inner=64, positions=POSITIONS))
    verifier.embed_tokens.weight.data.mul_(0.5)
    return VerifierModel(UpperTower(SETTINGS, 1), verifier)


@st.composite
def windows(draw: st.DrawFn) -> tuple[CachedWindow, int]:
    """A window with up to eight words between cut ones, all bounds in quarters of a frame, and its length."""
    length, left, right = draw(st.tuples(st.integers(60, 200), st.integers(0, 25), st.integers(0, 25)))
    words, at = [], 4 * left
    for word in draw(st.lists(st.sampled_from(WORDS), max_size=8)):
        first = at + draw(st.integers(0, 60))
        # Of a multiple of five quarters, 60 % could be hit exactly.
        at = first + draw(st.integers(1, 120).filter(lambda quarters: quarters % 5))
        if at > 4 * (length - right):
            break
        words.append((word, first / 4, at / 4))
    return CachedWindow(tuple(words), left, right, "c"), length


@given(windows(), st.integers(0, 2**32 - 1))
def test_a_crop_says_what_lies_in_it(window: tuple[CachedWindow, int], seed: int) -> None:
    """Its frames lie between the cut words, six at least, and its text is every word more than 60 % inside."""
    cached, length = window
    crop = draw_crop(cached, length, np.random.default_rng(seed))
    if crop is None:
        return
    assert cached.left_wildcard <= crop.first <= crop.last - 6
    assert crop.last <= length - cached.right_wildcard
    inside = set(range(4 * crop.first, 4 * crop.last))
    shares = [(word, inside.intersection(range(int(4 * a), int(4 * b))), 4 * (b - a)) for word, a, b in cached.words]
    # What is shorter than a frame must be heard as long as that share of a frame.
    assert crop.words == tuple(word for word, quarters, whole in shares if 5 * len(quarters) > 3 * max(4, whole))


def test_words_count_from_60_percent() -> None:
    """Of a word of ten frames, six are too few and seven enough, on either side."""
    cached = CachedWindow((("dog", 20.0, 30.0),), 0, 0, "c")
    assert [words_within(cached, 0, last) for last in (26, 27)] == [(), ("dog",)]
    assert [words_within(cached, first, 60) for first in (24, 23)] == [(), ("dog",)]


def test_crops_are_made_of_few_words() -> None:
    """Four fifths begin and end about words, one to four by their shares; the rest are any stretches of 12 to 59."""
    words = tuple(("dog", 130.0 * i + 20, 130.0 * i + 120) for i in range(60))
    cached, rng = CachedWindow(words, 0, 0, "c"), np.random.default_rng(0)
    drawn = [draw_crop(cached, 7900, rng) for _ in range(6000)]
    crops = [crop for crop in drawn if crop is not None]
    assert len(crops) == len(drawn)
    frames = np.array([crop.last - crop.first for crop in crops])
    # A word lasts 100 frames here, of which two times 30 may be missing.
    stretches, of_words = [c for c in crops if c.last - c.first < 40], [c for c in crops if c.last - c.first >= 60]
    assert len(stretches) / len(crops) == pytest.approx(0.2 * 28 / 48, abs=0.02)
    assert frames.min() == 12
    assert 59 in frames
    begun = [(crop.first + 10) % 130 - 30 for crop in of_words]
    ended = [(crop.last + 10) % 130 - 130 for crop in of_words]
    ended = [e + 130 if e < -30 else e for e in ended]
    assert (min(begun), max(begun)) == (-7, 30)
    assert (min(ended), max(ended)) == (-30, 7)
    counts = Counter(round((crop.last - crop.first + 30) / 130) for crop in of_words)
    for count, share in enumerate((0.45, 0.3, 0.17, 0.08), 1):
        assert counts[count] / len(of_words) == pytest.approx(share, abs=0.05)


def test_silence_is_cropped_too() -> None:
    """A window without words gives stretches that say nothing; one that is covered by cut words gives none."""
    rng = np.random.default_rng(0)
    crops = [draw_crop(CachedWindow((), 10, 20, "c"), 100, rng) for _ in range(200)]
    assert {crop.words for crop in crops if crop is not None} == {()}
    assert None not in crops
    assert {draw_crop(CachedWindow((), 60, 40, "c"), 100, rng) for _ in range(200)} == {None}


def test_groups_hold_their_crops() -> None:
    """Frames are those of the window from first to last and nothing else is heard; after the text comes its end."""
    crops = [(1, 5, 20, [3, 4]), (0, 50, 60, []), (1, 0, 60, [5])]
    group, is_said = grouped(crops)
    frames = torch.randn(2, 60, 4)
    cut, outside = group.cut(frames)
    assert cut.shape == (3, 60, 4)
    for row, (window, first, last, text) in enumerate(crops):
        heard = outside[row] == 0
        assert torch.equal(cut[row][heard], frames[window, first:last])
        assert (outside[row][~heard] <= -1e4).all()
        assert group.tokens[row].tolist() == [START, *text, *[END] * (3 - len(text))]
        assert is_said[row].tolist() == [i <= len(text) for i in range(3)]


def test_the_loss_is_of_all_that_is_said() -> None:
    """Nats a token over all groups together, and none of what stands for padding."""
    outputs = (torch.tensor([[-1.0, -2.0], [-4.0, -100.0]]), torch.tensor([[-3.0]]))
    labels = VerifierLabels((torch.tensor([[True, True], [True, False]]), torch.tensor([[True]])))
    assert float(verifier_objective(outputs, labels).total) == pytest.approx((1 + 2 + 4 + 3) / 4)


def test_a_step_has_its_own_batch() -> None:
    """Step n has the same crops whether the run was broken before it or not, and no other step has them."""
    whole = [(inputs.heard.tolist(), inputs.groups[0].tokens.tolist()) for inputs, _ in sampler()(0, 0)]
    rest = [(inputs.heard.tolist(), inputs.groups[0].tokens.tolist()) for inputs, _ in sampler()(0, 5)]
    assert rest == whole[5:]
    assert len({str(batch) for batch in whole}) == SHORT.steps


def test_batches_have_the_sizes_asked_for() -> None:
    """So many windows of one length, up to three crops of each, the shorter half in a group of its own."""
    lengths = set()
    for inputs, labels in sampler()(0, 0):
        lengths.add(inputs.heard.shape[1])
        short, long = inputs.groups
        assert len(inputs) == 4
        assert 6 <= len(short.first) + len(long.first) <= 12
        assert int((short.last - short.first).max()) <= int((long.last - long.first).min())
        assert max(Counter(torch.cat([short.windows, long.windows]).tolist()).values()) <= 3
        assert [said.shape for said in labels.is_said] == [(len(g.first), g.tokens.shape[1] - 1) for g in inputs.groups]
    assert lengths == {60, 70}


def test_collections_are_drawn_by_weight() -> None:
    """Rows of a collection without weight are never drawn, and the others as often as their weights say."""
    config = replace(SHORT, collection_weights={"an4": 0.0}, steps=30)
    cached = block(60, 12, 1)
    hidden = torch.cat([inputs.heard for inputs, _ in sampler(cached, config=config)(0, 0)])
    found = {tuple(row.tolist()) for row in hidden[:, 0]}
    assert found == {tuple(row) for row in cached.frames[1::2, 0].astype(np.float32).tolist()}
    config = replace(SHORT, collection_weights={"an4": 0.25}, steps=200)
    hidden = torch.cat([inputs.heard for inputs, _ in sampler(cached, config=config)(0, 0)])
    rare = {tuple(row) for row in cached.frames[0::2, 0].astype(np.float32).tolist()}
    assert np.mean([tuple(row.tolist()) in rare for row in hidden[:, 0]]) == pytest.approx(0.2, abs=0.05)


def test_windows_of_all_lengths_are_drawn_alike() -> None:
    """A window is drawn as often whether many or few are as long as it."""
    batches = sampler(block(60, 4, 1), block(70, 36, 2), config=replace(SHORT, steps=400))(0, 0)
    assert np.mean([inputs.heard.shape[1] == 60 for inputs, _ in batches]) == pytest.approx(0.1, abs=0.04)


def test_long_texts_are_drawn_again() -> None:
    """No text is longer than the verifier has positions for, its start counted."""
    for inputs, _ in sampler(positions=2)(0, 0):
        assert all(group.tokens.shape[1] <= 3 for group in inputs.groups)


def test_useless_windows_are_not_drawn() -> None:
    """A window that cut words cover nearly whole is left out; where none is left, that is told."""
    good = block(60, 2, 1)
    lost = replace(good.windows[0], left_wildcard=49)
    [(inputs, _)] = sampler(replace(good, windows=(lost, good.windows[1]))).once()
    assert len(inputs) == 1
    with pytest.raises(ManifestError, match="none of 2 cached windows"):
        sampler(replace(good, windows=(lost, lost)))


def test_evaluation_takes_the_same_crops() -> None:
    """Held-out windows are limited in number for each length, and the crops are the same at every call."""
    held_out = sampler()
    first, second = list(held_out.once()), list(held_out.once())
    assert [len(inputs) for inputs, _ in first] == [4, 2, 4, 2]
    for (a, _), (b, _) in zip(first, second, strict=True):
        assert torch.equal(a.heard, b.heard)
        assert all(torch.equal(x.tokens, y.tokens) for x, y in zip(a.groups, b.groups, strict=True))


def test_attention_to_frames_learns_faster() -> None:
    """All that learns is in a group: attention to frames and its norm are new, the rest is as pretrained."""
    made = model()
    groups = {name: {id(p) for p in parameters} for name, parameters in made.parameter_groups().items()}
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    new = {names[i] for i in groups["new"]}
    assert {name.split(".")[3] for name in new} == {"encoder_attn", "encoder_attn_layer_norm"}
    assert len(new) == 9
    learning = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert {names[i] for i in groups["towers"]} == learning - new
    assert not any(name.startswith(("tower.", "verifier.embed_tokens")) for name in learning)


def judged(out: Path) -> list[dict[str, float]]:
    """The evaluations in a training's log."""
    rows = [json.loads(line) for line in (out / "verifier.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "evaluation"]


def likeliest(made: VerifierModel, cached: CachedFrames, first: int, last: int) -> list[tuple[str, ...]]:
    """For each window the text of at most two words that has the greatest probability in the same crop."""
    texts = [text for count in range(3) for text in itertools.product(WORDS, repeat=count)]
    rows = range(len(cached.windows))
    ids = [[WORDS.index(word) + 2 for word in text] for text in texts]
    group, is_said = grouped([(row, first, last, one) for row in rows for one in ids])
    with torch.no_grad():
        [found] = made(VerifierInputs(cached.batch(np.array(rows)), (group,)))
    best = (found * is_said).sum(dim=1).reshape(len(rows), len(texts)).argmax(dim=1)
    return [texts[i] for i in best.tolist()]


def test_it_learns_what_is_said_where(tmp_path: Path) -> None:
    """On frames that name their word, it knows which word a crop of unheard windows holds, and that no more follows."""
    config = replace(SHORT, steps=100, batch_windows=6, rate=1e-2, attention_factor=1.0, average=0.9)
    made, unheard = model(), block(60, 24, 3)
    weights = train_verifier(made, sampler(config=config), sampler(unheard), tmp_path, config)
    load_weights(made, weights, tmp_path)
    made.eval()
    for place, (first, last) in enumerate(((2, 18), (20, 36), (38, 54))):
        truth = [(window.words[place][0],) for window in unheard.windows]
        right = [a == b for a, b in zip(likeliest(made, unheard, first, last), truth, strict=True)]
        assert np.mean(right) > 0.9


class KilledError(Exception):
    """Stands for a kill."""


class MortalSampler(CropSampler):
    """Dies before its seventh batch."""

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(super().__call__(epoch, skip), skip):
            if step == 6:
                raise KilledError
            yield batch


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_training_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after a checkpoint and started again, a run ends with the weights of an unbroken one; finished, it rests."""
    whole = model()
    average = train_verifier(whole, sampler(), sampler(), tmp_path / "whole", SHORT)
    assert equal(average, train_verifier(model(), sampler(), sampler(), tmp_path / "whole", SHORT))
    assert len(judged(tmp_path / "whole")) == 1
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    config = replace(SHORT, checkpoint_every_s=9.5)
    mortal = MortalSampler([block(60, 24, 1), block(70, 24, 2)], tokenizer(), POSITIONS, config)
    with pytest.raises(KilledError):
        train_verifier(model(), mortal, sampler(), tmp_path / "broken", config)
    assert 0 < int((tmp_path / "broken/verifier.resume/LATEST").read_text().split()[0]) < 6
    resumed = model()
    torch.manual_seed(99)  # whatever happened in the new process before
    assert equal(average, train_verifier(resumed, sampler(), sampler(), tmp_path / "broken", config))
    assert equal(whole.state_dict(), resumed.state_dict())


def test_encoder_and_embeddings_stay(tmp_path: Path) -> None:
    """Training changes every weight but those of the encoder and the token embeddings, which keep their bits."""
    made, before = model(), model().state_dict()
    after = train_verifier(made, sampler(), sampler(), tmp_path / "out", SHORT)
    same = {name for name, weight in after.items() if torch.equal(weight, before[name])}
    assert same == {name for name in before if name.startswith(("tower.", "verifier.embed_tokens"))}
    assert made.training
    assert not made.tower.training
