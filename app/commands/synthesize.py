"""`termcue synthesize`: terms and sentences become speech with exact spans, to train and adapt on."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.notes import counted, note
from app.options import FiniteRange, NamedPath, json_option
from app.training_extra import require_training

if TYPE_CHECKING:
    from training.speech.script import SaidTerm
    from training.speech.speech_commands import SpeechCommand
    from training.speech.synthesis import Outcome

EPILOG = """\b
Examples:
  termcue synthesize --terms terms.txt --out build/speech --copies 4
  termcue synthesize --glossary terms.csv --out build/speech --piper en_GB-alba-medium.onnx --speed 0.9 1.1
  termcue synthesize --sentences talk.txt --out build/speech --noise 0.5 --reverb 0.3
  termcue synthesize --terms terms.txt --out build/speech --command 'say-it --text {text} --wav {out}'
"""
SHOWN = 3
SHARE = FiniteRange(0.0, 1.0)


def _list_voices(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from training.speech.speech_commands import VOICES

    for name, command in VOICES.items():
        click.echo(name if command.is_installed else f"{name}  (not installed; {command.install})")
    context.exit()


@click.command(epilog=EPILOG)
@click.option("--terms", "term_files", multiple=True, type=NamedPath(), metavar="FILE", help="Text, a term a line.")
@click.option(
    "--glossary",
    "glossaries",
    multiple=True,
    type=NamedPath(),
    metavar="FILE",
    help="Glossary in any format of `termcue reindex`; aliases are said too.",
)
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option(
    "--sentences", type=NamedPath(), metavar="FILE", help="Text, a sentence a line; [terms] in square brackets."
)
@click.option("--out", required=True, type=NamedPath(), metavar="DIR", help="Folder of audio/ and manifest.jsonl.")
@click.option("--voice", "voices", multiple=True, metavar="NAME", help="A built-in voice. [default: all installed]")
@click.option(
    "--piper",
    "models",
    multiple=True,
    type=NamedPath(),
    metavar="MODEL.onnx",
    help="A voice of Piper, its MODEL.onnx.json beside it.",
)
@click.option(
    "--command",
    "templates",
    multiple=True,
    metavar="TEMPLATE",
    help="Any program that writes a sound file: a command with {text} and {out}.",
)
@click.option(
    "--list-voices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_voices,
    help="List the built-in voices and stop.",
)
@click.option("--copies", type=click.IntRange(1), default=1, show_default=True, help="Voices for each line.")
@click.option(
    "--speed",
    type=FiniteRange(0.5, 2.0),
    nargs=2,
    default=(1.0, 1.0),
    show_default=True,
    metavar="LOW HIGH",
    help="Range of the speaking rate.",
)
@click.option("--noise", type=SHARE, default=0.0, metavar="SHARE", help="Share of the lines with noise. [default: 0]")
@click.option(
    "--snr-db",
    type=FiniteRange(-20.0, 60.0),
    nargs=2,
    default=(5.0, 30.0),
    show_default=True,
    metavar="LOW HIGH",
    help="How far the noise is below the speech.",
)
@click.option("--reverb", type=SHARE, default=0.0, metavar="SHARE", help="Share of the lines in a room. [default: 0]")
@click.option(
    "--telephone", type=SHARE, default=0.0, metavar="SHARE", help="Share of the lines by telephone. [default: 0]"
)
@click.option(
    "--no-term-share",
    type=FiniteRange(0.0, 0.9),
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Share of rows without a term: your sentences without one, and everyday phrases.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of carriers, gaps, speeds and noise.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Lines spoken at once. [default: one a core]")
@json_option
def synthesize(
    *,
    term_files: tuple[Path, ...],
    glossaries: tuple[Path, ...],
    aliases: Path | None,
    sentences: Path | None,
    out: Path,
    voices: tuple[str, ...],
    models: tuple[Path, ...],
    templates: tuple[str, ...],
    copies: int,
    speed: tuple[float, float],
    noise: float,
    snr_db: tuple[float, float],
    reverb: float,
    telephone: float,
    no_term_share: float,
    seed: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Speak terms in carriers, and sentences, with several voices.

    Each row of DIR/manifest.jsonl tells where each term and each word is; `termcue train` reads it. A run that was
    stopped goes on where it stopped; new terms, voices or copies are added to what is there.
    """
    require_training("synthesize", "ijson")
    from app.progress import progress_bar
    from training.speech.effects import Effects
    from training.speech.script import Script
    from training.speech.synthesis import MANIFEST, Pace, read_lines, synthesise

    lines = read_lines(sentences) if sentences is not None else []
    terms, left_out = _terms(term_files, glossaries, aliases)
    if not lines and not terms:
        raise click.UsageError("nothing to say: give --terms, --glossary or --sentences")
    script = Script(
        sentences=tuple(lines),
        terms=tuple(terms),
        voices=tuple(_voices(voices, models, templates)),
        copies=copies,
        no_term_share=no_term_share,
        effects=Effects(speed, noise, snr_db, reverb, telephone),
        seed=seed,
    )
    with progress_bar("speech") as progress:
        outcome = synthesise(script, out, Pace(jobs or os.cpu_count() or 1), progress)
    report = _report(outcome, left_out, out / MANIFEST, len(script))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print_report(report)


