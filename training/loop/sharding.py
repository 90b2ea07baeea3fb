"""The text tower spread over the ranks (FSDP: Zhao et al., 2023), and its tensors on the way to and from a file."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from streaming.errors import SettingError
from training.loop.ranks import world_size


def shard_text_tower(model: nn.Module, device: torch.device) -> None:
    """Keep only this rank's part of the text tower's parameters; each block is gathered when it runs.

    Args:
        model: a retriever whose text tower is the module `text`.
        device: of this rank.

    Raises:
        SettingError: one process only, or no such module.
    """
    if world_size() == 1:
        raise SettingError("--fsdp spreads the text tower over several processes and there is one; leave it out.")
    tower = getattr(model, "text", None)
    if not isinstance(tower, nn.Module):
        raise SettingError(f"--fsdp: {type(model).__name__} has no module named text; leave --fsdp out.")
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for stack in [module for module in tower.modules() if isinstance(module, nn.ModuleList)]:
        for block in stack:
            fully_shard(block, mesh=mesh)
    fully_shard(tower, mesh=mesh)


def whole(value: Tensor) -> Tensor:
    """A tensor as one process would have it. Every rank must call it for a sharded one."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def put(target: Tensor, value: Tensor) -> None:
    """Copy the whole tensor `value` into a parameter, sharded or not."""
    with torch.no_grad():
        if isinstance(target, DTensor):
            value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
        target.copy_(value)


def forget_whole(model: nn.Module) -> None:
    """Drop the gathered copies that a forward pass without a backward pass left, after a change of the shards."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def is_sharded(model: nn.Module) -> bool:
    """Whether any parameter is spread over the ranks."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def local_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state with this rank's part of what is sharded."""
    state = optimiser.state_dict()
    rows = {
        index: {name: value.to_local() if isinstance(value, DTensor) else value for name, value in row.items()}
        for index, row in state["state"].items()
    }
    return state | {"state": rows}


def restore_local_state(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put `local_state` back; the sharding must be as it was."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]

    def sharded(index: int, value: Any) -> Any:  # noqa: ANN401 - states hold tensors and numbers
        parameter = parameters[index]
        if not isinstance(parameter, DTensor) or not isinstance(value, Tensor) or value.ndim == 0:
            return value
        return DTensor.from_local(
            value, parameter.device_mesh, parameter.placements, shape=parameter.shape, stride=parameter.stride()
        )

    rows = {index: {name: sharded(index, v) for name, v in row.items()} for index, row in state["state"].items()}
    optimiser.load_state_dict(state | {"state": rows})
