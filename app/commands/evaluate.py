"""`termcue evaluate`: how much a retriever finds, how well it keeps silent, and what a long stream shows of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.notes import counted, note
from app.options import FiniteRange, NamedPath, data_dir_option, json_option, provider_option
from app.training_extra import require_training

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider
    from training.evaluation.evaluate import Evaluation

EPILOG = """\b
Examples:
  termcue evaluate --samples test.jsonl --glossary terms.json
  termcue evaluate --model data/qwen2_audio_term_level_best.pt --samples test.json --development dev.json
  termcue evaluate --model build/model --samples test.jsonl --distractors words.txt --bank-sizes 1000,10000,100000
  termcue evaluate --model build/model --stream talk.json=talk.csv --report talk.html
"""
SHOWN = (
    "recall_at_1", "recall_at_5", "recall_at_10", "recall_at_20", "mrr", "seen_recall_at_10", "unseen_recall_at_10",
    "auroc_term_no_term", "recall_at_threshold", "rejection_rate",
)  # fmt: skip
TASK = "TermCueRetrieval"


def _bank_sizes(context: click.Context, parameter: click.Parameter, value: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Text or a list of a configuration file -> whole numbers; anything else is a usage error."""
    if value is None:
        return ()
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    try:
        sizes = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        sizes = (0,)
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(f"{value!r} is no list of numbers of terms; write 1000,10000.", context, parameter)
    return sizes


