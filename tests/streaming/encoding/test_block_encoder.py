import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.context import RollingContext
from streaming.encoding.batching import BatchingBlocks, ComputeSlots
from streaming.encoding.block_encoder import BlockEncoders, BlockFrameEncoder
from streaming.encoding.block_shape import BlockShape
from streaming.encoding.block_state import BlockState, BlockStep, StateShape, StepResult
from streaming.encoding.encoded_context import EncodedContext
from streaming.errors import ModelError, SettingError
from streaming.features import MelScale, RawLogMel
from streaming.model_folder import BUNDLED, ModelFolder

Floats = NDArray[np.float32]

BLOCKS = BlockShape(block=4, right=4, look_back=2, positions=12)
STATE = StateShape(layers=1, heads=1, head_width=1, width=2, reach=2)
CONTEXT = 24
HOP = BLOCKS.block * 320
SILENCE = EncodedContext(*(np.full((CONTEXT, width), -7, np.float32) for width in (1, 1, 1, 2)))


class MeanSteps:
    """A frame is the mean of its own log-mel frames; its hidden row also tells what the step was given."""

    def __init__(self, blocks: BlockShape = BLOCKS) -> None:
        self.steps: list[BlockStep] = []
        self.frames = blocks.block + blocks.right

    def run(self, step: BlockStep) -> StepResult:
        # The arrays of a state go on changing.
        self.steps.append(replace(step, unheard=step.unheard.copy()))
        assert step.mel.shape == (80, 2 * self.frames + 2)
        means = step.mel[:, 2:].mean(axis=0).reshape(self.frames, 2).mean(axis=1)[:, None]
        heard = step.keys[0][0, 0][step.unheard == 0].astype(np.float32).sum()
        hidden = np.concatenate([np.full_like(means, heard), np.full_like(means, step.first)], axis=1)
        keys = np.full((1, 1, 4), step.first + 1, np.float16)
        return StepResult(means, means, means, hidden, (keys,), (keys.swapaxes(1, 2),))


class FailingSteps(MeanSteps):
    """Every third step fails once before it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def run(self, step: BlockStep) -> StepResult:
        self.asked += 1
        if self.asked % 3 == 0:
            raise RuntimeError("no memory")
        return super().run(step)


def open_stream(steps: MeanSteps, anew: int = 2, blocks: BlockShape = BLOCKS) -> BlockFrameEncoder:
    """The encoder of a stream with short blocks."""
    return BlockFrameEncoder(steps, blocks, STATE, CONTEXT, SILENCE, 80, anew)


def noise(samples: int, seed: int = 0) -> Floats:
    """With an envelope, so that the scale of the features moves."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0.001, 0.5, samples // 320 + 1), 320)[:samples]
    return (rng.standard_normal(samples) * loud).astype(np.float32)


class Contexts:
    """Feeds a stream to an encoder as the pipeline does."""

    def __init__(self, encoder: BlockFrameEncoder, audio: Floats) -> None:
        self._encoder, self._audio = encoder, audio
        self._context = RollingContext(CONTEXT * 320)
        self.end = 0

    def hop(self, samples: int = HOP, *, asks: bool = True) -> EncodedContext | None:
        self._context.append(self._audio[self.end : self.end + samples])
        self.end += samples
        return self._encoder.encode(self._context.latest()[0], self.end) if asks else None

    def peek(self, samples: int) -> EncodedContext:
        """As if silence followed, which it does not."""
        context = np.concatenate([self._context.latest()[0], np.zeros(samples, np.float32)])[samples:]
        return self._encoder.encode(context, self.end + samples, is_kept=False)


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
    """After the two blocks before the stream, one step a hop, at positions that go round the table."""
    steps = MeanSteps()
    stream = Contexts(open_stream(steps), noise(9 * HOP))
    for _ in range(9):
        stream.hop()
    assert len(steps.steps) == 2 + 8
    assert [step.first for step in steps.steps] == [4 * i % 12 for i in range(10)]


def test_a_step_hears_as_far_back_as_it_should() -> None:
    """Two blocks are looked back on: the step before and the one before that."""
    steps = MeanSteps()
    stream = Contexts(open_stream(steps), noise(6 * HOP))
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


