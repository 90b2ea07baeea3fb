"""Device, precision and AdamW of a run."""

import os
from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.distributed.tensor import DTensor

from streaming.errors import SettingError
from training.loop.config import OptimiserConfig, RunConfig


def accelerator_for(run: RunConfig) -> Accelerator:
    """Device, ranks and precision of a run.

    Raises:
        SettingError: fp16 without a GPU, or with a sharded text tower.
    """
    if run.precision == "fp16" and run.fsdp:
        raise SettingError("--fp16 and --fsdp do not go together: the scaler knows no sharded gradients; use --bf16.")
    if run.precision == "fp16" and not torch.cuda.is_available():
        raise SettingError("--fp16 needs a GPU and none is found; use --bf16, or neither, on a CPU.")
    # Accelerate keeps the precision of the first run of a process for all; the process group stays.
    AcceleratorState._reset_state()
    # Several ranks without a GPU are found only when the CPU is asked for.
    on_cpu = "LOCAL_RANK" in os.environ and not torch.cuda.is_available()
    return Accelerator(mixed_precision="no" if run.precision == "fp32" else run.precision, cpu=on_cpu)


def adamw(groups: Mapping[str, Sequence[nn.Parameter]], config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019): pretrained weights at the rate, new modules at `projection_factor` times it.

    Biases, norms and the temperature decay only if asked for. Sharded parameters have groups of their own, since the
    fused update takes no mixture.
    """
    rates = {"towers": config.rate, "new": config.rate * config.projection_factor}
    made: dict[tuple[str, bool, bool], list[nn.Parameter]] = {}
    for name, parameters in groups.items():
        for parameter in parameters:
            sharded = isinstance(parameter, DTensor)
            made.setdefault((name, config.decay_all or parameter.ndim > 1, sharded), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "name": name, "lr": rates[name], "weight_decay": config.weight_decay * decays}
            for (name, decays, _), parameters in made.items()
        ],
        betas=(0.9, config.second_moment),
    )
