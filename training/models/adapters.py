"""Which weights of a pretrained tower learn: low-rank adapters, its last layers, all of it, or none."""

from collections.abc import Iterator
from functools import partial

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from streaming.errors import SettingError
from training.loop.config import LoraSettings

_POSITIONS = "embed_positions."


def choose_trained(body: nn.Module, unfreeze_layers: int | None, lora: LoraSettings | None) -> None:
    """Set which weights of a pretrained network learn.

    Args:
        body: the network.
        unfreeze_layers: so many last layers learn; None: all weights but the table of positions; 0: none.
        lora: adapters beside them, or None.

    Raises:
        SettingError: more layers than there are, or modules that the network does not have.
    """
    layers = layers_of(body)
    if unfreeze_layers is not None and not 0 <= unfreeze_layers <= len(layers):
        raise SettingError(
            f"unfreeze_layers {unfreeze_layers} is out of range: {type(body).__name__} has {len(layers)} layers; "
            f"give 0 to {len(layers)}, or leave it out to train all"
        )
    body.requires_grad_(unfreeze_layers is None)
    for name, parameter in body.named_parameters():
        if name.startswith(_POSITIONS):
            parameter.requires_grad_(False)
    if unfreeze_layers:
        layers[-unfreeze_layers:].requires_grad_(True)
    if lora is not None:
        add_lora(body, lora)


def layers_of(body: nn.Module) -> nn.ModuleList:
    """The stack of layers of a transformer: its list of modules that holds most weights."""
    lists = [module for module in body.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()), default=nn.ModuleList())


def add_lora(body: nn.Module, settings: LoraSettings) -> None:
    """Put adapters on the linear modules that the settings name; other weights learn or not as before.

    Raises SettingError where no module has one of the names.
    """
    linear = {name.rpartition(".")[2] for name, module in body.named_modules() if isinstance(module, nn.Linear)}
    if not linear & set(settings.modules):
        raise SettingError(
            f"no linear module of {type(body).__name__} ends with one of {', '.join(settings.modules)}; "
            f"it has {', '.join(sorted(linear))}"
        )
    # peft freezes all that is no adapter, and what was chosen to learn must still learn.
    learning = [parameter for parameter in body.parameters() if parameter.requires_grad]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=sorted(linear & set(settings.modules)),
    )
    inject_adapter_in_model(config, body)
    for parameter in learning:
        parameter.requires_grad_(True)


def merge_lora(model: nn.Module) -> None:
    """Add every adapter to the weight it stands beside and take it away; what the model computes stays the same."""
    for parent, name, layer in list(_adapted(model)):
        layer.merge(safe_merge=True)
        setattr(parent, name, layer.get_base_layer())


def _adapted(model: nn.Module) -> Iterator[tuple[nn.Module, str, BaseTunerLayer]]:
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, BaseTunerLayer):
                yield parent, name, child


def compute_again_in_backward(body: nn.Module) -> None:
    """Gradient checkpointing (Chen et al., 2016): each layer keeps only its input and runs again in the backward pass.

    The library's own switch also asks for the gradient of the embedded text, which would keep the graph of layers that
    do not learn; here such layers keep nothing. Raises SettingError for a network that cannot do it.
    """
    layers = [module for module in body.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise SettingError(f"{type(body).__name__} cannot compute its layers again; leave gradient checkpointing off")
    again = partial(checkpoint, use_reentrant=False)
    for layer in layers:
        layer.gradient_checkpointing = True
        setattr(layer, "_gradient_checkpointing_func", again)  # noqa: B010 - the library sets it so, undeclared