def _terms(
    files: Sequence[Path], glossaries: Sequence[Path], aliases: Path | None
) -> tuple[list["SaidTerm"], list[str]]:
    """Terms with the ways to say them, and those that cannot be said in a-z."""
    from index_builder.surface import spoken_forms
    from training.speech.script import SaidTerm
    from training.speech.synthesis import read_lines

    written = [term for file in files for term in read_lines(file)]
    if glossaries:
        from app.glossaries import GlossarySettings, read_glossaries

        _, glossary = read_glossaries(glossaries, "glossary", GlossarySettings(aliases=aliases))
        written += [text for each in glossary.entries for text in (each.entry.term, *each.entry.aliases)]
    elif aliases is not None:
        raise click.UsageError("--aliases names other terms of a glossary: give --glossary too")
    readings = {term: tuple(spoken_forms(term)) for term in dict.fromkeys(written)}
    return [SaidTerm(t, r) for t, r in readings.items() if r], [t for t, r in readings.items() if not r]


def _voices(names: Sequence[str], models: Sequence[Path], templates: Sequence[str]) -> list["SpeechCommand"]:
    """The voices asked for; without any, the built-in ones whose programs are here."""
    from training.speech.speech_commands import VOICES, SpeechCommand, SynthesisError, piper

    unknown = [name for name in names if name not in VOICES]
    if unknown:
        raise click.UsageError(f"there is no voice {unknown[0]!r}; see: termcue synthesize --list-voices")
    chosen = [VOICES[name] for name in names]
    chosen += [piper(model) for model in models]
    chosen += [SpeechCommand(f"command-{i}", template) for i, template in enumerate(templates, 1)]
    if chosen:
        return chosen
    installed = [command for command in VOICES.values() if command.is_installed]
    if not installed:
        raise SynthesisError(
            "no speech synthesiser is installed; on Debian: apt install espeak-ng flite; or name one with --piper "
            "or --command"
        )
    return installed


def _report(outcome: "Outcome", left_out: Sequence[str], manifest: Path, lines: int) -> dict[str, Any]:
    return {
        "type": "SynthesisReport",
        "manifest": str(manifest),
        "lines": lines,
        "new": outcome.new,
        "kept": outcome.kept,
        "new_no_term": outcome.no_term,
        "new_seconds": round(outcome.seconds, 3),
        "failed": outcome.failed,
        "unspeakable_terms": list(left_out),
    }


def _print_report(report: dict[str, Any]) -> None:
    for reason in report["failed"]:
        click.echo(f"failed    {reason}")
    if unspeakable := report["unspeakable_terms"]:
        shown = ", ".join(map(repr, unspeakable[:SHOWN])) + (", …" if len(unspeakable) > SHOWN else "")
        note(f"{counted(len(unspeakable), 'term')} cannot be said in a-z and left out: {shown}")
    click.echo(
        f"{counted(report['lines'], 'line')}: {report['new']} spoken now ({report['new_no_term']} without a term, "
        f"{report['new_seconds']:.0f} s), {report['kept']} there already, {len(report['failed'])} failed"
    )
    note(f"rows are in {report['manifest']}")
