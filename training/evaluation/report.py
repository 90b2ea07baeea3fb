"""Figures -> one HTML file with its curves inside, so that it can be sent and kept: no script, no link, no font."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.evaluation.calibrate import recall_at
from training.evaluation.caveats import caveats
from training.evaluation.evaluate import BankResult, Evaluation
from training.evaluation.fit_streams import ALLOWED, FittedCalibration
from training.evaluation.rejection import Reliability

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}figure{display:inline-block;margin:.5rem}figcaption{max-width:28rem}"""
_SHOWN = (
    "recall_at_1", "recall_at_5", "recall_at_10", "recall_at_20", "mrr", "seen_recall_at_10", "unseen_recall_at_10",
    "auroc_term_no_term", "threshold", "recall_at_threshold", "rejection_rate", "aurc", "expected_calibration_error",
)  # fmt: skip
_COUNTS = ("bank_entries", "rows", "no_term_rows", "occurrences", "threshold_split")
_BINS = 40
Draw = Callable[[Axes], None]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a table (rows of cells, the first row is its head), sentences and pictures (caption, SVG)."""

    title: str
    table: Sequence[Sequence[object]] = ()
    sentences: Sequence[str] = ()
    pictures: Sequence[tuple[str, str]] = ()


def render(title: str, sections: Iterable[Section]) -> bytes:
    """The page, UTF-8."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"]
    parts.append(f"<h1>{escape(title)}</h1>")
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(sentence)}</p>" for sentence in section.sentences]
        if section.table:
            parts.append(_table(section.table))
        parts += [
            f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for caption, svg in section.pictures
        ]
    return "\n".join([*parts, "</html>\n"]).encode()


