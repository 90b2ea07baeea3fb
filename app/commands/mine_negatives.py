"""`termcue mine-negatives`: for every row of speech, the terms that a model takes it for and that are not said."""

import json
from pathlib import Path
from typing import Literal

import click

from app.notes import counted, note
from app.options import NamedPath, json_option, provider_option
from app.training_extra import require_training

EPILOG = """\b
Examples:
  termcue mine-negatives --model data/compact_best.pt --samples rows.jsonl --out negatives.jsonl
  termcue mine-negatives --model data/qwen2_audio_term_level_best.pt --samples data/shards \\
      --glossary data/terms/glossary_filtered.json --aliases data/terms/alt2main.json --out negatives.jsonl
"""


@click.command("mine-negatives", epilog=EPILOG)
@click.option("--model", type=NamedPath(), required=True, metavar="CHECKPOINT", help="What `termcue train` saved.")
@click.option(
    "--samples",
    type=NamedPath(),
    required=True,
    multiple=True,
    metavar="FILE",
    help="Rows of speech, or a folder of shards; may be repeated.",
)
@click.option(
    "--glossary",
    type=NamedPath(),
    metavar="FILE",
    help="Terms to choose from, in any format of `termcue reindex`. [default: the terms of the rows]",
)
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option("--out", type=NamedPath(), required=True, metavar="FILE", help="JSON lines, one for each row.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Terms for each row.")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Rows in one pass.")
@click.option(
    "--text-field",
    type=click.Choice(["term", "short_description"]),
    default="term",
    show_default=True,
    help="What the text tower reads for a term.",
)
@click.option("--offline", is_flag=True, help="Read the pretrained base from local files only.")
@provider_option
@json_option
def mine_negatives(
    model: Path,
    samples: tuple[Path, ...],
    glossary: Path | None,
    aliases: Path | None,
    out: Path,
    count: int,
    batch_size: int,
    text_field: Literal["term", "short_description"],
    offline: bool,
    provider: str,
    as_json: bool,
) -> None:
    """Write the hardest negatives of every row: what a model would show although it is not said.

    A term is never a negative of a row that holds it, a variant, an alias or a translation of it.
    """
    require_training("mining", "torch", "transformers", "peft", "ijson")
    from app.progress import progress_bar
    from app.training_glossary import training_glossary
    from training.corpus.glossary import TrainingGlossary, TrainingTerm, read_training_glossary
    from training.corpus.lines import BadRows
    from training.corpus.rows import read_examples
    from training.loop.trained_models import load_retriever
    from training.losses.mining import TermBank
    from training.losses.mining_rows import Count, MiningSettings, RowMiner, device_of, write_negatives

    if aliases is not None and glossary is None:
        raise click.UsageError("--aliases names terms of a glossary; give --glossary too")
    unread, rows, used = BadRows(), 0, dict[str, None]()
    for example in read_examples(samples, on_bad=unread):
        rows += 1
        used.update(dict.fromkeys(term.term for term in example.terms))
    if glossary is None:
        names = TrainingGlossary(map(TrainingTerm, used))
    else:
        names = read_training_glossary(training_glossary(glossary), aliases)
    bank = TermBank.of((term.term for term in names.terms), names)
    _check_bank(bank.terms)
    device = device_of(provider)
    retriever = load_retriever(model, offline=offline).to(device)
    miner = RowMiner(retriever, bank, names, MiningSettings(count, batch_size, text_field=text_field), device)
    seen = Count(bad=unread.count)
    examples = read_examples(samples, on_bad=lambda _: None)
    with progress_bar("hard negatives") as progress:
        write_negatives(out, miner.mine(examples, seen), lambda done: progress(done, rows))
    if as_json:
        report = {"type": "MiningReport", "path": str(out), "rows": seen.mined, "bad": seen.bad}
        click.echo(json.dumps(report | {"terms": len(bank.terms), "device": device.type}, ensure_ascii=False))
    else:
        click.echo(f"{counted(seen.mined, 'row')} against {counted(len(bank.terms), 'term')} on the {device.type}")
    if seen.bad:
        listed = "".join(f"\n  {row}" for row in unread.listed[:10])
        note(f"{counted(seen.bad, 'row')} left out; for audio see termcue validate-audio{listed}")


def _check_bank(terms: tuple[str, ...]) -> None:
    from streaming.errors import SettingError

    if len(terms) < 2:
        raise SettingError(f"{counted(len(terms), 'term')} cannot be told apart; give --glossary with more of them")
