"""The steps of the optimiser, and all that makes the next one what it is: weights, rates, moments and the average."""

from pathlib import Path
from typing import Any, cast

from accelerate import Accelerator
from torch import Tensor, nn

from training.loop.averaging import WeightAverage
from training.loop.config import TrainConfig
from training.loop.gradients import BatchGradients
from training.loop.optimiser import adamw
from training.loop.ports import Inputs, Labels, Learner, Parts
from training.loop.ranks import average_gradients, clip_gradients, same_start
from training.loop.schedule import schedule_for, set_rates
from training.loop.sharding import local_state, restore_local_state, shard_text_tower
from training.loop.trained_models import load_weights, trained_weights
from training.losses.total import Losses


class OptimiserSteps:
    """The model of a run and how it moves. All ranks go through the same steps.

    Args:
        config: all settings.
        parts: what is trained, for what.
        accelerator: device, ranks and precision.
        steps_in_all: of the run, which the schedule of the rate depends on.

    Attributes:
        model: on its device, with the weights of rank 0 on all of them.
        optimiser: AdamW over the model's groups of parameters.
        average: of the weights, which is what is judged and saved.
        schedule: of the rate.
    """

    def __init__(self, config: TrainConfig, parts: Parts, accelerator: Accelerator, steps_in_all: int) -> None:
        self._config, self._accelerator = config, accelerator
        self.model = _prepared(parts.model, accelerator, config.run.fsdp)
        self._learning = [p for p in self.model.parameters() if p.requires_grad]
        # Asked for only now: sharding has put other parameters in the place of those before.
        groups = cast(Learner, self.model).parameter_groups()
        self.optimiser = accelerator.prepare_optimizer(adamw(groups, config.optimiser))
        self.schedule = schedule_for(config.optimiser, steps_in_all)
        self.average = WeightAverage(self.model, config.run.average)
        self._gradients = BatchGradients(parts, accelerator, config.run)

    def gradients(self, step: int, inputs: Inputs, labels: Labels) -> tuple[Losses, float]:
        """Losses and gradients of a batch after `step` steps, clipped, and their norm before that.

        Raises:
            OutOfMemory: it does not fit; the message says what would.
        """
        set_rates(self.optimiser.optimizer, self.schedule.factor(step))
        losses = self._gradients(self.model, inputs, labels)
        average_gradients(self._learning)
        self._accelerator.unscale_gradients(self.optimiser)
        return losses, clip_gradients(self._learning, self._config.optimiser.clip)

    def apply(self, step: int) -> None:
        """Move the weights, which have made `step` steps so far, along their gradients."""
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.average.update(step)

    def rates(self) -> dict[str, float]:
        """`rate_` and the name of a group of parameters -> its rate."""
        return {f"rate_{group['name']}": group["lr"] for group in self.optimiser.param_groups}

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds of the model as it is now. All ranks must call it."""
        return trained_weights(self.model, self._config.model)

    def state(self) -> dict[str, Any]:
        """For the state of an unfinished run. All ranks must call it."""
        scaler = self._accelerator.scaler
        return {
            "weights": self.weights(),
            "average": self.average.state(),
            "optimiser": local_state(self.optimiser.optimizer),
            "scaler": None if scaler is None else scaler.state_dict(),
            "schedule": self.schedule.state(),
            "micro_batch": self._gradients.micro_batch,
        }

    def restore(self, state: dict[str, Any], path: Path) -> None:
        """Go on from a state; `path` is what an error names. Raises CheckpointError where it does not fit."""
        load_weights(self.model, state["weights"], path)
        self.average.restore(state["average"])
        restore_local_state(self.optimiser.optimizer, state["optimiser"])
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state["scaler"])
        self.schedule.restore(state["schedule"])
        self._gradients.micro_batch = state["micro_batch"]


def _prepared(model: nn.Module, accelerator: Accelerator, is_sharded: bool) -> nn.Module:
    model.to(accelerator.device)
    same_start([*model.parameters(), *model.buffers()])
    if is_sharded:
        shard_text_tower(model, accelerator.device)
    # Without the wrapper of DistributedDataParallel: see `training.loop.ranks`.
    prepared: nn.Module = accelerator.prepare_model(model, evaluation_mode=True)
    return prepared