def _table(rows: Sequence[Sequence[object]]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(shown(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(rows[0], "th") + "".join(line(row, "td") for row in rows[1:]) + "</table>"


def shown(value: object) -> str:
    """A cell: three decimals for shares, an en dash for what is not known."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def picture(draw: Draw, x: str, y: str) -> str:
    """One set of axes as SVG text; the same values give the same bytes."""
    with rc_context({"svg.hashsalt": "termcue", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.2, 3.0), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(alpha=0.3)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    # Inside HTML an SVG begins with its own element, without the XML head.
    return out.getvalue()[out.getvalue().index("<svg") :]


def evaluation_sections(found: Evaluation, control: Evaluation | None = None) -> list[Section]:
    """The table of all banks, then the curves; `control` is the same with an encoder that has learnt nothing."""
    columns = [*found.results, *(control.results if control else ())]
    names = [_name(found, i) for i in range(len(found.results))]
    names += [f"untrained, {_name(control, i)}" for i in range(len(control.results))] if control else []
    keys = [key for key in (*_SHOWN, *_COUNTS) if any(key in result.scores for result in columns)]
    table: list[list[object]] = [["", *names]]
    table += [[key, *(result.scores.get(key) for result in columns)] for key in keys]
    sentences = [
        "Recall is counted per spoken occurrence; entries, with all their variants, are ranked by the best cosine "
        "over all spans of a row.",
        f"Threshold: the highest that leaves the recall asked for, where one does, chosen on "
        f"{found.scores['threshold_split']}.",
        *(f"Note: {sentence}." for sentence in caveats(found)),
    ]
    if found.bad:
        sentences.append(f"{len(found.bad)} rows could not be read and were skipped; the first: {found.bad[0]}")
    pictures = [_risk(found), _sizes(found, control), _histogram(found.results[found.main])]
    calibration = found.results[found.main].calibration
    if calibration is not None:
        pictures.append(reliability_picture(calibration))
    return [Section("Retrieval and rejection", table, sentences), Section("Curves", pictures=pictures)]


def _name(found: Evaluation, i: int) -> str:
    entries = found.results[i].ranking.entries
    return f"glossary ({entries:,})" if i == found.main else f"bank of {entries:,}"


def _risk(found: Evaluation) -> tuple[str, str]:
    def draw(axes: Axes) -> None:
        for i, result in enumerate(found.results):
            axes.plot(result.risk.coverage, result.risk.risk, label=_name(found, i))
        axes.set_ylim(-0.02, 1.02)
        axes.legend()

    return "Risk against coverage: if only the surest rows are answered, how many of them wrongly.", picture(
        draw, "share of rows answered", "share of wrong answers"
    )


def _sizes(found: Evaluation, control: Evaluation | None) -> tuple[str, str]:
    def draw(axes: Axes) -> None:
        for name, one, line in (("", found, "o-"), ("untrained, ", control, "x:")):
            for k in (1, 10) if one else ():
                recalls = [(r.ranking.entries, r.scores.get(f"recall_at_{k}")) for r in one.results] if one else []
                known = [(entries, float(recall)) for entries, recall in recalls if recall is not None]
                axes.plot([e for e, _ in known], [r for _, r in known], line, label=f"{name}recall@{k}")
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
        axes.legend()

    return "Recall against the number of terms that are searched.", picture(draw, "terms in the bank", "recall")


def _histogram(result: BankResult) -> tuple[str, str]:
    ranking = result.ranking
    no_term = ranking.best[ranking.is_no_term]

    def draw(axes: Axes) -> None:
        values = np.concatenate([ranking.score, no_term, [0.0, 1.0]])
        bins = np.linspace(float(values.min()), float(values.max()), _BINS).tolist()
        axes.hist(ranking.score, bins, alpha=0.6, label="the term that was said")
        axes.hist(no_term, bins, alpha=0.6, label="best term where none was said")
        threshold = result.scores["threshold"]
        if isinstance(threshold, float):
            axes.axvline(threshold, color="black", linestyle=":", label="threshold")
        axes.legend()

    return "Cosines of what was said, and the highest cosine in speech without a term.", picture(draw, "cosine", "rows")


def reliability_picture(calibration: Reliability) -> tuple[str, str]:
    """Caption and SVG: what the probability says, and how often it is so."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        axes.plot(calibration.said, calibration.true, "o-")

    return f"Reliability; the expected calibration error is {calibration.error:.3f}.", picture(
        draw, "probability said", "share that was right"
    )


def calibration_sections(fitted: FittedCalibration) -> list[Section]:
    """What `fit_streams` found: each stream with weights of other voices, and how honest the probabilities are."""
    table: list[list[object]] = [["stream", "terms", *(f"recall at {n}/h" for n in ALLOWED)]]
    for one in fitted.fits:
        table.append([one.stream, one.entries, *(recall_at(one.sweep, n).recall for n in ALLOWED)])
    sentences = ["Each stream is judged with weights that were fitted on the others' voices."]
    curves = [
        (f"{one.stream}, {one.entries} terms", [(s.false_per_hour, s.recall) for s in one.sweep]) for one in fitted.fits
    ]
    pictures = [_recall_against_false_hints(curves), reliability_picture(fitted.honesty)]
    return [Section("Development streams", table, sentences, pictures)]


def _recall_against_false_hints(curves: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> tuple[str, str]:
    def draw(axes: Axes) -> None:
        for name, points in curves:
            # No false hint at all has no place on a logarithmic scale; half of one an hour is its left edge.
            axes.plot([max(0.5, point[0]) for point in points], [point[1] for point in points], label=name)
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
        axes.legend()

    return "Recall against false hints per hour, at all thresholds.", picture(draw, "false hints per hour", "recall")


def stream_section(streams: Sequence[Mapping[str, Any]]) -> Section:
    """Long streams as `training.evaluation.streams.stream_results` gives them."""
    keys = (
        "recall", "precision", "false_hints_per_hour", "hint_latency_p50_s", "hint_latency_p95_s", "on_time_rate",
        "threshold",
    )  # fmt: skip
    table: list[list[object]] = [["stream", "terms", "profile", *keys]]
    for one in streams:
        table += [
            [one["stream"], one["entries"], profile, *(one[profile][key] for key in keys)]
            for profile in ("booth", "mt")
        ]

    curves = [(f"{one['stream']}, {one['entries']} terms", one["curve"]) for one in streams]
    return Section("Long streams", table, pictures=[_recall_against_false_hints(curves)])
