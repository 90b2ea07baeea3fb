"""Settings -> a run: rows, glossary, retriever, losses and evaluation put together and trained."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from training.corpus.audio import length_of
from training.corpus.examples import Example
from training.corpus.glossary import TrainingGlossary, read_training_glossary
from training.corpus.rows import read_examples
from training.corpus.splits import check_leaks
from training.evaluation.banks import BankConfig
from training.evaluation.evaluate import EvaluationConfig, EvaluationTerms
from training.evaluation.retriever import evaluate_retriever
from training.loop import settings
from training.loop.batches import BatchConfig, BatchMaker
from training.loop.checkpoint_paths import refuse_other_kind, resume_folder
from training.loop.config import TrainConfig
from training.loop.loading import Loader
from training.loop.optimiser import accelerator_for
from training.loop.ports import JUDGED_BY, Objective, Outcome, Parts, Progress
from training.loop.pronunciations import Pronunciations
from training.loop.random_state import seed_everything
from training.loop.resume import ResumeFiles
from training.loop.run_lock import run_lock
from training.loop.run_rows import RunRows, gather_rows, reopen_rows
from training.loop.sampling import RowLengths, SamplingConfig
from training.loop.trainer import Trainer
from training.losses.grad_cache import cached_step
from training.losses.mining import HardNegatives, TermBank
from training.losses.total import Losses, total_loss
from training.models.base_folder import pinned
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs
from training.models.retriever import DualEncoder, build_retriever
from training.speech.augmentation import AugmentationConfig

_LOG = logging.getLogger(__name__)
_SHOWN = (
    *(f"{part}recall@{k}" for part in ("", "seen_", "unseen_") for k in (1, 5, 10, 20)),
    *("mrr", "auroc_term_no_term", "rejection_rate", "recall@threshold", "threshold"),
)
"""What is logged of an evaluation; `termcue evaluate` gives all of it."""


class TrainingBatches:
    """The batches of the loop: those of the loader, with hard negatives as they are mined at the time.

    Args:
        loader: rows as tensors.
        negatives: what was mined, or None.
        per_batch: hard negatives of a batch.
        seed: of their draw.
    """

    def __init__(self, loader: Loader, negatives: HardNegatives | None, per_batch: int, seed: int) -> None:
        self._loader, self._negatives, self._per_batch, self._seed = loader, negatives, per_batch, seed

    def __len__(self) -> int:
        return self._loader.steps_per_epoch

    def __call__(self, epoch: int, skip: int) -> Iterator[tuple[RetrieverInputs, RetrieverLabels]]:
        """The batches of an epoch from step `skip` on."""
        for step, batch in enumerate(self._loader.batches(epoch, skip), skip):
            if self._negatives is not None:
                rng = np.random.default_rng([self._seed, epoch, step])
                drawn = self._negatives.draw(batch.terms, self._per_batch, rng)
                batch = self._loader.maker.with_negatives(batch, drawn)
            yield batch.inputs, batch.labels


class EpochEvaluation:
    """Recall, rejection and the like on held-out rows.

    Args:
        rows: held out.
        glossary: of the run.
        seen: entries that training rows say.
        full_every: epochs between evaluations against the whole glossary too; 0: none.
        loss: of the held-out rows, where the run is judged by it.
        text_field: what the text tower reads for a term.
    """

    def __init__(
        self,
        rows: Sequence[Example],
        glossary: TrainingGlossary,
        seen: frozenset[int],
        full_every: int,
        loss: Callable[[], float] | None = None,
        text_field: Literal["term", "short_description"] = "term",
    ) -> None:
        self._rows, self._glossary, self._seen, self._full_every = rows, glossary, seen, full_every
        self._loss, self._config = loss, EvaluationConfig(BankConfig(text_field=text_field))

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Figures of the bank of spoken terms, and under ``full/`` of the whole glossary."""
        figures = self._judged(model, ())
        if self._full_every and epoch % self._full_every == 0:
            # As `termcue evaluate` takes it: aliases are said too.
            every = tuple(said for said, _ in self._glossary.forms())
            figures |= {f"full/{name}": value for name, value in self._judged(model, every).items()}
        return figures if self._loss is None else figures | {"loss": self._loss()}

    def _judged(self, model: nn.Module, bank: Sequence[str]) -> dict[str, float]:
        terms = EvaluationTerms(glossary=bank, texts=self._glossary, seen=self._seen)
        found = evaluate_retriever(model, self._rows, terms, self._config)  # type: ignore[arg-type]
        scores = found.results[found.main].scores
        named = {name.replace("recall_at_", "recall@"): value for name, value in scores.items()}
        figures = {name: named[name] for name in _SHOWN if isinstance(named.get(name), (int, float))}
        return {JUDGED_BY: 0.0, **{name: float(value) for name, value in figures.items() if value is not None}}