def test_after_a_long_silence_the_stream_begins_anew() -> None:
    """Of what was not asked for only the newest blocks are heard; before them stands silence."""
    steps, audio = MeanSteps(), noise(30 * HOP, 5)
    stream = Contexts(open_stream(steps), audio)
    for _ in range(4):
        stream.hop()
    before = len(steps.steps)
    for _ in range(9):
        stream.hop(asks=False)
    encoded = stream.hop()
    assert encoded is not None
    assert len(steps.steps) - before == 2
    assert (encoded.frames[: CONTEXT - 12] == -7).all()
    assert (encoded.frames[CONTEXT - 12 :] != -7).all()
    assert not (steps.steps[before].unheard == 0).any()


@pytest.mark.parametrize("missed", [1, 3, 5])
def test_missed_hops_that_the_context_holds_are_caught_up_with(missed: int) -> None:
    """A longer hop is heard whole, in as many steps: also four hops of a slow machine with what a flush adds."""
    steps, audio = MeanSteps(), noise(30 * HOP, 6)
    stream = Contexts(open_stream(steps), audio)
    for _ in range(5):
        stream.hop()
    before = len(steps.steps)
    for _ in range(missed):
        stream.hop(asks=False)
    encoded = stream.hop()
    assert encoded is not None
    assert len(steps.steps) - before == missed + 1
    assert (encoded.frames != -7).all()


def _rows(encoded: EncodedContext, first: int, stop: int) -> list[bytes]:
    parts = (encoded.characters, encoded.phonemes, encoded.frames, encoded.hidden)
    return [part[first:stop].tobytes() for part in parts if part is not None]


