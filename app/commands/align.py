"""`termcue align`: a corpus with forced alignments becomes training rows."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import counted, note
from app.options import FiniteRange, NamedPath, json_option
from app.progress import progress_bar
from app.training_extra import require_training

if TYPE_CHECKING:
    from training.corpus.cutting import AudioFormat
    from training.corpus.parts import AlignCounts

EPILOG = """\b
Examples:
  termcue align train.tsv --textgrids textgrids --glossary data/terms/glossary_filtered.json --out data/samples
  termcue align train.tsv --textgrids mfa --glossary terms.json --contexts --out rows --workers 8
  termcue align train.tsv --textgrids mfa --glossary terms.json --mine --out rows
"""


@click.command(epilog=EPILOG)
@click.argument("manifest", type=NamedPath())
@click.option("--textgrids", type=NamedPath(), required=True, metavar="DIR", help="ID.TextGrid of each segment.")
@click.option(
    "--glossary",
    type=NamedPath(),
    required=True,
    metavar="FILE",
    help="Terms, in any format of `termcue reindex`.",
)
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option("--out", type=NamedPath(), required=True, metavar="DIR", help="Folder of the rows and their audio.")
@click.option("--tier", default="words", show_default=True, help="Tier of the TextGrids that holds the words.")
@click.option(
    "--context-seconds",
    type=FiniteRange(0, 10),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Audio kept before and after a term.",
)
@click.option("--no-term/--no-no-term", default=True, show_default=True, help="Cut also rows in which no term is said.")
@click.option(
    "--no-term-ratio",
    type=FiniteRange(0, 10),
    default=0.1,
    show_default=True,
    metavar="R",
    help="Rows without a term for each row with one.",
)
@click.option(
    "--min-gap-seconds",
    type=FiniteRange(0.5, 30),
    default=2.5,
    show_default=True,
    metavar="S",
    help="Least stretch without a term from which such a row is cut.",
)
@click.option("--audio-format", type=click.Choice(["wav", "flac"]), default="wav", show_default=True)
@click.option("--contexts", is_flag=True, help="Write also contexts.jsonl: 2.88 to 5.76 s, every term labelled.")
@click.option("--mine", is_flag=True, help="Take named entities and noun phrases of the transcripts as terms, too.")
@click.option(
    "--mine-model", default="en_core_web_sm", show_default=True, metavar="NAME", help="spaCy model of --mine."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help="Processes.")
@click.option(
    "--max-bad-share",
    type=FiniteRange(0, 1),
    default=0.05,
    show_default=True,
    metavar="P",
    help="Fail where more of the segments than this cannot be used.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="Of all that is drawn.")
@json_option
def align(
    manifest: Path,
    textgrids: Path,
    glossary: Path,
    aliases: Path | None,
    out: Path,
    tier: str,
    context_seconds: float,
    no_term: bool,
    no_term_ratio: float,
    min_gap_seconds: float,
    audio_format: "AudioFormat",
    contexts: bool,
    mine: bool,
    mine_model: str,
    workers: int,
    max_bad_share: float,
    seed: int,
    as_json: bool,
) -> None:
    """Find the terms of a glossary in the segments of a MANIFEST and cut a chunk around each of them.

    MANIFEST is a table parted by tabs: id, audio (path, or path:offset:frames), n_frames, speaker, src_text, src_lang.
    Written are term_level_chunks.json with its audio, contexts.jsonl if asked for, and align/rejected.jsonl with each
    segment that cannot be used and why. A run that was stopped goes on where it was.
    """
    require_training("align", "ijson", "praatio")
    from app.training_glossary import training_glossary
    from training.corpus.align import REJECTED
    from training.corpus.align import align as align_corpus
    from training.corpus.chunks import ChunkConfig
    from training.corpus.contexts import ContextConfig
    from training.corpus.cutting import CutConfig
    from training.corpus.parts import AlignJob

    chunks = ChunkConfig(context_seconds, min_gap_seconds, no_term_ratio if no_term else 0.0)
    job = AlignJob(
        manifest=manifest,
        textgrids=textgrids,
        glossary=training_glossary(glossary),
        out=out,
        aliases=aliases,
        mined=_mined(manifest, out, mine_model) if mine else None,
        cut=CutConfig(chunks, ContextConfig() if contexts else None, audio_format, tier, seed),
        max_bad_share=max_bad_share,
    )
    with progress_bar("aligning") as progress:
        counts = align_corpus(job, workers=workers, progress=progress)
    if as_json:
        click.echo(json.dumps({"type": "AlignReport", "out": str(out), **asdict(counts)}))
    else:
        _print(counts)
        note(f"the rows are in {out}")
        if counts.rejected:
            note(f"the rejected segments, each with its reason, are listed in {out / REJECTED}")


def _mined(manifest: Path, out: Path, model: str) -> Path:
    """The glossary of mined terms, made once for a folder of rows."""
    from training.corpus.align import BOOKKEEPING
    from training.corpus.mining import MiningError, SpacyTagger, mine_terms, write_mined
    from training.corpus.segments import SegmentTable

    path = out / BOOKKEEPING / "mined_terms.json"
    if not path.exists():
        found = mine_terms(SegmentTable(manifest).texts(), SpacyTagger(model))
        if not found:
            raise MiningError(f"no phrase is said twice in {manifest}; leave --mine out")
        write_mined(path, found)
    return path


def _print(counts: "AlignCounts") -> None:
    click.echo(
        f"{counted(counts.lines, 'segment')}: {counts.rejected} rejected, {counts.without_term} without a term\n"
        f"{counted(counts.chunks, 'chunk')} with a term, {counts.no_term_chunks} without"
    )
    if counts.contexts or counts.no_term_contexts or counts.no_context:
        click.echo(
            f"{counted(counts.contexts, 'context')} with terms, {counts.no_term_contexts} without; "
            f"{counted(counts.no_context, 'occurrence')} in no context"
        )
