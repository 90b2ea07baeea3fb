import json
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from streaming.calibration import FEATURES
from streaming.encoder import OnnxFrameEncoder
from streaming.entries import Entry, make_form
from streaming.index.background import unpack_background
from streaming.model_folder import ModelFolder
from streaming.spotting.evidence import Evidence
from streaming.spotting.verifier import OnnxVerifier
from streaming.term_index import TermIndex
from training.compact import stages
from training.compact.__main__ import main
from training.compact.g2p import G2pConfig
from training.compact.recipe import (
    CompactRecipe,
    Materials,
    StageError,
    keep_recipe,
    read_facts,
    real_speech,
    split_speakers,
)
from training.compact.stages import choose_contexts
from training.compact.train_alignment import AlignmentTrainingConfig
from training.compact.train_spans import SpanTrainingConfig
from training.compact.train_verifier import VerifierTrainingConfig
from training.corpus.manifest import ManifestError, Utterance
from training.evaluation.calibrate import Hop, StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference
from training.export.folder import uncalibrated, write_model_folder
from training.loop.stopping import Stopped
from training.models.heads import HeadConfig

WORDS = ("dog", "cat", "sun", "bird", "milk", "rope", "lamp", "tree")
RECIPE = CompactRecipe(
    upper_layers=1,
    held_out={"readers": 1},
    background={"readers": 3},
    dim=16,
    g2p=G2pConfig(width=16, layers=1, heads=2, batch_words=8, epochs=1, warmup_steps=1),
    head=HeadConfig(32, 32),
    alignment=AlignmentTrainingConfig(steps=2, batch_frames=300, held_out_windows=4),
    verifier=VerifierTrainingConfig(steps=2, batch_windows=2, tokens=31, held_out_windows=4),
    spans=SpanTrainingConfig(steps=2, batch_spans=12, wrong_spans=4, unspoken_texts=16),
)


