"""`termcue validate-audio`: which audio of a corpus cannot be trained on, and why."""

import json
import time
from pathlib import Path

import click

from app.notes import counted, note
from app.options import json_option
from app.progress import progress_bar
from app.training_extra import require_training

EPILOG = """\b
Examples:
  termcue validate-audio data/audio
  termcue validate-audio data/xl_term_level_chunks_merged.json --json
  termcue validate-audio train.tsv dev.tsv --workers 8
"""
_SHOWN_EVERY = 100


@click.command("validate-audio", epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    metavar="N",
    help="Files that are read at the same time.",
)
@json_option
def validate_audio(paths: tuple[Path, ...], workers: int, as_json: bool) -> None:
    """Check audio: there, readable, 16 kHz, mono, 0.01 to 30 s, not silent, all samples finite.

    PATHS are sound files, folders of them, and files of training rows or segments, whose audio is checked as far as
    each row uses it. Each bad one is listed with its reason; the exit status is 1 if there is any.
    """
    require_training("validate-audio", "ijson")
    from training.corpus.audio_checks import check_all

    started = time.monotonic()
    files = bad = 0
    with progress_bar("checking") as progress:
        for found in check_all(paths, workers):
            files += 1
            if files % _SHOWN_EVERY == 0:
                progress(files, files)
            if found is None:
                continue
            bad += 1
            row = {"type": "BadAudio", "path": found.name, "reason": found.reason}
            click.echo(json.dumps(row, ensure_ascii=False) if as_json else f"{found.name}: {found.reason}")
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        click.echo(json.dumps({"type": "AudioReport", "files": files, "bad": bad, "seconds": seconds}))
    else:
        note(f"{counted(files, 'file')} checked in {seconds:.1f} s, {bad} cannot be used")
    if bad:
        raise click.exceptions.Exit(1)
