"""The gradients of one batch, in parts where it can be cut and in smaller ones where memory runs out."""

import logging

import torch
from accelerate import Accelerator
from torch import nn

from training.loop.config import RunConfig
from training.loop.memory import OutOfMemory, advice, fitting_here, is_out_of_memory, resting_bytes
from training.loop.ports import CachedStep, Inputs, Labels, Parts
from training.loop.random_state import random_state, restore_random_state
from training.losses.total import Losses

_LOG = logging.getLogger(__name__)


class BatchGradients:
    """Losses of a batch, with their gradients in the parameters.

    Attributes:
        micro_batch: rows of a pass; halved where memory runs out.

    Args:
        parts: objective and, where inputs can be cut, the cached step.
        accelerator: carries a loss back, scaled for fp16.
        run: micro-batch, and whether it may be halved.
    """

    def __init__(self, parts: Parts, accelerator: Accelerator, run: RunConfig) -> None:
        self.micro_batch = run.micro_batch or run.batch_size
        self._objective, self._cached_step = parts.objective, parts.cached_step
        self._accelerator, self._may_halve = accelerator, run.auto_micro_batch

    def __call__(self, model: nn.Module, inputs: Inputs, labels: Labels) -> Losses:
        """Forward and backward.

        Raises:
            OutOfMemory: it does not fit; the message says which micro-batch would.
        """
        if self._cached_step is not None:
            return self._in_parts(self._cached_step, model, inputs, labels)
        losses = self._objective(model(inputs), labels)
        self._accelerator.backward(losses.total)
        return losses.detach()

    def _in_parts(self, cached_step: CachedStep, model: nn.Module, inputs: Inputs, labels: Labels) -> Losses:
        """Where memory runs out, again with a smaller micro-batch."""
        device = self._accelerator.device
        while True:
            before, resting = random_state(), resting_bytes(device)
            try:
                return cached_step(model, inputs, labels, self._objective, self.micro_batch, self._accelerator.backward)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                size = min(self.micro_batch, len(inputs))
                smaller = fitting_here(size, resting, device)
                sentence = advice(size, smaller, device)
                # With several ranks the others wait in the middle of the step: only a new start helps.
                if size == 1 or not self._may_halve or self._accelerator.num_processes > 1:
                    raise OutOfMemory(sentence) from error
            # Outside the handler: the error's traceback holds the tensors of the pass.
            _LOG.warning("%s Trying %d.", sentence, smaller)
            model.zero_grad()
            self.micro_batch = smaller
            if device.type == "cuda":
                torch.cuda.empty_cache()
            restore_random_state(before)
