"""`termcue glossaries rollback|prune|diff|export`: what is done with versions that are published."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import counted, note
from app.options import NamedPath, data_dir_option, json_option, model_option

if TYPE_CHECKING:
    from index_builder.publish import Pruned
    from index_builder.version_diff import VersionDiff

# As in index_builder.export, whose import would load more than --help needs.
EXPORT_KINDS = ("csv", "xlsx", "tbx", "jsonl")
SHOWN_CHARACTERS = 60


@click.command(
    epilog="\b\nExamples:\n  termcue glossaries rollback talks\n  termcue glossaries rollback talks VERSION\n"
)
@click.argument("glossary_id", metavar="ID")
@click.argument("version", required=False)
@model_option
@data_dir_option
@json_option
def rollback(glossary_id: str, version: str | None, model: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Make an older VERSION the current one; without it, the one before the current one.

    Its hashes and canary queries must pass with the model. Running servers take it over; nothing is removed.
    """
    from app.loaded_model import load_folder
    from app.places import Places
    from index_builder.publish import roll_back

    switch = roll_back(Places.of(data_dir).data, glossary_id, load_folder(model).encoder_id, version)
    if as_json:
        click.echo(json.dumps({"type": "Rollback", "id": glossary_id, "from": switch.old, "to": switch.new}))
    else:
        click.echo(f"{glossary_id}: {switch.old} -> {switch.new}")


@click.command(epilog="\b\nExample:\n  termcue glossaries prune talks --keep 3\n")
@click.argument("glossary_id", metavar="ID")
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N", help="How many of the newest stay.")
@data_dir_option
@json_option
def prune(glossary_id: str, keep: int, data_dir: Path | None, as_json: bool) -> None:
    """Remove all versions but the newest N, the current one, and those that a running process uses.

    A process that serves a version holds a lock on its manifest, which ends with the process.
    """
    from app.places import Places
    from index_builder.publish import current, versions
    from index_builder.publish import prune as prune_versions

    data = Places.of(data_dir).data
    pruned = prune_versions(data, glossary_id, keep)
    if as_json:
        found = {"type": "Pruned", "id": glossary_id, "removed": pruned.removed, "in_use": pruned.in_use}
        click.echo(json.dumps(found))
        return
    for version in pruned.removed:
        click.echo(f"removed  {version}")
    for version in pruned.in_use:
        click.echo(f"in use   {version}")
    if not pruned.removed:
        note(_why_all_stay(glossary_id, keep, versions(data, glossary_id), current(data, glossary_id).name, pruned))


@click.command(
    epilog="\b\nExamples:\n  termcue glossaries diff talks OLD\n  termcue glossaries diff talks OLD NEW --json\n"
)
@click.argument("glossary_id", metavar="ID")
@click.argument("old")
@click.argument("new", required=False)
@data_dir_option
@json_option
def diff(glossary_id: str, old: str, new: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Show the entries that version NEW (else the current one) adds to OLD (+), lacks (-), or has otherwise (~)."""
    from app.places import Places
    from index_builder.publish import load_entries, version_folder
    from index_builder.version_diff import diff_entries

    data = Places.of(data_dir).data
    folders = [version_folder(data, glossary_id, version) for version in (old, new)]
    found = diff_entries(*map(load_entries, folders))
    if as_json:
        _echo_json(found)
    else:
        _echo(found)
    note(
        f"{folders[0].name} -> {folders[1].name}: {len(found.added)} added, {len(found.removed)} removed, "
        f"{len(found.changed)} changed"
    )


@click.command(
    epilog="\b\nExamples:\n  termcue glossaries export talks --out talks.xlsx\n"
    "  termcue glossaries export talks VERSION --format tbx > talks.tbx\n"
)
@click.argument("glossary_id", metavar="ID")
@click.argument("version", required=False)
@click.option(
    "--format", "kind", type=click.Choice(EXPORT_KINDS), help="What to write. [default: by the name of --out, else csv]"
)
@click.option("--out", type=NamedPath(), metavar="FILE", help="File to write. [default: standard output]")
@data_dir_option
def export(glossary_id: str, version: str | None, kind: str | None, out: Path | None, data_dir: Path | None) -> None:
    """Write the entries of a VERSION (else the current one) as CSV, XLSX, TBX or JSON lines.

    `termcue reindex` reads the file back without loss.
    """
    from app.places import Places
    from index_builder.export import EXPORT_KINDS as KINDS
    from index_builder.export import export as export_entries
    from index_builder.publish import load_entries, version_folder

    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    wanted = kind or suffix or "csv"
    chosen = next((each for each in KINDS if each == wanted), None)
    if chosen is None:
        raise click.UsageError(f"the name {out} does not tell what to write; give --format {'|'.join(KINDS)}")
    folder = version_folder(Places.of(data_dir).data, glossary_id, version)
    entries = load_entries(folder)
    content = export_entries(entries, chosen)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        _write(out, content)
        note(f"{counted(len(entries), 'entry', 'entries')} of {glossary_id} {folder.name} are in {out}")


def _why_all_stay(glossary_id: str, keep: int, there: Sequence[str], current: str, pruned: "Pruned") -> str:
    """Why nothing was removed: how many stay as the newest, which is the current one, which are in use."""
    nothing = f"nothing was removed of {glossary_id}, which has {counted(len(there), 'version')}"
    if len(there) <= keep:
        return f"{nothing}: the newest {keep} stay"
    older = [f"{current} is the current one"] if current in there[:-keep] else []
    if pruned.in_use:
        older.append(f"{counted(len(pruned.in_use), 'older one is', 'older ones are')} used by running processes")
    return f"{nothing}: the newest {keep} {'stays' if keep == 1 else 'stay'}, {' and '.join(older)}"


def _write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises GlossaryError where the disk refuses."""
    from streaming.durable import replace_file
    from streaming.errors import GlossaryError

    try:
        replace_file(path, content)
    except OSError as error:
        raise GlossaryError(
            f"cannot write {path}: {error.strerror or error}; name a file in a folder that is there"
        ) from error


def _echo(found: "VersionDiff") -> None:
    for sign, entries in (("+", found.added), ("-", found.removed)):
        for entry in entries:
            click.echo(f"{sign} {entry.entry_id}  {entry.term}  {'; '.join(entry.translations.values())}".rstrip())
    for changed in found.changed:
        click.echo(f"~ {changed.entry_id}  {changed.term}")
        for change in changed.changes:
            click.echo(f"    {change.field}: {_brief(change.old)} -> {_brief(change.new)}")


def _echo_json(found: "VersionDiff") -> None:
    for kind, entries in (("Added", found.added), ("Removed", found.removed)):
        for entry in entries:
            line = {
                "type": kind,
                "entry_id": entry.entry_id,
                "term": entry.term,
                "translations": {**entry.translations},
            }
            click.echo(json.dumps(line, ensure_ascii=False))
    for changed in found.changed:
        fields = {change.field: [change.old, change.new] for change in changed.changes}
        line = {"type": "Changed", "entry_id": changed.entry_id, "term": changed.term, "fields": fields}
        click.echo(json.dumps(line, ensure_ascii=False))


def _brief(value: object) -> str:
    if value is None:
        return "none"
    text = "; ".join(value) if isinstance(value, tuple) else str(value)
    return repr(text) if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]!r}…"
