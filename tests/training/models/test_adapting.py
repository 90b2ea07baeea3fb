from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from streaming.errors import ModelError, SettingError
from streaming.model_folder import ModelFolder
from tests.training.models.served_folders import rewritten
from training.corpus.examples import Example, TermSpan
from training.corpus.rows import write_examples
from training.export.parts import Format
from training.export.retriever import ExportSettings, export_retriever
from training.loop.assemble import run_training
from training.loop.checkpoint_files import read_checkpoint
from training.loop.config import TrainConfig
from training.loop.finished import finished_training
from training.loop.presets import preset
from training.loop.trained_models import load_retriever
from training.models.base_folder import pinned
from training.models.retriever import build_retriever


@pytest.fixture
def adapting(tmp_path: Path, exported: Callable[[Format], Path]) -> TrainConfig:
    """The preset `adapt` for two steps on noise, from a copy of the small folder."""
    rng, rows = np.random.default_rng(3), []
    for i, term in enumerate(("kalman filter", "lattice", "ion", "")):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, rng.standard_normal(24_000) * 0.1, 16_000)
        spans = (TermSpan(term, 3_200, 14_400),) if term else ()
        rows.append(Example(f"{i}", path, 0, 24_000, term or "nothing", spans, (), f"{i}", f"{i}"))
    write_examples(tmp_path / "rows.jsonl", rows)
    adapt = preset("adapt")
    return replace(
        adapt,
        model=replace(
            adapt.model, model_name=str(rewritten(exported("int8"), tmp_path / "base", {})), unfreeze_layers=1
        ),
        data=replace(adapt.data, train=(tmp_path / "rows.jsonl",), no_term_share=0.5),
        run=replace(
            adapt.run,
            batch_size=4,
            micro_batch=2,
            epochs=2,
            save_path=tmp_path / "out" / "a_full.pt",
            logs=tmp_path / "logs",
        ),
    )


def test_an_adapted_model_is_exported_and_adapted_again(
    adapting: TrainConfig, tmp_path: Path, bundled: ModelFolder
) -> None:
    """Two steps change what learns and nothing else; the folder of the result names its base and is a base itself."""
    outcome = run_training(adapting)
    assert outcome.steps == 2
    kept, base = read_checkpoint(outcome.checkpoint), ModelFolder.load(Path(adapting.model.model_name))
    assert kept.config.model == pinned(adapting.model)
    assert kept.config.model.base_id == base.encoder_id
    model = load_retriever(outcome.checkpoint)
    before = dict(build_retriever(adapting.model).named_parameters())
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved <= kept.weights.keys()
    assert {"spans.layers.1.weight", "text.tower.out.weight", "audio.encoder.layers.1.fc1.weight"} <= moved
    noise = [np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.1]
    export_retriever(model, tmp_path / "mine", bundled, noise, settings=ExportSettings("fp32", "mine", 16_000))
    again = build_retriever(replace(adapting.model, model_name=str(tmp_path / "mine")))
    assert all(
        torch.equal(p, dict(again.named_parameters())[n]) for n, p in model.named_parameters() if n != "log_scale"
    )
    provenance = ModelFolder.load(tmp_path / "mine").spec.provenance
    assert any(base.encoder_id in part["source"] for part in provenance)
    assert finished_training(adapting) is not None


def test_a_checkpoint_wants_the_folder_that_it_started_from(
    adapting: TrainConfig, tmp_path: Path, exported: Callable[[Format], Path]
) -> None:
    """Another model in its place, or none, is told of: the trained weights would stand on foreign ones."""
    outcome = run_training(adapting)
    base = Path(adapting.model.model_name)
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="there is no model folder"):
        load_retriever(outcome.checkpoint)
    rewritten(exported("fp32"), base, {})
    with pytest.raises(ModelError, match=r"started from the model small-.* now holds small-.*; put that model back"):
        load_retriever(outcome.checkpoint)
    with pytest.raises(SettingError, match=r"other settings \(model.base_id"):
        finished_training(adapting)