def glossary_of(config: TrainConfig) -> TrainingGlossary:
    """The glossary of the settings; an empty one where none is named."""
    data = config.data
    return TrainingGlossary(()) if data.glossary is None else read_training_glossary(data.glossary, data.aliases)


def rows_of(config: TrainConfig, glossary: TrainingGlossary, accelerator: Accelerator) -> RunRows:
    """The rows of a run, gathered by the first rank and opened by all."""
    path = config.run.save_path.with_name(f"{config.run.save_path.stem}.rows") / "train.jsonl"
    if accelerator.is_main_process:
        gather_rows(config.data, glossary.group_of, path)
    accelerator.wait_for_everyone()
    return reopen_rows(path)


def loader_of(
    config: TrainConfig, rows: RunRows, model: DualEncoder, glossary: TrainingGlossary, rank: int = 0, world: int = 1
) -> Loader:
    """The batches of one rank."""
    data, run = config.data, config.run
    made = BatchConfig(
        mel_bins=model.mel_bins,
        spans_per_row=data.spans_per_row,
        text_field=data.text_field,
        with_texts=config.losses.audio_text > 0,
        augmentation=AugmentationConfig() if data.augment else None,
    )
    return Loader(
        rows.examples,
        rows.lengths,
        BatchMaker(made, model.text.tokenise, glossary, Pronunciations()),
        SamplingConfig(run.batch_size * world, data.no_term_share, run.seed),
        rank=rank,
        world=world,
        workers=data.workers,
        max_bad_share=data.max_bad_share,
    )


