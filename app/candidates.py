"""Candidates of terms from the text of a talk, printed for a human to prune."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from app.glossaries import GlossarySettings, read_glossaries
from app.linting import word_log_prob
from app.notes import counted, note
from index_builder.formats.formula_guard import guard
from index_builder.formats.table_warnings import CANDIDATE_COLUMNS
from index_builder.glossary import fold
from index_builder.talk_text import read_talk
from index_builder.term_candidates import TermCandidate, term_candidates
from streaming.model_folder import ModelFolder

HEADER = ("term", "translation", "aliases", *CANDIDATE_COLUMNS)


def print_candidates(
    texts: Sequence[Path],
    glossaries: Sequence[Path],
    settings: GlossarySettings,
    folder: ModelFolder,
    *,
    as_json: bool,
) -> None:
    """Print the candidates of all texts together, as CSV or a JSON object a line; those in a glossary are left out.

    Raises:
        GlossaryError: a text or glossary cannot be read.
    """
    known: set[str] = set()
    if glossaries:
        _, glossary = read_glossaries(glossaries, "known", settings)
        known = {fold(name) for each in glossary.entries for name in (each.entry.term, *each.entry.aliases)}
    text = "\n\n".join(read_talk(path) for path in texts)
    found = term_candidates(text, word_log_prob(folder), known=known)
    if as_json:
        for each in found:
            click.echo(json.dumps(_as_json(each), ensure_ascii=False))
    else:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows(_cells(each) for each in found)
    note(f"{counted(len(found), 'candidate')}, the likeliest first; strike out what is no term, add translations")


def _as_json(each: TermCandidate) -> dict[str, object]:
    return {
        "type": "TermCandidate",
        "term": each.term,
        "aliases": list(each.aliases),
        "count": each.count,
        "score": each.score,
        "context": each.context,
    }


def _cells(each: TermCandidate) -> tuple[str, ...]:
    cells = (each.term, "", "; ".join(each.aliases), str(each.count), f"{each.score:.2f}", each.context)
    return tuple(guard(cell) for cell in cells)
