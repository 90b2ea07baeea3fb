import numpy as np
import pytest
import torch

from streaming.encoding.block_shape import BlockShape
from training.export.activation_ranges import measure_ranges, range_of
from training.models.block_encoder import BlockEncoder
from training.models.heads import HeadConfig

SHAPE = BlockShape(block=8, right=4, look_back=2)
# Two channels, the second of which is always far above 0.
LOWS, HIGHS = np.array([-1, 9], np.float32), np.array([2, 11], np.float32)


def test_a_range_holds_all_channels() -> None:
    """And nothing is subtracted."""
    found = range_of(LOWS, HIGHS)
    assert (found.low, found.high) == (-1, 11)
    assert not found.middle.any()


def test_a_channel_far_from_zero_does_not_widen_a_centred_range() -> None:
    """The middle of each channel is subtracted first."""
    found = range_of(LOWS, HIGHS, is_centred=True)
    np.testing.assert_array_equal(found.middle, [0.5, 10])
    assert (found.low, found.high) == (-1.5, 1.5)


def test_zero_is_always_in_the_range() -> None:
    """It has an integer of its own, with which convolutions are padded."""
    assert range_of(LOWS[1:], HIGHS[1:]).low == 0
    assert range_of(-HIGHS[1:], -LOWS[1:]).high == 0


def test_every_product_of_an_encoder_is_measured() -> None:
    """Under the name of its module, channels last in linear layers and first in convolutions."""
    torch.manual_seed(2)
    encoder = BlockEncoder(width=32, heads=4, layers=1, head=HeadConfig(frame_width=32, width=24)).eval()
    mels = [np.random.default_rng(seed).uniform(-1, 1.5, (80, 53)).astype(np.float32) for seed in range(2)]
    found = measure_ranges(encoder, SHAPE, mels, lambda name: name.endswith(".qkv"))
    assert found["conv1"].low == pytest.approx(-1, abs=0.01)
    assert found["conv1"].high == pytest.approx(1.5, abs=0.01)
    assert found["layers.0.narrow"].low >= -0.171
    assert found["layers.0.qkv"].middle.any()
    assert not found["layers.0.widen"].middle.any()
    widths = {name: len(one.middle) for name, one in found.items()}
    convolutions = {f"head.convolutions.{i}.convolution": 24 for i in range(2)}
    heads = {"head.inner": 32, "head.characters": 24, "head.phonemes": 24}
    layer = {"layers.0.qkv": 32, "layers.0.out": 32, "layers.0.widen": 32, "layers.0.narrow": 128}
    assert widths == {"conv1": 80, "conv2": 32, **layer, **convolutions, **heads}
    assert not any(module._forward_pre_hooks for module in encoder.modules())
