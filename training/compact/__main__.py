"""Make the compact retriever, stage by stage: ``python -m training.compact STAGE --work DIR …``."""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from streaming.errors import TermCueError
from training.compact import block_stages, served_stages, stages
from training.compact.recipe import CompactRecipe, Materials, StageError, keep_recipe, read_facts
from training.loop.stopping import Stopped

_EXAMPLES = """\
examples, in the order in which a model is made (every stage goes on where it was stopped):
  SPEECH="--work build/compact --data speech/manifest.jsonl --dictionary cmudict.dict --whisper whisper-base"
  python -m training.speech.synthesis --terms terms.txt --out build/synthetic
  for stage in g2p cache align verify features spans export; do
      python -m training.compact $stage $SPEECH --synthetic build/synthetic/manifest.jsonl --facts facts.json \\
          --language-model english.arpa
  done
  for stage in blocks verify-blocks export-blocks; do    # the same encoder, taught to hear each frame once
      python -m training.compact $stage $SPEECH --synthetic build/synthetic/manifest.jsonl --facts facts.json
  done
  termcue reindex one.csv --id one --model build/compact/block-model --data-dir build/index
  python -m training.compact calibrate $SPEECH --model build/compact/block-model \\
      --stream one.json=build/index/glossaries/one/versions/VERSION
and where a verifier is to go on learning without a GPU, before it is calibrated:
  for stage in verify-served export-verifier; do
      python -m training.compact $stage $SPEECH --earlier build/compact/block-model --model build/compact/verified-model
  done
"""
_BLOCK_STAGES = ("blocks", "verify-blocks", "export-blocks")
_REWRITING_STAGES = ("rewrite-step", "rewrite-verifier")
_SERVED_STAGES = ("verify-served", "export-verifier")
_STAGES = (
    "g2p",
    "cache",
    "align",
    "verify",
    "features",
    "spans",
    "export",
    *_BLOCK_STAGES,
    *_REWRITING_STAGES,
    *_SERVED_STAGES,
    "calibrate",
)
_WITHOUT_WHISPER = ("g2p", "spans", *_BLOCK_STAGES, *_REWRITING_STAGES, *_SERVED_STAGES, "calibrate")


def _recipe(given: argparse.Namespace) -> CompactRecipe:
    """The recipe with what was asked for otherwise."""
    recipe = CompactRecipe()
    if given.hold_out:
        recipe = replace(recipe, held_out=dict(given.hold_out))
    return replace(
        recipe,
        augmented_copies=given.augmented_copies,
        upper_layers=given.upper_layers,
        g2p=replace(recipe.g2p, epochs=given.g2p_epochs),
        alignment=replace(recipe.alignment, steps=given.align_steps),
        verifier=replace(recipe.verifier, steps=given.verifier_steps),
        spans=replace(recipe.spans, steps=given.span_steps),
        blocks=replace(recipe.blocks, steps=given.block_steps),
        block_verifier=replace(
            recipe.block_verifier,
            schedule=replace(recipe.block_verifier.schedule, steps=given.block_verifier_steps),
        ),
        served_verifier=replace(
            recipe.served_verifier,
            schedule=replace(recipe.served_verifier.schedule, steps=given.served_verifier_steps),
        ),
    )


def _held_out(text: str) -> tuple[str, int]:
    collection, _, count = text.rpartition("=")
    if not collection or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not COLLECTION=SPEAKERS, such as librispeech=3")
    return collection, int(count)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _stream(text: str) -> tuple[Path, list[Path]]:
    stream, _, indexes = text.partition("=")
    if not stream or not indexes:
        raise argparse.ArgumentTypeError(f"{text!r} is not STREAM.json=INDEX[,INDEX…]")
    return Path(stream), [Path(index) for index in indexes.split(",")]