@pytest.fixture
def materials(tmp_path: Path, whole_whisper: Path) -> Materials:
    """Three readers of noise, a word each half second, one recording untimed and one for evaluation."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(9):
        path = tmp_path / f"u{i}.wav"
        soundfile.write(path, rng.standard_normal(16_000 * 8) * 0.05, 16_000, subtype="PCM_16")
        words = [[WORDS[(i + k) % 8], 0.5 * k, 0.5 * k + 0.4] for k in range(16)]
        rows.append({"id": f"u{i}", "path": path.name, "speaker": f"r{i % 3}", "collection": "readers", "use": "train"})
        rows[-1] |= {"duration_s": 8.0, "words": words if i < 8 else None}
    rows.append({**rows[0], "id": "e", "use": "evaluate"})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "small.dict").write_text("".join(f"{word} D AO1 G\n" for word in WORDS), "utf-8")
    return Materials(
        tmp_path / "work",
        tmp_path / "manifest.jsonl",
        tmp_path / "manifest.jsonl",
        tmp_path / "small.dict",
        whole_whisper,
    )


def run_to_features(materials: Materials) -> None:
    """The first four stages."""
    for stage in (stages.pronouncing, stages.caching, stages.aligning, stages.extracting):
        stage(materials, RECIPE)


def write_stream(folder: Path) -> Path:
    """A long stream of one recording, in which a term is said to occur."""
    stream = {
        "name": "short",
        "duration_s": 8.0,
        "utterances": [{"path": "u0.wav", "offset_s": 0.0}],
        "occurrences": [{"term": "dog", "start": 4.0, "end": 4.4}],
        "words": [["dog", 4.0, 4.4]],
    }
    (folder / "short.json").write_text(json.dumps(stream), "utf-8")
    return folder / "short.json"


def write_index(folder: Path, encoder_id: str) -> Path:
    """An index of three words with vectors of no meaning."""
    entries = [Entry(f"e{i}", word, {}) for i, word in enumerate(WORDS[:3])]
    forms = [make_form(i, word, [[("D", "AO", "G")]]) for i, word in enumerate(WORDS[:3])]
    vectors = np.eye(16, dtype=np.float32)[:3]
    TermIndex(entries, forms, vectors, np.zeros((3, 4), np.float32), encoder_id, "v1").save(folder)
    return folder


def test_stages_make_a_model(materials: Materials, tmp_path: Path) -> None:
    """From recordings to a calibrated model folder, each stage on what the ones before it left."""
    run_to_features(materials)
    stages.spanning(materials, RECIPE)
    model = tmp_path / "model"
    stages.exporting(materials, RECIPE, model, {"licence": "none", "provenance": []})
    folder = ModelFolder.load(model)
    assert folder.contents.keys() == {"audio.onnx", "spans.onnx", "text.onnx", "g2p.onnx", "background.npy"}
    assert len(unpack_background(folder.contents["background.npy"])) == 3
    index = write_index(tmp_path / "index", folder.encoder_id)
    with pytest.raises(StageError, match="1 stream gave no right candidate"):
        stages.calibrating(materials, model, {write_stream(tmp_path): [index]})
    assert ModelFolder.load(model).encoder_id == folder.encoder_id
    check_verifier(materials, model, folder.contents.keys())


def check_verifier(materials: Materials, model: Path, without: Set[str]) -> None:
    """The stage verify adds two files to the folder; they must be of the encoder that is in it."""
    tower = stages.load_alignment(materials, RECIPE).tower
    assert stages.load_verifier(materials, RECIPE, tower) is None
    stages.verifying(materials, RECIPE)
    stages.exporting(materials, RECIPE, model, {"licence": "none", "provenance": []})
    folder = ModelFolder.load(model)
    assert folder.contents.keys() == without | {"verifier.onnx", "verifier_tokens.json"}
    hidden = OnnxFrameEncoder(folder).encode(np.zeros(48_000, np.float32)).hidden
    assert hidden is not None
    [found] = OnnxVerifier(folder).log_probs(hidden, [(20, 40)], ["dog"])
    assert len(found) == 3  # of 31 tokens one is a blank with a d, none a whole word
    parity = json.loads((model / "spec.json").read_text("utf-8"))["parity"]
    assert parity["verifier_fp32"]["largest"] <= parity["verifier_int8"]["largest"] < 0.05
    part = stages.load_verifier(materials, RECIPE, tower)
    assert part is not None
    assert not part.verifier.training
    with torch.no_grad():
        tower.layer_norm.bias.add_(1)
    with pytest.raises(StageError, match=r"verifier\.pt was trained on another encoder"):
        stages.load_verifier(materials, RECIPE, tower)


def heard(name: str) -> StreamEvidence:
    """Evidence as `collect` gives it: a term that is said, found with much confidence, and another, with little."""
    entries = tuple(Entry(f"e{i}", word, {}) for i, word in enumerate(WORDS[:3]))
    forms = tuple(make_form(i, word, []) for i, word in enumerate(WORDS[:3]))
    found = []
    for form, strength in ((0, -0.1), (1, -1.5)):
        numbers = dict.fromkeys(FEATURES, 0.0) | {"characters": strength, "phonemes": strength}
        found.append(Evidence(form, 200, 219, numbers))
    hops = tuple(Hop(i * 5_120, (i + 1) * 5_120, 0, tuple(found) if i == 13 else ()) for i in range(25))
    reference = Reference(8.0, (Occurrence(WORDS[0], 4.0, 4.4),), ((WORDS[0], 4.0, 4.4),))
    return StreamEvidence(name, 3, reference, entries, forms, hops)


def test_calibration_is_written_into_the_model(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of all streams and the table go into the folder, which keeps its graphs and its id."""
    model = tmp_path / "model"
    spec = {"name": "tiny", "context_samples": 48_000, "frame_samples": 320, "feature_width": 32, "dim": 16}
    facts = {"licence": "none", "provenance": [], "calibration": uncalibrated().to_json()}
    write_model_folder(model, {"a.onnx": b"bytes"}, {**spec, **facts})
    before = ModelFolder.load(model)
    index = write_index(tmp_path / "index", before.encoder_id)
    monkeypatch.setattr(stages, "collect", lambda stream, folder, indexes: [heard("one"), heard("two"), heard("two13")])
    stages.calibrating(materials, model, {write_stream(tmp_path): [index]})
    after = ModelFolder.load(model)
    assert after.encoder_id == before.encoder_id
    assert after.calibration.sizes == (3,)
    assert after.calibration.weights[0] > 0
    report = json.loads((model / "spec.json").read_text("utf-8"))["calibration_report"]["streams"]
    assert [row["stream"] for row in report] == ["one", "two", "two13"]
    assert report[0]["recall_at_false_hints_per_hour"]["12"] == 1.0


