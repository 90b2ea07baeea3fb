from dataclasses import replace

import numpy as np
import pytest

from streaming.encoding.block_state import BlockState, StepResult
from streaming.errors import SettingError
from streaming.features import MelScale, RawLogMel
from tests.streaming.encoding.block_streams import (
    BLOCKS,
    CONTEXT,
    HOP,
    STATE,
    Contexts,
    Floats,
    MeanSteps,
    noise,
    open_stream,
)


def means_of(audio: Floats, hops: int) -> Floats:
    """The slow twin: what each frame of so many hops is, of features that are computed over the whole stream."""
    padded = np.concatenate([np.zeros(CONTEXT * 320, np.float32), audio[: hops * HOP]])
    scale, rows, frames = MelScale(CONTEXT * 2), [], 2 * BLOCKS.block
    raw = RawLogMel(80)
    for hop in range(1, hops + 1):
        end = CONTEXT * 320 + hop * HOP
        # A stream begins with a whole context of silence.
        first = 2 * CONTEXT if hop == 1 else frames
        rows.append(scale(raw(padded[:end], first)))
    means: Floats = np.concatenate(rows).mean(axis=1).reshape(-1, 2).mean(axis=1)
    return means[-hops * BLOCKS.block :]


def test_every_frame_is_that_of_the_whole_stream() -> None:
    """Whatever a hop gives is what a pass over the whole stream gives, the newest frames included."""
    steps, audio = MeanSteps(), noise(20 * HOP)
    stream = Contexts(open_stream(steps), audio)
    for hop in range(1, 20):
        encoded = stream.hop()
        assert encoded is not None
        newest = min(CONTEXT, hop * BLOCKS.block)
        np.testing.assert_allclose(encoded.frames[-newest:, 0], means_of(audio, hop)[-newest:], rtol=1e-5)
        assert len(encoded.frames) == CONTEXT


def test_each_block_is_run_once() -> None:
    """After the two blocks before the stream, heard together, one step a hop, at positions that go round the table."""
    steps = MeanSteps()
    stream = Contexts(open_stream(steps), noise(9 * HOP))
    for _ in range(9):
        stream.hop()
    assert steps.frames == [12, *[8] * 8]
    assert [step.first for step in steps.steps] == [0, *(4 * i % 12 for i in range(2, 10))]