def _parser() -> argparse.ArgumentParser:
    default = CompactRecipe()
    parser = argparse.ArgumentParser(
        prog="python -m training.compact",
        description="Make the compact retriever, stage by stage.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("stage", choices=_STAGES)
    add("--work", type=Path, required=True, help="folder of checkpoints and caches (some GB)")
    add("--data", type=Path, required=True, help="manifest of transcribed, timed speech (JSON lines)")
    add("--synthetic", type=Path, help="manifest of synthetic speech")
    add("--dictionary", type=Path, required=True, help="pronouncing dictionary in the form of CMUdict")
    add("--whisper", type=Path, required=True,
        help="folder with config.json and model.safetensors of Whisper base; verify: with its decoder and "
        "tokenizer.json too")  # fmt: skip
    add("--language-model", type=Path, metavar="FILE.arpa",
        help="export: n-grams of common words that terms compete with (without it they stand alone)")  # fmt: skip
    add("--upper-layers", type=_positive, default=default.upper_layers,
        help="layers of Whisper trained further (default %(default)s of its 6)")  # fmt: skip
    add("--model", type=Path,
        help="model folder to write, rewrite or calibrate (default: WORK/model; export-blocks, rewrite-step and "
        "rewrite-verifier: WORK/block-model; export-verifier: WORK/verified-model)")  # fmt: skip
    add("--earlier", type=Path, metavar="MODEL",
        help="blocks, verify-blocks, export-blocks: the model whose encoder is taught; verify-served, export-verifier: "
        "the model whose verifier goes on learning (default: WORK/model, or else the bundled one)")  # fmt: skip
    add("--facts", type=Path, help="export, export-blocks, export-verifier: JSON object with licence and provenance")
    add("--stream", type=_stream, action="append", default=[], metavar="STREAM.json=INDEX[,INDEX…]",
        help="calibrate: a long development stream and the index folders to hear it with; may be repeated")  # fmt: skip
    add("--hold-out", type=_held_out, action="append", metavar="COLLECTION=SPEAKERS",
        help=f"speakers kept from training; may be repeated (default: {dict(default.held_out)})")  # fmt: skip
    add("--augmented-copies", type=int, default=default.augmented_copies)
    add("--g2p-epochs", type=_positive, default=default.g2p.epochs)
    add("--align-steps", type=_positive, default=default.alignment.steps)
    add("--verifier-steps", type=_positive, default=default.verifier.steps)
    add("--span-steps", type=_positive, default=default.spans.steps)
    add("--block-steps", type=_positive, default=default.blocks.steps)
    add("--block-verifier-steps", type=_positive, default=default.block_verifier.schedule.steps)
    add("--served-verifier-steps", type=_positive, default=default.served_verifier.schedule.steps)
    add("--threads", type=_positive, default=1, help="threads of torch (default 1)")
    return parser


def run(given: argparse.Namespace) -> None:
    """Run one stage. Raises TermCueError for anything that a user can cure."""
    recipe = _recipe(given)
    materials = Materials(
        given.work, given.data, given.synthetic, given.dictionary, given.whisper, given.language_model, given.earlier
    )
    model = given.model or given.work / "model"
    if given.stage == "calibrate" and not given.stream:
        raise StageError("calibrate needs at least one --stream STREAM.json=INDEX")
    if given.stage not in _WITHOUT_WHISPER and not (materials.whisper / "model.safetensors").is_file():
        raise StageError(f"{materials.whisper} holds no model.safetensors: download openai/whisper-base into it")
    keep_recipe(materials.work, recipe)
    by_name: Mapping[str, Callable[[], None]] = {
        "g2p": lambda: stages.pronouncing(materials, recipe),
        "cache": lambda: stages.caching(materials, recipe),
        "align": lambda: stages.aligning(materials, recipe),
        "verify": lambda: stages.verifying(materials, recipe),
        "features": lambda: stages.extracting(materials, recipe),
        "spans": lambda: stages.spanning(materials, recipe),
        "export": lambda: stages.exporting(materials, recipe, model, read_facts(given.facts)),
        "blocks": lambda: block_stages.teaching_blocks(materials, recipe),
        "verify-blocks": lambda: block_stages.verifying_blocks(materials, recipe),
        "export-blocks": lambda: block_stages.exporting_blocks(
            materials, recipe, given.model or given.work / "block-model", read_facts(given.facts)
        ),
        "rewrite-step": lambda: block_stages.rewriting_step(
            materials, recipe, given.model or given.work / "block-model"
        ),
        "rewrite-verifier": lambda: served_stages.rewriting_verifier(
            materials, given.model or given.work / "block-model"
        ),
        "verify-served": lambda: served_stages.verifying_served(materials, recipe),
        "export-verifier": lambda: served_stages.exporting_verifier(
            materials,
            recipe,
            given.model or given.work / "verified-model",
            read_facts(given.facts) if given.facts else {},
        ),
        "calibrate": lambda: stages.calibrating(materials, model, dict(given.stream)),
    }
    by_name[given.stage]()


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m training.compact``."""
    parser = _parser()
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(given.threads)
    try:
        run(given)
    except Stopped as stop:
        parser.exit(130, f"{stop}\n")
    except TermCueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
