import threading
from dataclasses import replace

import numpy as np
import pytest

from streaming.context import RollingContext
from streaming.encoding.batching import BatchingBlocks, ComputeSlots
from streaming.encoding.block_encoder import BlockEncoders, BlockFrameEncoder
from streaming.encoding.block_shape import BlockShape
from streaming.encoding.block_state import BlockState
from streaming.encoding.encoded_context import EncodedContext
from streaming.errors import ModelError
from streaming.model_folder import BUNDLED, ModelFolder
from tests.streaming.encoding.block_streams import Floats, noise

# As one asks who asks at each block, at each decision, and who is behind.
HOPS = (1, 2, 4)


@pytest.fixture(scope="module")
def bundled() -> BlockEncoders:
    """Those that ship."""
    folder = ModelFolder.load(BUNDLED)
    assert folder.spec.blocks is not None
    return BlockEncoders(folder, folder.spec.blocks)


def hops_of(encoder: BlockFrameEncoder, audio: Floats, blocks: int = 1) -> list[EncodedContext]:
    """What it gives at each hop of so many blocks of 0.32 s."""
    context, found, hop = RollingContext(48_000), [], 5120 * blocks
    for start in range(0, len(audio) - hop + 1, hop):
        context.append(audio[start : start + hop])
        found.append(encoder.encode(context.latest()[0], start + hop))
    return found


def test_sessions_that_share_steps_hear_what_they_hear_alone(bundled: BlockEncoders) -> None:
    """To the last bit, whoever else is in the batch; those who ask for two or four blocks at a time beside the others too."""
    voices = [noise(12 * 5120, seed) * (1 + seed) for seed in range(6)]
    alone = [hops_of(bundled.open(), voice, HOPS[at % 3]) for at, voice in enumerate(voices)]
    sizes, slots = list[int](), ComputeSlots(1)
    shared = BatchingBlocks(bundled, slots, on_batch=sizes.append)
    together: dict[int, list[EncodedContext]] = {}

    def run(at: int) -> None:
        together[at] = hops_of(shared.open(), voices[at], HOPS[at % 3])

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


def test_two_blocks_together_are_near_to_one_after_the_other(bundled: BlockEncoders) -> None:
    """They hear each other, so they are not the same; the newest frames of both are heard with the same right context."""
    voice = noise(24 * 5120, 4)
    by_one, by_two = bundled.open(), bundled.open()
    context, differences = RollingContext(48_000), []
    for hop in range(1, 25):
        context.append(voice[(hop - 1) * 5120 : hop * 5120])
        expected = by_one.encode(context.latest()[0], hop * 5120)
        if hop % 2 == 0:
            found = by_two.encode(context.latest()[0], hop * 5120)
            differences.append(np.abs(np.exp(found.characters) - np.exp(expected.characters)).mean())
    assert 0 < max(differences) < 0.01


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
