import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from app.evaluating import evaluation_terms
from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.glossary import TrainingGlossary, TrainingTerm, read_training_glossary
from training.corpus.rows import read_examples, write_examples
from training.corpus.splits import LeakError
from training.evaluation.retriever import evaluate_retriever
from training.loop.assemble import (
    EpochEvaluation,
    TrainingBatches,
    loader_of,
    negatives_of,
    objective_of,
    run_training,
)
from training.loop.checkpoint_files import read_checkpoint
from training.loop.config import HardNegativeConfig, TrainConfig
from training.loop.presets import preset
from training.loop.run_lock import lock_path
from training.loop.run_rows import gather_rows
from training.models.retriever import build_retriever

TERMS = ("kalman filter", "lattice", "ion", "spline", "entropy", "tensor")


def write_rows(folder: Path, speaker: str, seed: int) -> Path:
    """Noise for each term and for two rows without one."""
    folder.mkdir(parents=True)
    rng, rows = np.random.default_rng(seed), []
    for i, term in enumerate((*TERMS, "", "")):
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.standard_normal(24_000) * 0.1, 16_000)
        spans = (TermSpan(term, 3_200, 14_400),) if term else ()
        rows.append(Example(f"{speaker}{i}", path, 0, 24_000, term or "nothing", spans, (), f"{speaker}{i}", speaker))
    write_examples(folder / "rows.jsonl", rows)
    return folder / "rows.jsonl"


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """The tiny preset on eight rows, judged on those of another speaker."""
    tiny = preset("tiny")
    return replace(
        tiny,
        data=replace(
            tiny.data,
            train=(write_rows(tmp_path / "train", "ann", 0),),
            test=write_rows(tmp_path / "test", "bob", 1),
            no_term_share=0.25,
        ),
        run=replace(tiny.run, epochs=2, batch_size=4, save_path=tmp_path / "out" / "a_full.pt", logs=tmp_path / "logs"),
    )


def test_settings_become_a_checkpoint(config: TrainConfig) -> None:
    """Every epoch is judged, the best one is kept, and the checkpoint holds the settings and figures."""
    outcome = run_training(config)
    assert (outcome.epochs, outcome.steps, outcome.ended) == (2, 4, "epochs")
    assert outcome.best is not None
    kept = read_checkpoint(outcome.checkpoint)
    assert kept.config == config
    assert {"recall@1", "recall@10", "seen_recall@10", "rejection_rate"} <= kept.figures.keys()
    steps = [json.loads(line) for line in (config.run.logs / "a_full.jsonl").read_text("utf-8").splitlines()]
    assert {"audio_text", "audio_term", "no_term", "wrong_span", "alignment"} <= steps[0].keys()


def test_a_run_is_judged_by_its_held_out_loss(config: TrainConfig) -> None:
    """Asked for by its settings, the best weights are those of the least loss on the test rows, averaged or not."""
    judged = replace(
        config,
        optimiser=replace(config.optimiser, schedule="cosine"),
        run=replace(config.run, judged_by="loss", average=0.5, evaluate_every_steps=1, epochs=3),
    )
    outcome = run_training(judged)
    assert outcome.best is not None
    rows = [json.loads(line) for line in (config.run.logs / "a_full.jsonl").read_text("utf-8").splitlines()]
    losses = {row["step"]: row["loss"] for row in rows if row["kind"] == "evaluation"}
    assert len(losses) > 3
    assert read_checkpoint(outcome.best).figures["loss"] == min(losses.values())


def test_reading_processes_change_nothing(config: TrainConfig, tmp_path: Path) -> None:
    """With audio read by another process the weights are the same to the bit."""
    first = read_checkpoint(run_training(config).checkpoint).weights
    other = replace(
        config,
        data=replace(config.data, workers=1),
        run=replace(config.run, save_path=tmp_path / "other" / "b_full.pt"),
    )
    second = read_checkpoint(run_training(other).checkpoint).weights
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_test_rows_from_training_are_refused(config: TrainConfig) -> None:
    """A speaker in both is an error that names the speaker; asked for, it is let through."""
    assert config.data.test is not None
    rows = config.data.test.read_text("utf-8").replace('"speaker": "bob"', '"speaker": "ann"')
    config.data.test.write_text(rows, "utf-8")
    with pytest.raises(LeakError, match="ann"):
        run_training(config)
    allowed = replace(config, data=replace(config.data, allow_leak=True), run=replace(config.run, max_steps=1))
    assert run_training(allowed).steps == 1


