from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.spans import FRAME_SAMPLES
from training.compact.windows import Window, WindowConfig, make_windows
from training.corpus.manifest import Utterance
from training.speech.augmentation import AugmentationConfig

Speak = Callable[..., Utterance]
CONFIG = WindowConfig(lengths=(50,), weights=(1.0,), gap_s=(0.0, 0.001), cut_margin_s=0.06)
"""One-second windows, joins without audible gaps."""


@pytest.fixture
def spoken(speak: Speak) -> list[Utterance]:
    """Eight recordings of two speakers, a word every 0.3 s."""
    return [
        speak(f"u{i}", [(f"w{'abcdefgh'[i]}", 0.3 * k, 0.3 * k + 0.25) for k in range(8)], 2.5, speaker=f"s{i % 2}")
        for i in range(8)
    ]


def same(a: list[Window], b: list[Window]) -> bool:
    """Whether two lists of windows are equal to the bit."""
    return len(a) == len(b) and all(
        np.array_equal(x.audio, y.audio) and x.words == y.words and x.left_wildcard == y.left_wildcard
        for x, y in zip(a, b, strict=True)
    )


def test_whole_words_keep_their_place(speak: Speak) -> None:
    """Words inside a window are kept with positions from its start, and a word cut by an edge is a wildcard there."""
    utterance = speak("u", [("one", 0.2, 0.5), ("cut", 0.9, 1.2), ("two", 1.4, 1.7), ("last", 1.9, 2.3)], 3.2)
    first, second, third = make_windows([utterance], CONFIG, None)
    shift = 16  # the longest gap before the utterance, in samples
    assert [w.text for w in first.words] == ["one"]
    assert abs(first.words[0].start_sample - 3_200) <= shift
    assert abs(first.words[0].end_sample - 8_000) <= shift
    assert (first.left_wildcard, first.right_wildcard) == (0, -(-(1_600 + 960) // FRAME_SAMPLES))
    assert [w.text for w in second.words] == ["two"]
    assert abs(second.words[0].start_sample - 6_400) <= shift
    assert second.left_wildcard in (13, 14)  # 0.2 s of "cut" and the margin of 0.06 s
    assert second.right_wildcard == 8
    assert third.words == ()
    assert third.left_wildcard in (18, 19)


def test_word_longer_than_a_window_covers_it(speak: Speak) -> None:
    """A window inside one word holds nothing whole and is a wildcard from end to end."""
    windows = list(make_windows([speak("u", [("endless", 0.1, 3.1)], 3.3)], CONFIG, None))
    assert windows[1].words == ()
    assert windows[1].left_wildcard == 50


def test_windows_tile_the_speech(spoken: list[Utterance]) -> None:
    """Each word is whole in one window at most, in its order, and windows have exactly the lengths asked for."""
    windows = list(make_windows(spoken, WindowConfig(lengths=(50, 75), weights=(0.5, 0.5)), None))
    assert {len(w.audio) // FRAME_SAMPLES for w in windows} <= {50, 75}
    for window in windows:
        starts = [w.start_sample for w in window.words]
        assert starts == sorted(starts)
        assert all(0 <= w.start_sample < w.end_sample <= len(window.audio) for w in window.words)
    texts = [w.text for window in windows for w in window.words]
    assert all(texts.count(text) <= 8 for text in set(texts))


def test_same_copy_is_the_same(spoken: list[Utterance]) -> None:
    """A copy is the same at every call and differs from the next copy."""
    config = AugmentationConfig()
    first = list(make_windows(spoken, CONFIG, config, copy=1))
    assert same(first, list(make_windows(spoken, CONFIG, config, copy=1)))
    assert not same(first, list(make_windows(spoken, CONFIG, config, copy=2)))


def test_order_of_rows_within_a_call_is_left_alone(spoken: list[Utterance]) -> None:
    """Making windows does not reorder the caller's list."""
    before = list(spoken)
    list(make_windows(spoken, CONFIG, None))
    assert spoken == before


def test_speakers_and_collections_are_not_mixed(speak: Speak) -> None:
    """A session holds one speaker of one collection."""
    rows = [speak(f"{c}{s}{i}", [(f"{c}{s}", 0.1, 0.4)], 1.0, s, c) for c in "ab" for s in "xy" for i in range(4)]
    for window in make_windows(rows, WindowConfig(lengths=(150,), weights=(1.0,), gap_s=(0.0, 0.1)), None):
        assert len({w.text for w in window.words}) <= 1
        assert all(w.text.startswith(window.collection) for w in window.words)


def test_words_follow_a_change_of_speed(speak: Speak) -> None:
    """Faster speech has its words sooner: the bounds are divided by the same factor as the audio's length."""
    config = WindowConfig(lengths=(50,), weights=(1.0,), gap_s=(0.0, 0.001), speed=(1.25, 1.25))
    none = AugmentationConfig(reverb_share=0, noise_share=0, babble_share=0, telephone_share=0)
    (window,) = make_windows([speak("u", [("word", 0.5, 1.0)], 1.5)], config, none)
    assert abs(window.words[0].start_sample - 6_400) <= 16
    assert abs(window.words[0].end_sample - 12_800) <= 16


@pytest.mark.parametrize("augmentation", [None, AugmentationConfig(1.0, 1.0, 1.0, 1.0)])
def test_audio_stays_finite(spoken: list[Utterance], augmentation: AugmentationConfig | None) -> None:
    """Every window is float32 in the range of 16-bit samples."""
    for window in make_windows(spoken, CONFIG, augmentation):
        audio: NDArray[np.float32] = window.audio
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()
        assert np.abs(audio).max() <= 1.0
