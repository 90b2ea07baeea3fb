"""Number formats: frozen weights are kept in the format of the forward pass, trained ones always in fp32.

Micikevicius et al., "Mixed Precision Training" (2018): an update is often smaller than the last bit of a 16-bit weight.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeAlias

import torch
from torch import nn

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Products inside the block run in `precision`; for fp32 an outer autocast stays as it is."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def computing_in_fp32(device: torch.device) -> AbstractContextManager[object]:
    """Products inside the block run in fp32 whatever the block around it says."""
    return torch.autocast(device.type, enabled=False)


def store_in(module: nn.Module, precision: Precision) -> None:
    """Cast the frozen parameters to `precision` and the trained ones to fp32.

    Buffers stay: rotary frequencies in 16 bits would move late positions.
    """
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(torch.float32 if parameter.requires_grad else DTYPES[precision])
