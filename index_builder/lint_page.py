"""The report as one HTML page: no script, nothing from outside, every text of the glossary escaped.

A browser shows it from a file, offline, in light and dark; what is folded opens without a script (`<details>`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from index_builder.formats.rows import GlossaryWarning, RejectedRow
from index_builder.glossary import Glossary, GlossaryEntry
from index_builder.lint_page_style import STYLE
from index_builder.report import IndexReport
from index_builder.self_test import EntryResult, SelfTest

SHOWN_ENTRIES = 2_000
SHOWN_FINDINGS = 500
"""Of each kind; a page of a million rows opens in no browser, and `--json` has them all."""
# Kind -> what it is called, the gravest first; a kind that is not here comes last under its own name.
_TITLES = {
    "conflicting_translation": "Translations that contradict each other",
    "homophone": "Terms that sound the same",
    "same_sound": "Terms that are spoken alike",
    "another_form": "Forms that are another entry's too",
    "near_homophone": "Terms that sound alike",
    "short": "Too short to be spotted for sure",
    "everyday_word": "Too common: said in any talk",
    "long": "Too long for one breath",
    "missing_translation": "Missing translations",
    "conflicting_field": "Repeated rows that differ",
    "alias": "Aliases that cannot be used",
    "pronunciation": "Pronunciations that cannot be used",
    "forms": "Too many spoken forms",
    "id": "Ids that were replaced",
}


def lint_page(report: IndexReport, glossary: Glossary) -> str:
    """The page of a glossary and its report."""
    body = [
        f"<h1>{_text(report.id)}</h1>",
        f"<p class=quiet>{_text(report.version) or 'checked, not published'}</p>",
        _account(report),
        *([_self_test(report.self_test, glossary)] if report.self_test is not None else []),
        *([_rejected(report.rejected)] if report.rejected else []),
        *_findings(report.warnings, glossary),
        _entries(glossary, report),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(report.id)} – glossary report</title><style>{STYLE}</style>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>\n'
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _account(report: IndexReport) -> str:
    """The counts, which add up."""
    tiles = (
        ("rows", report.rows),
        ("entries", report.entries),
        ("merged", report.merged),
        ("rejected", len(report.rejected)),
        ("spoken forms", report.forms),
        ("findings", len(report.warnings)),
    )
    shown = "".join(
        f"<div class={'bad' if name == 'rejected' and count else 'tile'}><b>{count:,}</b>{name}</div>"
        for name, count in tiles
    )
    parts = f"{report.entries:,} entries + {report.merged:,} merged + {len(report.rejected):,} rejected"
    kinds = ", ".join(f"{count:,} {_text(kind)}" for kind, count in report.form_kinds.items())
    sums = f"{report.rows:,} rows = {parts}. Spoken forms: {kinds or report.forms}."
    files = "".join(f"<p class=quiet>{_text(reading)}</p>" for reading in report.readings)
    return f"<section class=tiles>{shown}</section><p class=quiet>{sums}</p>{files}"


def _self_test(test: SelfTest, glossary: Glossary) -> str:
    terms = {each.entry.entry_id: each.entry.term for each in glossary.entries}
    worst = sorted(test.entries, key=lambda each: (each.heard / each.tries, -each.false_hints_per_hour))
    rows = (
        (
            _text(terms.get(each.entry_id, each.entry_id)),
            f"{each.heard} of {each.tries}",
            _text(", ".join(terms.get(name, name) for name in each.mistaken_for)),
            str(each.false_hints or ""),
            f"{each.false_hints_per_hour:.2f}",
        )
        for each in worst[:SHOWN_FINDINGS]
    )
    heading = ("term", "heard", "hinted instead", "false hints in the test", "false hints expected in an hour")
    return (
        f"<h2>Self-test: {test.recall:.0%} heard</h2><p>{len(test.entries):,} of {test.glossary_entries:,} entries "
        f"were said {test.tries:,} times by {len(test.voices)} synthetic voices in {test.seconds / 60:.1f} minutes; "
        f"{test.false_hints:,} hints named an entry that was not said. The last column is an estimate: the "
        f"{test.false_hints_per_hour:g} false hints an hour of the profile {_text(test.profile)}, shared among all "
        f"entries by how often background speech comes near their forms. These voices are no people: the figures tell "
        f"which entries to look at, not how a talk will go.</p>"
        f"<details open><summary>Entries, the worst first</summary>{_table(heading, rows)}</details>"
    )


def _rejected(rejected: Sequence[RejectedRow]) -> str:
    rows = ((_text(row.file), str(row.line), _text(row.value), _text(row.reason)) for row in rejected[:SHOWN_FINDINGS])
    return (
        f"<h2 class=grave>Rejected rows ({len(rejected):,})</h2>"
        f"{_table(('file', 'line', 'value', 'reason'), rows)}{_rest(len(rejected))}"
    )


def _findings(warnings: Sequence[GlossaryWarning], glossary: Glossary) -> Iterator[str]:
    """A folded list of each kind."""
    terms = {each.entry.entry_id: each.entry.term for each in glossary.entries}
    by_kind: dict[str, list[GlossaryWarning]] = defaultdict(list)
    for warning in warnings:
        by_kind[warning.kind].append(warning)
    yield f"<h2>Findings ({len(warnings):,})</h2>" if warnings else "<h2>No findings</h2>"
    for kind in [*(kind for kind in _TITLES if kind in by_kind), *(kind for kind in by_kind if kind not in _TITLES)]:
        found = by_kind[kind]
        rows = ((_text(terms.get(each.entry, each.entry)), _text(each.message)) for each in found[:SHOWN_FINDINGS])
        title = _TITLES.get(kind, kind.replace("_", " ").capitalize())
        yield (
            f"<details><summary>{_text(title)} <span class=count>{len(found):,}</span></summary>"
            f"{_table(('entry', 'finding'), rows)}{_rest(len(found))}</details>"
        )


def _entries(glossary: Glossary, report: IndexReport) -> str:
    """Every entry with how it is spoken, so that each form can be traced."""
    results = {each.entry_id: each for each in report.self_test.entries} if report.self_test is not None else {}
    noted = {warning.entry for warning in report.warnings}
    rows = (_entry(each, results, each.entry.entry_id in noted) for each in glossary.entries[:SHOWN_ENTRIES])
    heading = ("id", "term", "translations", "spoken as", *(("heard",) if results else ()))
    rest = len(glossary.entries) - SHOWN_ENTRIES
    more = f"<p class=quiet>and {rest:,} more</p>" if rest > 0 else ""
    remark = "Plurals and possessives that sound like another entry are left out when the index is built."
    return f"<h2>Entries ({len(glossary.entries):,})</h2><p class=quiet>{remark}</p>{_table(heading, rows)}{more}"


def _entry(each: GlossaryEntry, results: Mapping[str, EntryResult], is_noted: bool) -> tuple[str, ...]:
    entry = each.entry
    said = " · ".join(
        _text(form.text) + (f" <i>{_text(form.kind)}</i>" if form.kind != "term" else "") for form in each.forms
    )
    translations = "<br>".join(
        (f"<i>{_text(code)}</i> " if code else "") + _text(text) for code, text in entry.translations.items()
    )
    names = f"<b>{_text(entry.term)}</b>" + "".join(f"<br>{_text(alias)}" for alias in entry.aliases)
    names += "<br><i>never hinted</i>" if entry.do_not_hint else ""
    mark = " <span class=count>!</span>" if is_noted else ""
    row = (_text(entry.entry_id), names + mark, translations, said)
    if not results:
        return row
    result = results.get(entry.entry_id)
    return (*row, "" if result is None else f"{result.heard} of {result.tries}")


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of HTML, headed by plain text."""
    head = "".join(f"<th scope=col>{_text(name)}</th>" for name in heading)
    body = "\n".join("<tr>" + "".join(f"<td dir=auto>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _rest(count: int) -> str:
    return f"<p class=quiet>and {count - SHOWN_FINDINGS:,} more: --json</p>" if count > SHOWN_FINDINGS else ""


def _text(text: str) -> str:
    """A text as HTML shows it, in attributes too."""
    return escape(text, quote=True)
