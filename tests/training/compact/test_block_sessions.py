from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.compact.block_sessions import read_sessions, write_sessions
from training.compact.windows import Session, WindowConfig, make_sessions, make_windows
from training.corpus.manifest import Utterance, Word


def test_sessions_come_back(tmp_path: Path) -> None:
    """Audio within half a step of 16 bits, words and collections as written, from as many folders as there are."""
    rng = np.random.default_rng(0)
    written = [
        Session(rng.uniform(-1, 1, 500 + i).astype(np.float32), (Word("dog", 3, 90 + i),), f"c{i}") for i in range(3)
    ]
    for name, some in (("a", written[:2]), ("b", written[2:]), ("none", [])):
        (tmp_path / name).mkdir()
        assert write_sessions(tmp_path / name, some) == len(some)
    found = read_sessions([tmp_path / name for name in ("a", "b", "none")])
    assert len(found) == 3
    for before, after in zip(written, found, strict=True):
        assert (after.words, after.collection) == (before.words, before.collection)
        assert len(after.audio) == len(before.audio)
        np.testing.assert_allclose(after.between(0, len(before.audio)), before.audio, atol=0.51 / 32767)
        np.testing.assert_allclose(after.between(400, 60), before.audio[400:460], atol=0.51 / 32767)


def test_after_a_session_comes_silence(tmp_path: Path) -> None:
    """A stretch that reaches beyond the end is filled up."""
    write_sessions(tmp_path, [Session(np.ones(10, np.float32), (), "c")])
    [session] = read_sessions([tmp_path])
    assert session.between(6, 8).tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_sessions_are_those_of_the_windows(speak: Callable[..., Utterance]) -> None:
    """Clean windows are tiles of the very sessions, and another copy joins them otherwise."""
    rows = [speak(f"u{i}", [("dog", 0.2, 0.6)], 1.0) for i in range(5)]
    config = WindowConfig(lengths=(50,), weights=(1.0,))
    [session] = make_sessions(rows, config)
    for place, window in enumerate(make_windows(rows, config, None)):
        assert np.array_equal(window.audio, session.audio[place * 16_000 : (place + 1) * 16_000])
    assert len(session.words) == 5
    [other] = make_sessions(rows, config, 1)
    assert len(other.audio) != len(session.audio)
