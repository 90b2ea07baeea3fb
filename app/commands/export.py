"""`termcue export`: a trained checkpoint becomes a model folder for listen, serve and reindex."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.notes import note
from app.options import NamedPath, json_option, model_option
from app.training_extra import require_training

if TYPE_CHECKING:
    from training.export.parts import Format

CONTEXTS = 128
EPILOG = """\b
Examples:
  termcue export data/qwen2_audio_term_level_best.pt models/qwen2-audio --speech dev/audio
  termcue export data/compact_best.pt models/mine --precision fp32 --facts facts.json
  termcue listen talk.wav --glossary terms.csv --model models/mine
"""


@click.command(epilog=EPILOG)
@click.argument("checkpoint", type=NamedPath())
@click.argument("out_dir", type=NamedPath())
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16", "fp32"]),
    help="Numbers of the towers. [default: fp16 for Qwen2-Audio, int8 for others]",
)
@click.option(
    "--speech",
    type=NamedPath(),
    multiple=True,
    metavar="PATH",
    help="Recordings, or folders of them, that training never heard; may be repeated. [default: the bundled sample]",
)
@click.option("--context-seconds", type=click.FloatRange(0.5, 30.0), default=3.0, show_default=True, metavar="S")
@click.option("--name", default="retriever", show_default=True, help="Name of the model; begins its encoder id.")
@click.option("--facts", type=NamedPath(), metavar="FILE", help="JSON with licence and provenance of the model.")
@click.option("--offline", is_flag=True, help="Read the pretrained base from local files only.")
@model_option
@json_option
def export(
    checkpoint: Path,
    out_dir: Path,
    precision: "Format | None",
    speech: tuple[Path, ...],
    context_seconds: float,
    name: str,
    facts: Path | None,
    offline: bool,
    model: Path | None,
    as_json: bool,
) -> None:
    """Write the retriever of CHECKPOINT as a model folder OUT_DIR, with parity figures against the checkpoint.

    The speech gives the background against which every form of a glossary is judged; a minute will do, several
    voices are better. The folder of --model gives the pronunciations. `termcue calibrate` then sets thresholds.
    """
    require_training("export", "torch", "transformers", "peft", "onnx")
    from app.loaded_model import load_folder
    from app.milestones import part_progress
    from app.samples import recordings
    from streaming.spans import FRAME_SAMPLES
    from training.export.retriever import ExportSettings, export_retriever
    from training.export.speech import contexts_of
    from training.loop.checkpoint_files import read_checkpoint
    from training.loop.trained_models import load_retriever
    from training.models.base_folder import base_folder

    if not speech:
        note("the background is the bundled sample; --speech with recordings like yours serves better")
    samples = round(context_seconds * 50) * FRAME_SAMPLES
    told = None if facts is None else read_facts(facts)
    base = load_folder(model)
    contexts = contexts_of(speech or [recording.path for recording in recordings()], samples, CONTEXTS)
    note(f"reading {checkpoint} …")
    retriever = load_retriever(checkpoint, offline=offline)
    began = base_folder(read_checkpoint(checkpoint).config.model)
    kept = began if began is not None and began.is_calibrated else None
    settings = ExportSettings(precision, name, samples, started_from=kept)
    with part_progress(f"graphs of {name}") as progress:
        figures = export_retriever(retriever, out_dir, base, contexts, told, settings, progress)
    exported = load_folder(out_dir)
    if as_json:
        report = {"type": "ExportReport", "path": str(out_dir), "encoder_id": exported.encoder_id, "parity": figures}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for part, values in figures.items():
            click.echo(f"{part:<12} " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()))
    told_of = "it has the thresholds of the model that it began with; set" if kept else "set"
    note(f"wrote {exported.encoder_id} to {out_dir}; {told_of} its own with termcue calibrate --model {out_dir}")


def read_facts(path: Path) -> dict[str, Any]:
    """Licence and provenance as they go into the spec. Raises SettingError for a file that lacks them."""
    from streaming.errors import SettingError

    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"cannot read the facts {path}: {error}; give a JSON object") from error
    if not isinstance(facts, dict) or not {"licence", "provenance"} <= facts.keys():
        raise SettingError(
            f'{path} lacks "licence" or "provenance"; give {{"licence": "…", "provenance": [{{"source": "…"}}]}}'
        )
    return facts