@pytest.mark.parametrize("right", [2, 4, 8])
@pytest.mark.parametrize("hops", [(HOP,), (HOP // 4,), (3 * HOP, HOP // 2, HOP), (5 * 320, HOP)])
def test_final_rows_never_change(right: int, hops: tuple[int, ...]) -> None:
    """Within a stretch, a later context has the same final rows, whatever is asked for without being kept."""
    audio = noise(40 * HOP)
    blocks = replace(BLOCKS, right=right)
    encoder = open_stream(MeanSteps(blocks), blocks=blocks)
    contexts, before, number = Contexts(encoder, audio), None, 0
    while contexts.end + max(hops) <= len(audio):
        now = contexts.hop(hops[number % len(hops)])
        number += 1
        assert now is not None
        assert 0 <= now.final < CONTEXT
        moved = hops[(number - 1) % len(hops)] // 320
        if before is not None and before.final > moved:
            assert now.stretch == before.stretch
            assert now.final + moved >= before.final
            assert _rows(now, 0, before.final - moved) == _rows(before, moved, before.final)
        made_up = encoder.encode(noise(CONTEXT * 320, number), contexts.end + 2 * HOP, is_kept=False)
        # What stands behind is made up, and nothing more is final than before.
        assert made_up.final == max(0, now.final - 2 * BLOCKS.block)
        assert made_up.stretch == now.stretch
        before = now


def test_a_stretch_ends_where_the_stream_begins_anew() -> None:
    """After a silence that the context does not hold, frames have another stretch; asked for only once, they have none."""
    encoder = open_stream(MeanSteps())
    contexts = Contexts(encoder, noise(40 * HOP))
    first = contexts.hop()
    for _ in range(10):
        contexts.hop(asks=False)
    alone = encoder.encode(noise(CONTEXT * 320), contexts.end, is_kept=False)
    later = contexts.hop()
    assert first is not None
    assert later is not None
    assert (alone.final, alone.stretch) == (0, None)
    assert later.stretch != first.stretch


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
    one = Contexts(open_stream(MeanSteps(short), blocks=short), audio)
    other = Contexts(open_stream(MeanSteps()), audio)
    for _ in range(20):
        found, expected = one.hop(frames * 320), other.hop(frames * 320)
        assert found is not None
        assert expected is not None
        assert found.frames.shape == expected.frames.shape
        np.testing.assert_allclose(found.frames[-10:], expected.frames[-10:], rtol=1e-6)


def test_after_a_failed_step_the_stream_goes_on_where_it_was() -> None:
    """What was heard meanwhile is caught up with; no frame is lost, doubled or moved."""
    audio, steps = noise(20 * HOP, 10), FailingSteps()
    failing, plain = Contexts(open_stream(steps), audio), Contexts(open_stream(MeanSteps()), audio)
    failed = 0
    for _ in range(20):
        expected = plain.hop()
        assert expected is not None
        try:
            found = failing.hop()
        except RuntimeError:
            failed += 1
            continue
        assert found is not None
        np.testing.assert_array_equal(found.frames[-12:], expected.frames[-12:])
    assert failed > 3


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


@pytest.fixture(scope="module")
def bundled() -> BlockEncoders:
    """Those that ship."""
    folder = ModelFolder.load(BUNDLED)
    assert folder.spec.blocks is not None
    return BlockEncoders(folder, folder.spec.blocks)


def hops_of(encoder: BlockFrameEncoder, audio: Floats) -> list[EncodedContext]:
    """What it gives at each hop of 0.32 s."""
    context, found = RollingContext(48_000), []
    for start in range(0, len(audio) - 5119, 5120):
        context.append(audio[start : start + 5120])
        found.append(encoder.encode(context.latest()[0], start + 5120))
    return found


def test_sessions_that_share_steps_hear_what_they_hear_alone(bundled: BlockEncoders) -> None:
    """To the last bit, whoever else is in the batch."""
    voices = [noise(12 * 5120, seed) * (1 + seed) for seed in range(6)]
    alone = [hops_of(bundled.open(), voice) for voice in voices]
    sizes, slots = list[int](), ComputeSlots(1)
    shared = BatchingBlocks(bundled, slots, on_batch=sizes.append)
    together: dict[int, list[EncodedContext]] = {}

    def run(at: int) -> None:
        together[at] = hops_of(shared.open(), voices[at])

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(voices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert max(sizes) > 1
    for at, expected in enumerate(alone):
        for found, want in zip(together[at], expected, strict=True):
            for name in ("characters", "phonemes", "frames", "hidden"):
                np.testing.assert_array_equal(getattr(found, name), getattr(want, name))


def test_a_result_does_not_keep_the_others_of_its_batch(bundled: BlockEncoders) -> None:
    """A stream that falls silent holds its newest frames, and those alone."""
    step = BlockState(bundled.blocks, bundled.graph.state_shape).step(np.zeros((80, 66), np.float32))
    for result in bundled.graph.run_batch([step] * 3):
        for rows in (result.characters, result.phonemes, result.frames, result.hidden):
            assert rows.base is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"block": 8}, r"mel is \(80, 66\) there, and \(80, 50\) is needed"),
        ({"right": 8}, r"mel is \(80, 66\) there, and \(80, 50\) is needed"),
        ({"look_back": 10}, r"unheard is \(144,\) there, and \(160,\) is needed"),
        ({"block": 24, "right": 8, "look_back": 6}, r"new_keys_0 is .* 16\) there, and .* 24\) is needed"),
    ],
)
def test_a_graph_of_other_blocks_is_refused(changes: dict[str, int], named: str) -> None:
    """When the folder is opened, with the file and the cure: not by ONNX Runtime at the first hop."""
    folder = ModelFolder.load(BUNDLED)
    with pytest.raises(ModelError, match=rf"step\.onnx .*{named}; install TermCue again"):
        BlockEncoders(folder, replace(BlockShape(), **changes))


def test_another_graph_is_no_step() -> None:
    """One of spans, say, under the name of the step's."""
    folder = ModelFolder.load(BUNDLED)
    contents = {**folder.contents, "step.onnx": folder.contents["spans.onnx"]}
    with pytest.raises(ModelError, match=r"step\.onnx .*mel is missing"):
        BlockEncoders(replace(folder, contents=contents), BlockShape())


def test_a_stream_needs_less_than_four_megabytes(bundled: BlockEncoders) -> None:
    """Keys, values, features and the remembered context, at any time."""
    encoder = bundled.open()
    at_first = encoder.nbytes
    hops_of(encoder, noise(10 * 5120))
    ten_hops_on = encoder.nbytes
    hops_of(encoder, noise(30 * 5120))
    assert 1_500_000 < at_first <= ten_hops_on == encoder.nbytes < 4_000_000
