"""`termcue train`: rows of speech with their terms become a retriever."""

import json
from typing import TYPE_CHECKING, Any

import click

from app.notes import counted, note
from app.options import json_option
from app.slurm_jobs import slurm_options, submit_job, taken_job
from app.training_options import hyphens, training_options
from app.training_settings import settings_of, with_training_glossary

if TYPE_CHECKING:
    from training.loop.config import TrainConfig
    from training.loop.ports import Outcome

EPILOG = """\b
Presets:
  debug, production, multi-gpu, term-only, hard-negative, custom-model   the six examples
  quick-check, standard, high-performance, rejection-focused             the four combinations
  qwen2-audio, 24gb, compact                                             which model, for which card
  adapt                                                                  the bundled model goes on learning
\b
Examples:
  termcue train --preset debug
  termcue train --preset production --test-samples data/samples/xl/term_level_chunks_500000_1000000.json
  termcue train --preset custom-model --model-name models/my-qwen2-audio --gpu-ids 0
  termcue train --preset compact --train rows.jsonl --test-samples test.jsonl --glossary terms.json
  termcue train --preset adapt --train build/speech/manifest.jsonl --glossary terms.csv
  termcue train --preset production --show-settings > mine.json
  termcue train --settings mine.json --epochs 20
  termcue train --preset hard-negative --slurm --slurm-gpus 4 --slurm-time 2-00:00:00

A run that is stopped or killed goes on with the same command. See also: termcue doctor --plan PRESET.
"""


@click.command(epilog=EPILOG, context_settings={"token_normalize_func": hyphens})
@training_options
@slurm_options
@click.option("--show-settings", is_flag=True, help="Print the settings as JSON and stop.")
@json_option
@click.pass_context
def train(
    context: click.Context,
    /,
    slurm: bool,
    slurm_dry_run: bool,
    show_settings: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - all settings of a training
) -> None:
    """Train a retriever on rows of speech with their terms; `termcue export` makes a model folder of it.

    Options given here change those of the preset, or of a file of settings. Several GPUs, several processes and several
    machines (accelerate launch, torchrun, Slurm) train one model together.
    """
    job = taken_job(options)
    config = settings_of(context, options)
    if show_settings:
        from training.loop.settings import written

        click.echo(json.dumps(written(config), indent=None if as_json else 1))
        return
    from training.loop.overrides import check_files

    check_files(config)
    config = with_training_glossary(config)
    if slurm or slurm_dry_run:
        submit_job(config, job, slurm_dry_run, as_json)
        return
    report(train_with_bar(config), as_json)


def train_with_bar(config: "TrainConfig") -> "Outcome":
    """Train with a progress bar on standard error."""
    from app.progress import progress_bar
    from training.loop import launch

    with progress_bar(f"training {config.run.save_path.stem}") as progress:
        return launch.train(config, progress)


def report(outcome: "Outcome", as_json: bool) -> None:
    """Say how a training ended."""
    from training.loop.launch import outcome_json
    from training.loop.logs import told

    if as_json:
        click.echo(json.dumps({"type": "TrainReport", **outcome_json(outcome)}))
        return
    why = {"epochs": "all epochs are done", "steps": "--max-steps is reached", "early": "it no longer got better"}
    click.echo(
        f"{counted(outcome.steps, 'step')} in {counted(outcome.epochs, 'epoch')}: {why[outcome.ended]}"
        + (f"; {told(outcome.figures)}" if outcome.figures else "")
    )
    note(f"wrote {outcome.checkpoint}" + (f" and, of the best epoch, {outcome.best}" if outcome.best else ""))
