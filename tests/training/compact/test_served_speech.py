from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.encoding.block_encoder import BlockEncoders
from streaming.encoding.block_shape import BlockShape
from streaming.model_folder import BUNDLED, ModelFolder
from training.compact.served_speech import ServedSession, read_served, served_steps, write_served
from training.compact.windows import Session
from training.corpus.manifest import Word

CONTEXT = 48_000
SMALL = BlockShape(4, 3, 2)


@pytest.fixture(scope="module")
def encoders() -> BlockEncoders:
    """Of the bundled model."""
    folder = ModelFolder.load(BUNDLED)
    assert folder.spec.blocks is not None
    return BlockEncoders(folder, folder.spec.blocks)


@pytest.fixture(scope="module")
def audio() -> NDArray[np.float32]:
    """4.5 s of noise that is louder here and there, and some samples that are no whole frame."""
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0.01, 0.2, 15), 4800)
    return (loudness * rng.standard_normal(len(loudness))).astype(np.float32)[:-77]


def session(steps: int, blocks: BlockShape = SMALL) -> ServedSession:
    """Every frame says when it was heard: the number of its step and, of provisional ones, a half beside it."""
    frames = np.empty((steps, blocks.block + blocks.right, 2), np.float16)
    for step in range(steps):
        frames[step, :, 0] = np.arange(blocks.block + blocks.right) + step * blocks.block
        frames[step, :, 1] = step
        frames[step, blocks.block :, 1] += 0.5
    return ServedSession(frames, (("dog", 1.0, 3.0),), "c", blocks)


def test_frames_are_those_that_a_stream_reads(encoders: BlockEncoders, audio: NDArray[np.float32]) -> None:
    """After each hop, the newest frames are what the encoder of a stream gives for its context, in half precision."""
    blocks = encoders.blocks
    found = ServedSession(served_steps(encoders, audio, CONTEXT), (), "c", blocks)
    assert len(found.steps) == (len(audio) // 320 - blocks.right) // blocks.block == 13
    stream = encoders.open(anew=1)
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), audio])
    for step in range(1, 14):
        end = blocks.block * step + blocks.right
        hidden = stream.encode(padded[end * 320 : end * 320 + CONTEXT], end * 320).hidden
        assert hidden is not None
        first = max(0, end - len(hidden))
        np.testing.assert_array_equal(found.heard(first, end, end), hidden[first - end :].astype(np.float16))


def test_what_is_asked_for_soon_is_provisional() -> None:
    """Frames are final from the step on that has a block behind them; later steps give the same."""
    one = session(5)
    assert one.frames == 20
    # Four frames and three after them were heard in the first step.
    assert one.heard(1, 7, 7).tolist() == [[1, 0], [2, 0], [3, 0], [4, 0.5], [5, 0.5], [6, 0.5]]
    assert one.heard(1, 7, 8).tolist() == [[1, 0], [2, 0], [3, 0], [4, 1], [5, 1], [6, 1]]
    assert one.heard(5, 7, 7).tolist() == [[5, 0.5], [6, 0.5]]
    assert one.heard(1, 7, 1000).tolist() == one.heard(1, 7, 12).tolist()
    assert one.heard(18, 23, 1000).tolist() == [[18, 4], [19, 4], [20, 4.5], [21, 4.5], [22, 4.5]]
    with pytest.raises(ValueError, match="frame 8 has not been heard after 1 steps"):
        one.heard(1, 8, 7)


def test_sessions_come_back(encoders: BlockEncoders, audio: NDArray[np.float32], tmp_path: Path) -> None:
    """From as many folders as there are, words in frames; a session too short for a step is left out."""
    words = (Word("dog", 1600, 4800), Word("cat", 6400, 8080))

    def sessions(length: int) -> Iterator[Session]:
        yield Session(audio[:length], words, "c")
        yield Session(audio[:9000], (), "too short")

    width = encoders.graph.state_shape.width
    for name, length in (("a", 20_000), ("b", 30_000)):
        (tmp_path / name).mkdir()
        steps = write_served(tmp_path / name, sessions(length), encoders, CONTEXT)
        assert steps == (length // 320 - 16) // 16
    (tmp_path / "none").mkdir()
    assert write_served(tmp_path / "none", [], encoders, CONTEXT) == 0
    found = read_served([tmp_path / "a", tmp_path / "none", tmp_path / "b"], encoders.blocks, width)
    assert [(len(one.steps), one.collection) for one in found] == [(2, "c"), (4, "c")]
    assert found[0].words == (("dog", 5.0, 15.0), ("cat", 20.0, 25.25))
    np.testing.assert_array_equal(found[1].steps, served_steps(encoders, audio[:30_000], CONTEXT))
