"""The training loop, on one processor or many: batches in, checkpoints and logs out, the same weights after any break.

Accelerate gives the device, the process group (accelerate launch, torchrun), mixed precision and its scaler.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from training.loop import settings
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.checkpoint_paths import best_path, epoch_path, refuse_other_kind, resume_folder
from training.loop.config import TrainConfig
from training.loop.judging import Judge
from training.loop.logs import RunLog, StepMeans, told
from training.loop.optimiser import accelerator_for
from training.loop.optimiser_steps import OptimiserSteps
from training.loop.ports import Batch, Ended, Inputs, Labels, Outcome, Parts, Progress, TrainingError
from training.loop.random_state import random_state, restore_random_state, seed_everything, undisturbed
from training.loop.ranks import any_rank, of_first_rank
from training.loop.resume import Position, ResumeFiles
from training.loop.stopping import Stopped, StopWish
from training.losses.total import Losses

_LOG = logging.getLogger(__name__)


class Trainer:
    """One run.

    Args:
        config: all settings; `run.save_path` is where checkpoints go.
        parts: what is trained, on what, for what.
        accelerator: None makes one.
        progress: told (steps done, steps in all).
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Parts,
        accelerator: Accelerator | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._config, self._run, self._parts = config, config.run, parts
        self._accelerator = accelerator or accelerator_for(config.run)
        self._device = self._accelerator.device
        self._progress = progress or (lambda done, total: None)
        self._steps = OptimiserSteps(config, parts, self._accelerator, self._steps_in_all())
        self._judge = Judge(self._run)
        self._at = Position()
        self._figures: dict[str, float] = {}
        self._files = ResumeFiles(
            resume_folder(self._run), self._accelerator.process_index, self._accelerator.num_processes
        )
        self._wish = StopWish(is_told=self._accelerator.is_main_process)
        self._means = StepMeans()
        self._log: RunLog | None = None
        self._saved_at = time.monotonic()

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            Stopped: a signal asked for it; the state is saved.
            OutOfMemory: a step does not fit; the message says what would.
            CheckpointError: the disk refused; what was saved before is whole.
            TrainingError: the loss is no longer a number.
        """
        self._begin()
        # A stop may have been asked for in the last step, before it was judged.
        ended: Ended | None = self._end() if self._at.step_of_epoch == 0 else None
        with self._wish.listening(), self._new_log() as self._log:
            while ended is None:
                self._epoch()
                self._evaluate(self._at.epoch)
                if self._run.keep_epochs:
                    self._write(epoch_path(self._run, self._config.data.single_slice, self._at.epoch))
                ended = self._end()
                # After the last epoch too: a disk that refuses the checkpoint does not cost the run.
                self._save_state()
        self._write(self._run.save_path)
        if self._accelerator.is_main_process:
            self._files.clear()
        best = None if not self._judge.has_best else best_path(self._run, self._config.data.single_slice)
        return Outcome(self._run.save_path, best, self._at.step, self._at.epoch, self._figures, ended)

    def _begin(self) -> None:
        """Start anew, or go on from where a run of the same settings stopped."""
        refuse_other_kind(self._config)
        seed_everything(self._run.seed + self._accelerator.process_index)
        if not self._run.resume:
            if self._accelerator.is_main_process:
                self._files.clear()
            self._accelerator.wait_for_everyone()
        state = self._files.read(self._config, self._parts.rows)
        if state is not None:
            self._restore(state)
            _LOG.info("going on after step %d from %s", self._at.step, self._files.folder)

    def _end(self) -> Ended | None:
        if self._judge.is_over:
            return "early"
        if self._at.step == self._run.max_steps:
            return "steps"
        return "epochs" if self._at.epoch >= self._run.epochs else None

    def _epoch(self) -> None:
        """The rest of this epoch."""
        self._steps.model.train()
        batches = iter(self._parts.batches(self._at.epoch, self._at.step_of_epoch))
        while self._at.step != self._run.max_steps and not self._judge.is_over:
            self._renew_negatives()
            batch = self._next(batches)
            is_due = time.monotonic() - self._saved_at >= self._run.checkpoint_every_s
            flags = (batch is None, self._wish.is_raised, is_due, self._judge.is_due(self._at.step))
            at_end, stop, is_due, is_judged = any_rank(flags, self._device)
            if stop or at_end or batch is None:
                break
            if is_judged:
                self._evaluate(self._at.epoch + 1)
            if is_due:
                self._save_state()
            if self._judge.is_over:
                break
            self._step(*batch)
        self._stop_if_asked()
        self._at.epoch += 1
        self._at.step_of_epoch = 0

    def _stop_if_asked(self) -> None:
        if not any_rank((self._wish.is_raised,), self._device)[0]:
            return
        self._save_state()
        _LOG.warning("asked to stop: step %d is saved in %s", self._at.step, self._files.folder)
        raise Stopped(f"stopped after step {self._at.step}; the same command goes on from there")

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        with undisturbed():
            batch = next(batches, None)
        return None if batch is None else (batch[0].to(self._device), batch[1].to(self._device))

    def _renew_negatives(self) -> None:
        mining = self._config.hard_negatives
        # A resumed run begins with the negatives of its state, so only whole intervals count.
        if self._parts.negatives is None or mining is None or self._at.step % mining.refresh_steps:
            return
        with undisturbed(), torch.no_grad():
            self._steps.model.eval()
            self._parts.negatives.renew(self._steps.model)
            self._steps.model.train()

    def _step(self, inputs: Inputs, labels: Labels) -> None:
        """One step of the optimiser."""
        losses, norm = self._steps.gradients(self._at.step, inputs, labels)
        # The scaler of fp16 passes over a step whose gradients overflow; elsewhere they are a fault.
        if self._accelerator.scaler is None and not norm < float("inf"):
            saved = f"The last saved state is in {self._files.folder}" if self._files.is_there else "No state was saved"
            raise TrainingError(
                f"the gradient of step {self._at.step + 1} is {norm}: {told(_values(losses))}. {saved}; "
                "lower the learning rate, or use --bf16 or fp32 instead of --fp16."
            )
        self._steps.apply(self._at.step)
        self._at.step += 1
        self._at.step_of_epoch += 1
        self._means.add(losses.components, losses.total, len(inputs) * self._accelerator.num_processes)
        if self._at.step % self._run.log_every == 0 or self._at.step == self._run.max_steps:
            self._tell(norm)
        self._progress(self._at.step, self._steps_in_all())

    def _evaluate(self, epoch: int) -> None:
        """Judge the weights once, and keep them where they are the best; `epoch` counts from 1."""
        if self._parts.evaluate is None or self._at.judged == self._at.step:
            return
        with undisturbed(), torch.no_grad(), self._steps.average.in_place():
            self._steps.model.eval()
            figures = dict(self._parts.evaluate(self._steps.model, epoch))
            self._steps.model.train()
        self._figures = of_first_rank(figures, self._device)
        self._at.judged = self._at.step
        value = self._judge.merit(self._figures)
        self._steps.schedule.evaluated(value)
        _LOG.info("epoch %d, step %d: %s", epoch, self._at.step, told(self._figures))
        if self._log is not None and self._accelerator.is_main_process:
            self._log.row("evaluation", self._at.step, epoch=epoch, **self._figures)
        if self._judge.is_better(value, self._at.step):
            self._write(best_path(self._run, self._config.data.single_slice))

    def _write(self, path: Path) -> None:
        with self._steps.average.in_place():
            weights = self._steps.weights()
            if self._accelerator.is_main_process:
                checkpoint = Checkpoint(self._config, weights, self._at.step, self._at.epoch, self._figures)
                write_checkpoint(path, checkpoint)
        self._accelerator.wait_for_everyone()

    def _save_state(self) -> None:
        """Write all that a killed run needs to go on exactly."""
        negatives = self._parts.negatives
        state: dict[str, Any] = {
            "config": settings.flat(self._config),
            "rows": self._parts.rows,
            "position": [self._at.epoch, self._at.step_of_epoch, self._at.step, self._at.judged],
            "random": random_state(),
            **self._steps.state(),
            "judge": self._judge.state(),
            "negatives": None if negatives is None else negatives.state_dict(),
            "figures": self._figures,
        }
        self._files.write(self._at.step, state)
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            self._files.publish(self._at.step)
        self._saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self._steps.restore(state, self._files.folder)
        if self._parts.negatives is not None:
            self._parts.negatives.load_state_dict(state["negatives"])
        self._judge.restore(state["judge"])
        self._at = Position(*state["position"])
        self._figures = state["figures"]
        restore_random_state(state["random"])

    def _new_log(self) -> "RunLog | nullcontext[None]":
        if not self._accelerator.is_main_process:
            return nullcontext()
        return RunLog(self._run.logs, self._run.save_path.stem, self._at.step)

    def _tell(self, norm: float) -> None:
        figures = self._means.take() | self._steps.rates() | {"gradient_norm": norm}
        if self._log is not None:
            self._log.row("step", self._at.step, epoch=self._at.epoch + 1, **figures)
            _LOG.info("step %d: %s", self._at.step, told(figures))

    def _steps_in_all(self) -> int:
        steps = self._run.epochs * len(self._parts.batches)
        return steps if self._run.max_steps is None else min(steps, self._run.max_steps)


def _values(losses: Losses) -> dict[str, float]:
    return {name: float(value) for name, value in {**losses.components, "loss": losses.total}.items()}