def objective_of(config: TrainConfig, model: DualEncoder, across_ranks: bool = True) -> Objective:
    """The weighted sum of all losses, over the rows of all ranks or one; hard negatives count where they are mined."""
    losses = config.losses if config.hard_negatives is not None else replace(config.losses, hard_negative=0.0)

    def objective(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        return total_loss(outputs, labels, losses, model.log_scale, across_ranks)

    return objective


def held_out_rows(config: TrainConfig, rows: RunRows) -> list[Example]:
    """The test rows; none where none are named. Raises SettingError where they leak into training."""
    if config.data.test is None:
        _LOG.warning("there are no test rows: no best checkpoint and no early stop; name some with --test-samples")
        return []
    found = [e for e in read_examples([config.data.test]) if config.data.no_term or not e.is_no_term]
    check_leaks(rows.examples, found, allow_leak=config.data.allow_leak)
    return found


def held_out_loss(
    config: TrainConfig, held_out: Sequence[Example], model: DualEncoder, glossary: TrainingGlossary
) -> Callable[[], float]:
    """The mean loss of the model, as it is when asked, over the batches of held-out rows; always the same ones."""
    samples = np.array([example.samples or length_of(example) for example in held_out], np.int64)
    no_term = np.array([example.is_no_term for example in held_out], bool)
    as_they_are = replace(
        config,
        data=replace(config.data, augment=False, no_term_share=1.0),
        run=replace(config.run, batch_size=min(config.run.batch_size, len(held_out))),
    )
    rows = RunRows(held_out, RowLengths(samples, no_term), frozenset(), ())
    loader = loader_of(as_they_are, rows, model, glossary)
    objective = objective_of(as_they_are, model, across_ranks=False)

    def loss() -> float:
        device = model.log_scale.device
        batches = ((b.inputs.to(device), b.labels.to(device)) for b in loader.batches(0))
        return float(torch.stack([objective(model(inputs), labels).total for inputs, labels in batches]).mean())

    return loss


def negatives_of(config: TrainConfig, rows: RunRows, glossary: TrainingGlossary) -> HardNegatives | None:
    """Hard negatives from the terms said in the rows, or from the whole glossary too; None where they are off."""
    mining = config.hard_negatives
    if mining is None:
        return None
    bank = [*rows.terms, *((e.term for e in glossary.terms) if mining.source == "glossary" else ())]

    def text_of(term: str) -> str:
        return glossary.text_of(term, config.data.text_field)

    return HardNegatives(rows.terms, TermBank.of(bank, glossary), glossary, text_of, mining.candidates)


def run_training(config: TrainConfig, progress: Progress | None = None) -> Outcome:
    """Train by the settings; goes on where a killed run of the same settings stopped.

    Args:
        config: the settings.
        progress: told (steps done, steps in all).

    Raises:
        SettingError: settings that cannot work with these rows.
        TermCueError: rows, models or checkpoints that cannot be used, memory or disk that ran out.
    """
    settings.check(config)
    config = replace(config, model=pinned(config.model))
    accelerator = accelerator_for(config.run)
    with run_lock(config.run) if accelerator.is_main_process else nullcontext():
        refuse_before_rows(config, accelerator)
        return _run(config, accelerator, progress)


def refuse_before_rows(config: TrainConfig, accelerator: Accelerator) -> None:
    """Refuse a run that would not go on from the state that is there before its rows replace those of that state.

    Raises:
        SettingError: other settings, or a checkpoint of another kind in the way.
        CheckpointError: what is there is damaged.
    """
    refuse_other_kind(config)
    if config.run.resume:
        files = ResumeFiles(resume_folder(config.run), accelerator.process_index, accelerator.num_processes)
        files.refuse_other_settings(config)


def _run(config: TrainConfig, accelerator: Accelerator, progress: Progress | None) -> Outcome:
    glossary = glossary_of(config)
    _LOG.info("reading rows")
    rows = rows_of(config, glossary, accelerator)
    _tell(rows, config)
    held_out = held_out_rows(config, rows)
    # New modules are drawn here, the same on every rank and in every start.
    seed_everything(config.run.seed)
    _LOG.info("loading %s", config.model.model_name or "random weights")
    model = build_retriever(config.model, config.run.precision, temperature=config.losses.temperature)
    loader = loader_of(config, rows, model, glossary, accelerator.process_index, accelerator.num_processes)
    negatives = negatives_of(config, rows, glossary)
    per_batch = 0 if config.hard_negatives is None else config.hard_negatives.per_batch
    batches = TrainingBatches(loader, negatives, per_batch, config.run.seed)
    evaluate = None
    if held_out:
        loss = held_out_loss(config, held_out, model, glossary) if config.run.judged_by == "loss" else None
        evaluate = EpochEvaluation(
            held_out, glossary, rows.groups, config.run.full_eval_every, loss, config.data.text_field
        )
    parts = Parts(model, batches, objective_of(config, model), evaluate, negatives, cached_step, rows.digest)
    return Trainer(config, parts, accelerator, progress).run()


def _tell(rows: RunRows, config: TrainConfig) -> None:
    """What there is to learn from."""
    _LOG.info("%d rows (%d without a term)", len(rows.lengths.samples), int(rows.lengths.no_term.sum()))
    if not rows.timed and config.losses.alignment:
        _LOG.warning(
            "no row has timed words, so the alignment learns nothing: termcue listen finds nothing with such a model; "
            "rows of termcue align and termcue synthesize have them"
        )