def test_whole_caches_are_kept(materials: Materials) -> None:
    """A second run of a stage makes only the folders that are missing."""
    stages.caching(materials, RECIPE)
    cache = materials.work / "cache"
    assert {p.name for p in cache.iterdir()} == {"held_out", "clean", "augmented1", "synthetic0", "synthetic1"}
    clean, held_out = cache / "clean" / "windows_150.jsonl", cache / "held_out" / "windows_150.jsonl"
    before = clean.stat().st_mtime_ns, held_out.read_bytes()
    held_out.unlink()
    (cache / "held_out" / "frames_150.f16").unlink()
    (cache / "held_out").rmdir()
    stages.caching(materials, RECIPE)
    assert (clean.stat().st_mtime_ns, held_out.read_bytes()) == before


def test_a_failing_cache_leaves_no_folder(materials: Materials) -> None:
    """Where a recording is lost, the cache that needed it is absent, not half there."""
    (materials.data.parent / "u0.wav").unlink()
    with pytest.raises(ManifestError, match=r"u0\.wav"):
        stages.caching(materials, RECIPE)
    assert {p.name for p in (materials.work / "cache").iterdir()} <= {"held_out", "clean"}
    assert len(list((materials.work / "cache").iterdir())) < 2


@pytest.mark.parametrize(
    ("stage", "missing"),
    [
        (stages.aligning, "g2p first"),
        (stages.extracting, "align first"),
        (stages.verifying, "align first"),
        (stages.spanning, "features first"),
        (lambda m, r: stages.exporting(m, r, m.work / "model", {}), "align first"),
    ],
)
def test_stages_name_what_is_missing(materials: Materials, stage: stages.Stage, missing: str) -> None:
    """A stage that is run too early says which one comes first."""
    with pytest.raises(StageError, match=missing):
        stage(materials, RECIPE)


def test_unfinished_trainings_are_not_used(materials: Materials) -> None:
    """A checkpoint of fewer epochs than the recipe's is no model yet."""
    stages.pronouncing(materials, RECIPE)
    longer = replace(RECIPE, g2p=replace(RECIPE.g2p, epochs=2))
    with pytest.raises(StageError, match="stopped after epoch 1 of 2"):
        stages.load_g2p(materials, longer)


def test_damaged_checkpoints_are_named(materials: Materials) -> None:
    """A checkpoint that cannot be read is told with its path and the cure."""
    (materials.work / "g2p").mkdir(parents=True)
    (materials.work / "g2p" / "g2p.pt").write_bytes(b"PK nonsense")
    with pytest.raises(StageError, match=r"g2p\.pt is damaged: remove it"):
        stages.load_g2p(materials, RECIPE)


def speakers(rows: Sequence[Utterance]) -> set[tuple[str, str]]:
    """Collections and speakers of some rows."""
    return {(row.collection, row.speaker) for row in rows}


def test_held_out_speakers_are_never_trained_on(materials: Materials) -> None:
    """Whole speakers are held out, the same ones each time; untimed and evaluation rows are in neither part."""
    training, held_out = real_speech(materials, RECIPE)
    assert speakers(training).isdisjoint(speakers(held_out))
    assert len(speakers(held_out)) == 1
    assert {row.utterance_id for row in training + held_out} == {f"u{i}" for i in range(8)}
    assert (training, held_out) == real_speech(materials, RECIPE)


def test_the_choice_of_speakers_does_not_depend_on_order() -> None:
    """Rows in another order, or other collections beside, hold out the same speakers."""
    rows = [Utterance(f"{c}{i}", Path("x"), f"s{i}", c, "train", 1.0, ()) for c in "ab" for i in range(20)]
    _, held_out = split_speakers(rows, {"a": 4}, 7)
    _, again = split_speakers(rows[::-1], {"b": 2, "a": 4}, 7)
    assert speakers(held_out) == {pair for pair in speakers(again) if pair[0] == "a"}
    assert len(speakers(again)) == 6


@pytest.mark.parametrize("held_out", [{}, {"others": 3}, {"readers": 3}])
def test_speakers_must_part(materials: Materials, held_out: dict[str, int]) -> None:
    """Nothing held out, or everything, is refused with the collections that are there."""
    with pytest.raises(ManifestError, match=r"readers \(3 speakers\)"):
        real_speech(materials, replace(RECIPE, held_out=held_out))


