"""From rows to hints on tiny Qwen2-Audio models: real classes, processor and tokenizer, random weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from app.cli import run
from tests.training import espeak
from training.models.tiny import write_tiny_qwen2_audio

torch.set_num_threads(1)

PRESETS = ("debug", "production", "multi-gpu", "term-only", "hard-negative", "custom-model")
COMBINATIONS = ("quick-check", "standard", "high-performance", "rejection-focused")


@dataclass(frozen=True)
class Workshop:
    """Where the document wants everything, with speech and a model that are small."""

    folder: Path
    model: Path
    terms: tuple[str, ...]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Ten terms by two voices for training and by one for tests, and a tiny Qwen2-Audio."""
    folder = tmp_path_factory.mktemp("workshop")
    terms = espeak.technical_terms()[:10]
    speakers = espeak.voices(80)
    espeak.make_corpus(folder / "train", terms, speakers[:2], 1)
    espeak.make_corpus(folder / "test", terms, speakers[60:61], 2)
    glossary = {t: {"term": t, "target_translations": {"de": t.upper()}, "short_description": f"a {t}"} for t in terms}
    (folder / "glossary_filtered.json").write_text(json.dumps(glossary), "utf-8")
    (folder / "alt2main.json").write_text(json.dumps({f"{terms[0]} thing": terms[0]}), "utf-8")
    words = [word for term in terms for word in term.split()]
    return Workshop(folder, write_tiny_qwen2_audio(folder / "model", words=words), terms)


def laid_out(workshop: Workshop, place: Path) -> None:
    """The layout of the document's `data` folder."""
    for part, target in (("train", "data/xl_term_level_chunks_merged.json"), ("train", "data/samples/xl/a_first.json"),
                         ("test", "data/samples/xl/term_level_chunks_500000_1000000.json")):  # fmt: skip
        path = place / target
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in (workshop.folder / part / "rows.jsonl").read_text("utf-8").splitlines()]
        for row in rows:
            row["path"] = str(workshop.folder / part / row["path"])
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    terms = place / "data" / "terms"
    terms.mkdir(parents=True)
    for name in ("glossary_filtered.json", "alt2main.json"):
        (terms / name).write_text((workshop.folder / name).read_text("utf-8"), "utf-8")


@pytest.mark.parametrize("preset", [*PRESETS, *COMBINATIONS])
def test_presets_run_from_rows_to_hints(
    preset: str, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each documented preset trains, is judged, is exported, and its folder hears a glossary in a recording."""
    laid_out(workshop, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = "--offline --epochs 1 --max-steps 2 --batch-size 6 --micro-batch 3 --precision fp32 --dim 16 --workers 0"
    arguments = ["pipeline", f"--preset={preset}", f"--model-name={workshop.model}", "--gpu-ids=", *small.split()]
    assert run([*arguments, "--processes=1", "--no-augment"]) == 0
    is_single = preset in ("debug", "quick-check")
    stem = f"qwen2_audio_term_level_{'single' if is_single else 'full'}"
    written = {path.name for path in (tmp_path / "data").iterdir()}
    best = "qwen2_audio_term_level_single_best.pt" if is_single else "qwen2_audio_term_level_best.pt"
    assert {f"{stem}.pt", f"{stem}_model", best} <= written
    assert list((tmp_path / "logs").glob("qwen2_audio_term_level_pipeline_*.log"))
    steps = [json.loads(line) for line in (tmp_path / "logs" / f"{stem}.jsonl").read_text("utf-8").splitlines()]
    assert {"audio_text", "audio_term", "no_term", "hard_negative"} <= set().union(*steps)
    capsys.readouterr()
    model = f"--model=data/{stem}_model"
    assert run(["reindex", "data/terms/glossary_filtered.json", "--id=talk", model]) == 0
    capsys.readouterr()
    recording = next((workshop.folder / "test").glob("*.wav"))
    assert run(["listen", str(recording), "--glossary=talk", model, "--threshold=0.5", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["type"] == "Begin"
    assert events[-1]["type"] == "Metadata"