@pytest.mark.parametrize(("together", "hops", "frames"), [(1, 2, [8, 8]), (2, 2, [12]), (2, 3, [12, 8]), (3, 3, [16])])
def test_blocks_that_wait_are_heard_together(together: int, hops: int, frames: list[int]) -> None:
    """Who asks less often gets what one gets who asks at each hop, but for the scale of the features, in fewer steps."""
    audio, steps = noise(24 * HOP, 5), MeanSteps()
    often = Contexts(open_stream(MeanSteps()), audio)
    seldom = Contexts(open_stream(steps, anew=hops, together=together), audio)
    for _ in range(4):
        expected = [often.hop() for _ in range(hops)][-1]
        found = seldom.hop(hops * HOP)
        assert found is not None
        assert expected is not None
        heard = min(CONTEXT, often.end // 320)
        np.testing.assert_allclose(found.frames[-heard:], expected.frames[-heard:], atol=0.05)
    assert steps.frames == 4 * frames


def test_a_step_hears_as_far_back_as_it_should() -> None:
    """Two blocks are looked back on: the step before and the one before that."""
    steps = MeanSteps()
    stream = Contexts(open_stream(steps, together=1), noise(6 * HOP))
    for _ in range(5):
        stream.hop()
    assert [int((step.unheard == 0).sum()) for step in steps.steps] == [0, 4, 8, 8, 8, 8]
    encoded = stream.hop()
    # The newest step is that of block 6; the keys of a block are its position and one more, four times.
    assert encoded is not None
    assert encoded.hidden is not None
    assert encoded.hidden[-1, 0] == 4 * ((4 * 5 % 12 + 1) + (4 * 4 % 12 + 1))


def test_what_is_not_kept_changes_nothing() -> None:
    """A flush in the middle of a stream, whatever its length, leaves the next hops as they would have been."""
    audio, peeking, plain = noise(12 * HOP, 3), MeanSteps(), MeanSteps()
    one, other = Contexts(open_stream(peeking), audio), Contexts(open_stream(plain), audio)
    for hop in range(12):
        found, expected = one.hop(), other.hop()
        assert found is not None
        assert expected is not None
        for name in ("characters", "phonemes", "frames", "hidden"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        peeked = one.peek(320 * (1 + hop % 7))
        assert len(peeked.frames) == CONTEXT
        # What was heard stands where it stood, moved by what was made up.
        moved = 1 + hop % 7
        kept = min(hop, 3) * BLOCKS.block
        np.testing.assert_array_equal(
            peeked.frames[CONTEXT - moved - BLOCKS.block - kept : CONTEXT - moved - BLOCKS.block],
            found.frames[CONTEXT - BLOCKS.block - kept : CONTEXT - BLOCKS.block],
        )


def test_hops_need_not_be_blocks() -> None:
    """At an end inside a block the newest frames are heard as if silence followed, and nothing is lost."""
    audio = noise(30 * HOP, 7)
    stream = Contexts(open_stream(MeanSteps()), audio)
    for _ in range(12):
        encoded = stream.hop(3 * 320)
        assert encoded is not None
        assert len(encoded.frames) == CONTEXT
        assert (encoded.frames[-3:] != -7).all()


@pytest.mark.parametrize("frames", [1, 3])
def test_the_right_context_may_be_shorter_than_the_block(frames: int) -> None:
    """Wherever a hop ends, its newest frames are the last rows: the same as with a longer right context."""
    short, audio = replace(BLOCKS, right=2), noise(30 * HOP, 9)
    one = Contexts(open_stream(MeanSteps(), blocks=short), audio)
    other = Contexts(open_stream(MeanSteps()), audio)
    for _ in range(20):
        found, expected = one.hop(frames * 320), other.hop(frames * 320)
        assert found is not None
        assert expected is not None
        assert found.frames.shape == expected.frames.shape
        np.testing.assert_allclose(found.frames[-10:], expected.frames[-10:], rtol=1e-6)


def test_a_context_of_another_length_is_refused() -> None:
    """Its frames would stand where they were not heard; the cure names the setting."""
    with pytest.raises(SettingError, match=r"context of 9600 samples .* give context_ms = 480"):
        open_stream(MeanSteps()).encode(np.zeros(9600, np.float32), 320)


def test_a_new_stream_knows_nothing_of_the_old_one() -> None:
    """`reset` gives what a new encoder gives."""
    audio, encoder = noise(8 * HOP, 8), open_stream(MeanSteps())
    first = Contexts(encoder, audio)
    expected = [first.hop() for _ in range(8)]
    encoder.reset()
    again = Contexts(encoder, audio)
    for want in expected:
        found = again.hop()
        assert want is not None
        assert found is not None
        np.testing.assert_array_equal(found.frames, want.frames)


def test_two_blocks_are_kept_as_one_after_the_other() -> None:
    """The same keys in the same places, across the end of the ring too."""
    blocks = replace(BLOCKS, look_back=3)
    one, other = BlockState(blocks, STATE), BlockState(blocks, STATE)
    rows = np.arange(24, dtype=np.float32)[:, None]
    keys = rows.astype(np.float16)[:, :, None]

    def of(first: int, last: int) -> StepResult:
        part = rows[first:last]
        hidden = np.repeat(part, 2, axis=1)
        return StepResult(part, part, part, hidden, (keys[first:last],), (keys[first:last],))

    for first in (0, 4, 8, 12):
        one.keep(of(first, first + 8))
    for first in (0, 8):
        other.keep(of(first, first + 12))
    mel = np.zeros((80, 18), np.float32)
    expected, found = one.step(mel), other.step(mel)
    np.testing.assert_array_equal(found.keys[0], expected.keys[0])
    np.testing.assert_array_equal(found.before, expected.before)
    assert found.first == expected.first == 16 % BLOCKS.positions


def test_a_copied_state_goes_its_own_way() -> None:
    """The copy is equal, and what one keeps the other does not."""
    state = BlockState(BLOCKS, STATE)
    result = MeanSteps().run(state.step(np.zeros((80, 18), np.float32)))
    state.keep(result)
    copy = state.copy()
    assert copy.nbytes == state.nbytes
    state.keep(result)
    one, other = (each.step(np.zeros((80, 18), np.float32)) for each in (state, copy))
    assert (one.unheard == 0).sum() == 8
    assert (other.unheard == 0).sum() == 4
    assert (one.first, other.first) == (8, 4)