def test_without_test_rows_it_says_so(config: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    """No test rows: a warning, no best checkpoint, all epochs."""
    with caplog.at_level(logging.WARNING, "training"):
        outcome = run_training(replace(config, data=replace(config.data, test=None)))
    assert outcome.best is None
    assert outcome.epochs == 2
    assert "--test-samples" in caplog.text


def test_mined_terms_become_columns(config: TrainConfig, tmp_path: Path) -> None:
    """After mining, batches hold glossary terms that no row says, but no alias of one that is said."""
    glossary = TrainingGlossary([*map(TrainingTerm, (*TERMS, "bishop", "walnut")), TrainingTerm("ions of salt")])
    glossary = TrainingGlossary(glossary.terms, {"ionic": "ion"})
    mining = replace(config, hard_negatives=HardNegativeConfig("glossary", candidates=4, per_batch=3, refresh_steps=1))
    rows = gather_rows(mining.data, glossary.group_of, tmp_path / "rows.jsonl")
    torch.manual_seed(0)
    model = build_retriever(mining.model)
    negatives = negatives_of(mining, rows, glossary)
    assert negatives is not None
    batches = TrainingBatches(loader_of(mining, rows, model, glossary), negatives, 3, 1)
    (plain, before), *_ = list(batches(0, 0))
    negatives.renew(model)
    (mined, after), *_ = list(batches(0, 0))
    assert torch.equal(plain.mel, mined.mel)
    assert len(before.term_keys) < len(after.term_keys) <= len(before.term_keys) + 3
    assert len(mined.terms["letters"]) == len(after.term_keys)


def test_hard_negatives_count_only_where_mined(config: TrainConfig, tmp_path: Path) -> None:
    """Off, their loss is 0; on, it is not."""
    glossary = TrainingGlossary(())
    rows = gather_rows(config.data, glossary.group_of, tmp_path / "rows.jsonl")
    torch.manual_seed(0)
    model = build_retriever(config.model)
    inputs, labels = next(TrainingBatches(loader_of(config, rows, model, glossary), None, 0, 1)(0, 0))
    with torch.no_grad():
        outputs = model(inputs)
        without = objective_of(config, model)(outputs, labels)
        with_mining = objective_of(replace(config, hard_negatives=HardNegativeConfig()), model)(outputs, labels)
    assert float(without.components["hard_negative"]) == 0.0
    assert float(with_mining.components["hard_negative"]) > 0.0


def unfinished(config: TrainConfig) -> TrainConfig:
    """A run that was stopped after its first step, and its settings."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    config = replace(config, run=replace(config.run, checkpoint_every_s=0.0, evaluate_every_steps=0))

    def after_a_save(done: int, total: int) -> None:
        if done == 2:
            stop(done, total)

    with pytest.raises(KeyboardInterrupt):
        run_training(config, after_a_save)
    return config


def test_a_refused_run_leaves_the_rows_of_the_one_that_is_there(config: TrainConfig, tmp_path: Path) -> None:
    """Other settings are refused before other rows are gathered in the place of those of the unfinished run."""
    config = unfinished(config)
    kept = config.run.save_path.parent / "a_full.rows/train.jsonl"
    before = kept.read_bytes()
    other = replace(config, data=replace(config.data, train=(write_rows(tmp_path / "other", "eve", 5),)))
    with pytest.raises(SettingError, match=r"unfinished run with other settings .*data\.train"):
        run_training(other)
    assert kept.read_bytes() == before


def test_changed_rows_do_not_go_on(config: TrainConfig, tmp_path: Path) -> None:
    """Rows that changed under the same name are refused with the cure; --fresh trains on them."""
    config = unfinished(config)
    rows = config.data.train[0]
    rows.write_text(rows.read_text("utf-8").replace("lattice", "lettuce"), "utf-8")
    with pytest.raises(SettingError, match=r"unfinished run on other rows.*--fresh"):
        run_training(config)
    fresh = replace(config, run=replace(config.run, resume=False, max_steps=1))
    assert run_training(fresh).steps == 1


def test_two_runs_with_one_save_path_are_refused(config: TrainConfig) -> None:
    """A process that trains there holds the lock; when it is killed the next one may."""
    path = lock_path(config.run)
    path.parent.mkdir(parents=True)
    text = (
        "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SettingError, match=r"another run trains to .*a_full\.pt"):
            run_training(config)
        assert not (path.parent / "a_full.rows").exists()
        holder.kill()
        holder.wait()
    assert run_training(replace(config, run=replace(config.run, max_steps=1))).steps == 1


def test_a_run_says_what_it_begins_with(config: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    """Rows are counted, the model is named, and rows without timed words are warned of."""
    with caplog.at_level(logging.INFO, "training"):
        run_training(replace(config, run=replace(config.run, max_steps=1)))
    for sentence in ("reading rows", "8 rows (2 without a term)", "loading ", "no row has timed words"):
        assert sentence in caplog.text


def test_full_figures_are_those_of_the_command(config: TrainConfig, tmp_path: Path) -> None:
    """With aliases, the bank of an epoch's evaluation is that of `termcue evaluate --aliases`."""
    assert config.data.test is not None
    glossary, aliases = tmp_path / "g.json", tmp_path / "a.json"
    glossary.write_text(json.dumps({term: {"term": term} for term in TERMS}), "utf-8")
    aliases.write_text(json.dumps({f"{term} thing": term for term in TERMS} | {"noise": "ion"}), "utf-8")
    known = read_training_glossary(glossary, aliases)
    rows = list(read_examples([config.data.test]))
    model = build_retriever(config.model).eval()
    figures = EpochEvaluation(rows, known, frozenset(), 1)(model, 1)
    terms = evaluation_terms(glossary, aliases, None, ())
    found = evaluate_retriever(model, rows, replace(terms, seen=frozenset()))
    scores = found.results[found.main].scores
    assert figures["full/recall@1"] == scores["recall_at_1"]
    assert figures["full/mrr"] == scores["mrr"]
