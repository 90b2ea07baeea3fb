import pytest
import torch
from torch import nn

from training.models.precision import DTYPES, computing_in, computing_in_fp32, store_in

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_products_run_in_the_precision(precision: str) -> None:
    """Inside the block a product has the type of the precision; an inner block can ask for fp32 again."""
    layer, x = nn.Linear(3, 2), torch.randn(1, 3)
    with computing_in(precision, CPU):  # type: ignore[arg-type]
        assert layer(x).dtype == DTYPES[precision]  # type: ignore[index]
        with computing_in_fp32(CPU):
            assert layer(x).dtype == torch.float32


def test_fp32_leaves_an_outer_block_alone() -> None:
    """A tower in fp32 under the autocast of the loop computes as the loop says."""
    with computing_in("bf16", CPU), computing_in("fp32", CPU):
        assert nn.Linear(3, 2)(torch.randn(1, 3)).dtype == torch.bfloat16


def test_trained_weights_are_fp32_and_frozen_ones_are_not() -> None:
    """The optimiser never sees a 16-bit weight; buffers and whole numbers keep their type."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    module[0].requires_grad_(False)
    store_in(module.to(torch.float16), "bf16")
    assert (module[0].weight.dtype, module[1].weight.dtype) == (torch.bfloat16, torch.float32)
    assert module[2].running_mean is not None
    assert module[2].running_mean.dtype == torch.float16
