"""What the compact retriever is made of and with which settings; a work folder keeps to the recipe it began with."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from streaming.durable import replace_file
from streaming.errors import TermCueError
from training.compact.block_verifier import BlockVerifierConfig
from training.compact.g2p import G2pConfig
from training.compact.lexicon import LexiconConfig
from training.compact.served_crops import ServedVerifierConfig
from training.compact.train_alignment import AlignmentTrainingConfig
from training.compact.train_blocks import BlockTrainingConfig
from training.compact.train_spans import SpanTrainingConfig
from training.compact.train_verifier import VerifierTrainingConfig
from training.corpus.manifest import ManifestError, Utterance, read_manifest
from training.models.heads import HeadConfig


class StageError(TermCueError):
    """A stage that cannot run yet; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Materials:
    """Where things are: the work folder, manifests, CMUdict text, Whisper, an ARPA language model, an earlier model."""

    work: Path
    data: Path
    synthetic: Path | None
    dictionary: Path
    whisper: Path
    language_model: Path | None = None
    earlier: Path | None = None


@dataclass(frozen=True, slots=True)
class CompactRecipe:
    """Settings of every stage.

    Attributes:
        upper_layers: encoder layers that are trained further.
        held_out: collection -> speakers that training never hears.
        held_out_seed: which speakers those are.
        longest_s: longer recordings are left out; alignments drift in them.
        augmented_copies: passes over real speech with rooms, noise and telephones, beside the clean one.
        background: collection -> held-out contexts that go into the model folder.
        dim: width of span and text vectors.
        lexicon: the common words that terms compete with.
    """

    upper_layers: int = 2
    held_out: Mapping[str, int] = field(
        default_factory=lambda: {"librispeech": 3, "speechocean762": 14, "vctk": 6, "vctk-world": 10}
    )
    held_out_seed: int = 7
    longest_s: float = 40.0
    augmented_copies: int = 1
    background: Mapping[str, int] = field(
        default_factory=lambda: {"librispeech": 70, "speechocean762": 35, "vctk": 10, "vctk-world": 10}
    )
    dim: int = 256
    g2p: G2pConfig = field(default_factory=lambda: G2pConfig(epochs=5))
    head: HeadConfig = field(default_factory=HeadConfig)
    alignment: AlignmentTrainingConfig = field(default_factory=lambda: AlignmentTrainingConfig(steps=2000))
    verifier: VerifierTrainingConfig = field(default_factory=VerifierTrainingConfig)
    spans: SpanTrainingConfig = field(default_factory=SpanTrainingConfig)
    lexicon: LexiconConfig = field(default_factory=LexiconConfig)
    blocks: BlockTrainingConfig = field(default_factory=BlockTrainingConfig)
    block_verifier: BlockVerifierConfig = field(default_factory=BlockVerifierConfig)
    served_verifier: ServedVerifierConfig = field(default_factory=ServedVerifierConfig)


def keep_recipe(work: Path, recipe: CompactRecipe) -> None:
    """Write ``recipe.json`` at the first run; raises StageError where a later run has other settings."""
    path, wanted = work / "recipe.json", json.loads(json.dumps(asdict(recipe)))
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(wanted, indent=1) + "\n").encode())
        return
    # Settings that the folder does not know are of stages that did not exist when it was begun.
    begun = {**wanted, **json.loads(path.read_text("utf-8"))}
    changed = sorted(key for key in begun if begun[key] != wanted.get(key))
    if changed:
        raise StageError(
            f"{work} was begun with other settings ({', '.join(changed)}); repeat them or use a new --work"
        )


def split_speakers(
    rows: Sequence[Utterance], held_out: Mapping[str, int], seed: int
) -> tuple[list[Utterance], list[Utterance]]:
    """(training rows, held-out rows): so many speakers of each collection, the same for the same seed.

    Raises ManifestError where nothing would be held out, or nothing left to train on.
    """
    speakers: dict[str, set[str]] = {}
    for row in rows:
        speakers.setdefault(row.collection, set()).add(row.speaker)
    held = set()
    for collection, count in held_out.items():
        names = sorted(speakers.get(collection, ()))
        random.Random(seed).shuffle(names)
        held |= {(collection, name) for name in names[:count]}
    training = [row for row in rows if (row.collection, row.speaker) not in held]
    if not held or not training:
        found = ", ".join(f"{name} ({len(who)} speakers)" for name, who in sorted(speakers.items())) or "no usable row"
        raise ManifestError(
            f"the held-out speakers {dict(held_out)} do not part {found}: give --hold-out COLLECTION=SPEAKERS"
        )
    return training, [row for row in rows if (row.collection, row.speaker) in held]


def real_speech(materials: Materials, recipe: CompactRecipe) -> tuple[list[Utterance], list[Utterance]]:
    """Training and held-out rows of the manifest that are for training, timed and not too long."""
    rows = [
        row
        for row in read_manifest(materials.data)
        if row.use == "train" and row.words and row.duration_s < recipe.longest_s
    ]
    return split_speakers(rows, recipe.held_out, recipe.held_out_seed)


def spoken_by_machine(manifest: Path) -> list[Utterance]:
    """Timed rows of synthetic speech as of one "speaker", so that voices of short sentences are joined."""
    return [replace(u, speaker="synthetic") for u in read_manifest(manifest) if u.words]


def read_facts(path: Path | None) -> dict[str, Any]:
    """Licence and provenance as JSON; what is unknown is said to be. Raises StageError for an unusable file."""
    if path is None:
        return {"licence": "not stated", "provenance": []}
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"cannot read the facts {path}: {error}; give a JSON object") from error
    if not isinstance(facts, dict) or not {"licence", "provenance"} <= facts.keys():
        raise StageError(f"{path} lacks 'licence' or 'provenance'")
    return facts