def test_contexts_of_unknown_collections_are_shared(materials: Materials) -> None:
    """Without the collections named, contexts are taken from those that are there."""
    _, held_out = real_speech(materials, RECIPE)
    contexts = choose_contexts(held_out, {"librispeech": 2, "vctk": 1})
    assert [context.shape for context in contexts] == [(48_000,)] * 3
    with pytest.raises(StageError, match="less than one context"):
        choose_contexts([], {"librispeech": 2})


def test_a_work_folder_keeps_its_recipe(tmp_path: Path) -> None:
    """Other settings in the same folder are refused by name; the same ones go on."""
    keep_recipe(tmp_path / "work", RECIPE)
    keep_recipe(tmp_path / "work", RECIPE)
    with pytest.raises(StageError, match=r"other settings \(dim\)"):
        keep_recipe(tmp_path / "work", replace(RECIPE, dim=32))


def test_a_work_folder_learns_of_new_stages(tmp_path: Path) -> None:
    """One that was begun before a stage existed goes on; what it knows it keeps to."""
    keep_recipe(tmp_path, RECIPE)
    path = tmp_path / "recipe.json"
    begun = json.loads(path.read_text("utf-8"))
    del begun["blocks"]
    path.write_text(json.dumps(begun), "utf-8")
    keep_recipe(tmp_path, RECIPE)
    with pytest.raises(StageError, match=r"other settings \(dim\)"):
        keep_recipe(tmp_path, replace(RECIPE, dim=32))
    path.write_text(json.dumps({**begun, "gone": 1}), "utf-8")
    with pytest.raises(StageError, match=r"other settings \(gone\)"):
        keep_recipe(tmp_path, RECIPE)


@pytest.mark.parametrize("content", ["{", "[]", '{"licence": "MIT"}'])
def test_facts_must_be_complete(tmp_path: Path, content: str) -> None:
    """A facts file without licence and provenance is refused; without a file both are said to be unknown."""
    path = tmp_path / "facts.json"
    path.write_text(content, "utf-8")
    with pytest.raises(StageError, match=r"facts\.json"):
        read_facts(path)
    assert read_facts(None)["licence"] == "not stated"


def command(materials: Materials, stage: str, *more: str) -> list[str]:
    """The command line of one stage."""
    given = {"--work": materials.work, "--data": materials.data, "--dictionary": materials.dictionary}
    options = [str(part) for pair in given.items() for part in pair]
    return [stage, *options, "--whisper", str(materials.whisper), *more]


def test_command_line_runs_a_stage(materials: Materials) -> None:
    """One command runs one stage and keeps its recipe in the work folder."""
    threads = torch.get_num_threads()
    main(command(materials, "g2p", "--g2p-epochs", "1", "--hold-out", "readers=1"))
    assert json.loads((materials.work / "recipe.json").read_text("utf-8"))["held_out"] == {"readers": 1}
    torch.set_num_threads(threads)


def test_a_stopped_stage_ends_as_shells_expect(
    materials: Materials, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with status 130 and the step that is saved, not with a traceback."""

    def stopped(materials: Materials, recipe: CompactRecipe) -> None:
        raise Stopped("stopped after step 3; the same command goes on from there")

    monkeypatch.setattr(stages, "pronouncing", stopped)
    with pytest.raises(SystemExit) as ended:
        main(command(materials, "g2p"))
    assert ended.value.code == 130
    assert "step 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "more", "status", "message"),
    [
        ("align", ["--hold-out", "readers"], 2, "COLLECTION=SPEAKERS"),
        ("calibrate", ["--stream", "one.json"], 2, "STREAM.json=INDEX"),
        ("g2p", ["--g2p-epochs", "0"], 2, "no whole number above 0"),
        ("calibrate", [], 1, "at least one --stream"),
        ("align", [], 1, "run the stage g2p first"),
        ("cache", ["--whisper", "nowhere"], 1, "nowhere holds no model.safetensors"),
    ],
)
def test_command_line_says_what_is_wrong(
    materials: Materials, stage: str, more: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option ends with status 2, a stage that cannot run with status 1, both with one clear sentence."""
    with pytest.raises(SystemExit) as stopped:
        main(command(materials, stage, *more))
    assert stopped.value.code == status
    assert message in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists the stages in their order."""
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "for stage in g2p cache align verify features spans export" in capsys.readouterr().out
