"""`termcue merge`: shards of training rows become one file."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from app.notes import counted, note
from app.options import FiniteRange, NamedPath, json_option
from app.training_extra import require_training

_SHOWN = 5
EPILOG = """\b
Examples:
  termcue merge data/samples/xl --out data/xl_term_level_chunks_merged.json \\
      --leave-out data/samples/xl/term_level_chunks_500000_1000000.json
  termcue merge speech/manifest.jsonl chunks/term_level_chunks.json --out rows.jsonl
"""


@click.command(epilog=EPILOG)
@click.argument("shards", nargs=-1, required=True, type=NamedPath())
@click.option("--out", type=NamedPath(), required=True, metavar="FILE", help="New file, .json or .jsonl.")
@click.option(
    "--leave-out", type=NamedPath(), multiple=True, metavar="FILE", help="A shard of test rows; may be repeated."
)
@click.option(
    "--max-bad-share",
    type=FiniteRange(0.0, 1.0),
    default=0.05,
    show_default=True,
    metavar="P",
    help="Fail where more of the rows than this cannot be used.",
)
@json_option
def merge(
    shards: tuple[Path, ...], out: Path, leave_out: tuple[Path, ...], max_bad_share: float, as_json: bool
) -> None:
    """Write the rows of SHARDS to one file, each once.

    SHARDS are files of rows and folders of them, taken in order, a folder's by the numbers in their names. A row is
    repeated where segment, audio and terms are the same. Memory does not grow with the files, and FILE is written whole
    or not at all, never over one that is there.
    """
    require_training("merge", "ijson")
    from streaming.errors import SettingError
    from training.corpus.lines import BadRows
    from training.corpus.merge import merge_rows, shards_without

    if out.exists():
        raise SettingError(f"{out} is there and is not replaced; name another --out, or move it away.")
    files = shards_without(shards, leave_out)
    bad = BadRows()
    counts = merge_rows(files, out, on_bad=bad, max_bad_share=max_bad_share)
    for row in bad.listed[:_SHOWN]:
        note(f"left out: {row}")
    if as_json:
        click.echo(json.dumps({"type": "MergeReport", "out": str(out), "shards": len(files), **asdict(counts)}))
        return
    click.echo(
        f"{counted(counts.rows, 'row')} of {counted(len(files), 'shard')} in {out}; {counts.duplicates} repeated, "
        f"{counts.bad} that cannot be used"
    )