@click.command(epilog=EPILOG)
@click.option("--model", type=NamedPath(), metavar="DIR|CHECKPOINT", help="What is judged. [default: the bundled one]")
@click.option("--samples", type=NamedPath(), multiple=True, metavar="FILE", help="Test rows; may be repeated.")
@click.option(
    "--development",
    type=NamedPath(),
    multiple=True,
    metavar="FILE",
    help="Rows that choose the threshold. [default: each half of the test recordings for the other]",
)
@click.option(
    "--training", type=NamedPath(), multiple=True, metavar="FILE", help="Training rows: which terms were seen."
)
@click.option("--allow-leak", is_flag=True, help="Judge also rows that share a recording or a speaker with --training.")
@click.option("--glossary", type=NamedPath(), metavar="FILE", help="All terms that are searched among.")
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option(
    "--text-field",
    type=click.Choice(["term", "short_description"]),
    default="term",
    show_default=True,
    help="What the text tower reads for a term.",
)
@click.option("--distractors", type=NamedPath(), metavar="FILE", help="Terms of nobody's glossary, for large banks.")
@click.option("--bank-sizes", callback=_bank_sizes, metavar="N[,N...]", help="Judge also in banks of so many terms.")
@click.option(
    "--recall",
    type=FiniteRange(0.0, 1.0, min_open=True),
    default=0.9,
    show_default=True,
    help="What the threshold must leave on the development rows.",
)
@click.option("--control", is_flag=True, help="Judge an untrained encoder too: what chance gives.")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="FILE[=GLOSSARY]",
    help="A long recording with its reference, heard as listeners hear it; may be repeated.",
)
@click.option("--audio-dir", type=NamedPath(), metavar="DIR", help="Where the audio of streams lies.")
@click.option("--out", type=NamedPath(), metavar="FILE", help="Write the JSON, with MTEB's names, there too.")
@click.option("--report", type=NamedPath(), metavar="FILE", help="Write an HTML page with tables and curves.")
@json_option
@provider_option
@data_dir_option
def evaluate(
    model: Path | None,
    samples: tuple[Path, ...],
    streams: tuple[str, ...],
    out: Path | None,
    report: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - the options of one of both kinds of evaluation
) -> None:
    """Judge a model folder or a checkpoint on rows (--samples), on long streams (--stream), or both."""
    require_training("evaluate", "ijson", "sklearn", "matplotlib")
    from app.evaluating import check_target, write_result

    if not samples and not streams:
        raise click.UsageError("give rows with --samples, or a long recording with --stream")
    for target in (out, report):
        check_target(target)
    found, control = _on_rows(model, samples, options) if samples else (None, None)
    heard = _on_streams(model, streams, options) if streams else []
    result = _result(samples, found, control, heard)
    if out is not None:
        write_result(out, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
    if report is not None:
        write_result(report, _page(model, found, control, heard))
        note(f"wrote {report}")
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    if found is not None:
        _print_rows(found, control)
    for one in heard:
        _print_stream(one)


def _on_rows(
    model: Path | None, samples: tuple[Path, ...], options: dict[str, Any]
) -> tuple["Evaluation", "Evaluation | None"]:
    from app.evaluating import evaluation_terms, open_encoder, read_rows, refuse_leaks
    from app.milestones import part_progress
    from training.evaluation.banks import BankConfig
    from training.evaluation.evaluate import EvaluationConfig
    from training.evaluation.evaluate import evaluate as judge
    from training.evaluation.untrained import UntrainedEncoder

    rows, development = read_rows(samples), read_rows(options["development"])
    if shared := refuse_leaks(options["training"], rows, allow_leak=options["allow_leak"]):
        note(f"test and training share {shared}: these figures measure memory too")
    terms = evaluation_terms(options["glossary"], options["aliases"], options["distractors"], options["training"])
    config = EvaluationConfig(BankConfig(options["bank_sizes"], options["text_field"]), options["recall"])
    encoder = open_encoder(model, options["provider"])
    with part_progress("evaluation") as progress:
        found = judge(encoder, rows, terms, config, development, progress)
        untrained = UntrainedEncoder(encoder.dim)
        control = judge(untrained, rows, terms, config, development, progress) if options["control"] else None
    if found.bad:
        note(f"{counted(len(found.bad), 'row')} could not be read; list them: termcue validate-audio")
    return found, control


def _on_streams(model: Path | None, streams: tuple[str, ...], options: dict[str, Any]) -> list[dict[str, Any]]:
    from app.evaluating import hear, hearing_with, parse_speech
    from training.evaluation.streams import stream_results

    provider: Provider = options["provider"]
    glossaries = (str(options["glossary"]),) if options["glossary"] else ()
    hearing = hearing_with(model, glossaries, options["audio_dir"], options["data_dir"], provider)
    return [stream_results(one, hearing.folder.calibration) for one in hear(list(map(parse_speech, streams)), hearing)]


def _result(
    samples: tuple[Path, ...], found: "Evaluation | None", control: "Evaluation | None", heard: list[dict[str, Any]]
) -> dict[str, Any]:
    """One object: MTEB's keys, the control beside them, the streams."""
    from app.evaluating import revision_of

    result: dict[str, Any] = {} if found is None else found.to_json(TASK, revision_of(samples))
    if control is not None:
        result["untrained"] = control.to_json(TASK, revision_of(samples))["scores"]["test"]
    return result | ({"streams": heard} if heard else {})


def _page(
    model: Path | None, found: "Evaluation | None", control: "Evaluation | None", heard: list[dict[str, Any]]
) -> bytes:
    from training.evaluation.report import evaluation_sections, render, stream_section

    sections = [] if found is None else evaluation_sections(found, control)
    sections += [stream_section(heard)] if heard else []
    return render(f"Evaluation of {model.name if model else 'the bundled model'}", sections)


def _print_rows(found: "Evaluation", control: "Evaluation | None") -> None:
    from training.evaluation.caveats import caveats

    scores = found.scores
    click.echo(
        f"{counted(int(scores['rows'] or 0), 'row')}, {scores['no_term_rows']} of them without a term; "
        f"{counted(int(scores['occurrences'] or 0), 'occurrence')}; threshold chosen on {scores['threshold_split']}"
    )
    columns = [(f"{one.ranking.entries} terms", one.scores) for one in found.results]
    columns += [(f"untrained {one.ranking.entries}", one.scores) for one in control.results] if control else []
    click.echo(" " * 22 + "".join(f"{name:>18}" for name, _ in columns))
    for key in SHOWN:
        if any(scores.get(key) is not None for _, scores in columns):
            cells = [scores.get(key) for _, scores in columns]
            click.echo(f"{key:22}" + "".join(f"{'-' if c is None else format(c, '.4f'):>18}" for c in cells))
    for sentence in caveats(found):
        click.echo(f"note: {sentence}")


def _print_stream(one: dict[str, Any]) -> None:
    click.echo(f"{one['stream']}, {one['entries']} terms, {counted(one['occurrences'], 'occurrence')}:")
    for profile in ("booth", "mt"):
        shown = one[profile]
        late = shown["hint_latency_p50_s"]
        click.echo(
            f"  {profile:6} recall {shown['recall']:.3f}  precision {shown['precision']:.3f}  "
            f"{shown['false_hints_per_hour']:.1f} false hints an hour"
            + ("" if late is None else f"  latency p50 {late:.2f} s, p95 {shown['hint_latency_p95_s']:.2f} s")
        )
