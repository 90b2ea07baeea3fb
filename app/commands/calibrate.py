"""`termcue calibrate`: labelled development speech -> the probabilities and thresholds of a model folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import counted, note
from app.options import NamedPath, data_dir_option, json_option, provider_option
from app.training_extra import require_training

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider
    from training.evaluation.fit_streams import FittedCalibration

# Less holds not even six false hints at twelve an hour.
_LEAST_HOURS = 0.5

EPILOG = """\b
SPEECH is a folder of streams, one stream's JSON (name, duration_s, utterances, occurrences, words), or rows of a
corpus, whose recordings are joined into streams. A stream may name its glossaries: talk.json=small.csv,large.csv;
otherwise it is heard with those of --glossary, or with the tables beside it (talk.json, talk.g300.csv).
Use development speech: what was tested on must never choose a threshold.

\b
Examples:
  termcue calibrate --model build/model --speech dev/streams
  termcue calibrate --model build/model --speech dev.jsonl --glossary terms.csv --report calibration.html
  termcue calibrate --model build/model --speech talk.json=terms.csv --check
"""


@click.command(epilog=EPILOG)
@click.option("--model", type=NamedPath(), required=True, metavar="DIR", help="The exported folder to calibrate.")
@click.option("--speech", multiple=True, required=True, metavar="SPEECH", help="Development speech; may be repeated.")
@click.option("--glossary", multiple=True, metavar="FILE|ID", help="Terms to listen for; may be repeated.")
@click.option("--audio-dir", type=NamedPath(), metavar="DIR", help="Where the audio of streams lies.")
@click.option("--check", is_flag=True, help="Only tell; the folder stays as it is.")
@click.option("--report", type=NamedPath(), metavar="FILE", help="Write an HTML page with tables and curves.")
@json_option
@provider_option
@data_dir_option
def calibrate(
    model: Path,
    speech: tuple[str, ...],
    glossary: tuple[str, ...],
    audio_dir: Path | None,
    check: bool,
    report: Path | None,
    as_json: bool,
    provider: "Provider",
    data_dir: Path | None,
) -> None:
    """Fit the probabilities of a model folder, and the thresholds for false hints per hour, to development speech."""
    require_training("calibrate", "ijson", "sklearn", "matplotlib")
    from app.evaluating import check_target, hear, hearing_with, parse_speech, write_result
    from training.evaluation.fit_streams import fit_streams
    from training.export.folder import recalibrate

    check_target(report)
    hearing = hearing_with(model, glossary, audio_dir, data_dir, provider)
    fitted = fit_streams(hear(list(map(parse_speech, speech)), hearing))
    if not check:
        recalibrate(model, fitted.calibration, fitted.report())
    if report is not None:
        from training.evaluation.report import calibration_sections, render

        write_result(report, render(f"Calibration of {model.name}", calibration_sections(fitted)))
    if as_json:
        result = {**fitted.report(), "calibration": fitted.calibration.to_json(), "written": not check}
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        _print(fitted)
    if fitted.hours < _LEAST_HOURS:
        note(
            f"{counted(round(60 * fitted.hours), 'minute')} of speech can tell little of false hints per hour: expect "
            f"other numbers in use, and calibrate with half an hour or more, of several voices"
        )
    if not check:
        note(f"{model} is calibrated on {counted(len(fitted.fits), 'stream')}; published glossaries stay usable")


def _print(fitted: "FittedCalibration") -> None:
    click.echo("recall with weights of other voices, at false hints per hour:")
    click.echo(f"{'stream':24}{'terms':>8}{'12':>8}{'60':>8}{'300':>8}")
    for one in fitted.report()["streams"]:
        recalls = "".join(f"{recall:8.3f}" for recall in one["recall_at_false_hints_per_hour"].values())
        click.echo(f"{one['stream']:24}{one['terms']:8}{recalls}")
    click.echo(f"expected calibration error {fitted.honesty.error:.3f}")
