from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.evaluation.evaluate import EvaluationTerms, evaluate
from training.evaluation.retriever import evaluate_retriever, named_device, open_checkpoint
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.config import ModelConfig, TrainConfig
from training.loop.trained_models import trained_weights
from training.models.retriever import DualEncoder, build_retriever

CONFIG = ModelConfig(audio_tower="whisper", model_name="", text_tower="characters", dim=32, unfreeze_layers=None)


@pytest.fixture(scope="module")
def model() -> DualEncoder:
    """A random retriever of the small Whisper shape."""
    torch.manual_seed(5)
    return build_retriever(CONFIG)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Four rows of noise of several lengths, two of them labelled."""
    folder = tmp_path_factory.mktemp("rows")
    examples = []
    for i, seconds in enumerate((0.4, 1.0, 1.3, 0.7)):
        audio = np.random.default_rng(i).uniform(-0.3, 0.3, round(seconds * 16_000))
        soundfile.write(folder / f"{i}.wav", audio, 16_000, subtype="FLOAT")
        terms = (TermSpan(f"kalman filter {i}", 0, 6_000),) if i % 2 else ()
        examples.append(Example(f"r{i}", folder / f"{i}.wav", 0, 0, "", terms, recording=f"t{i}"))
    return examples


def test_the_loop_gets_its_recall_and_its_model_back_as_it_was(model: DualEncoder, rows: list[Example]) -> None:
    """Dropout is off while judging, so that two calls agree; afterwards the model trains on."""
    model.train()
    terms = EvaluationTerms(glossary=[f"term {i}" for i in range(30)])
    first, second = (evaluate_retriever(model, rows, terms) for _ in range(2))
    assert model.training
    assert 0.0 <= first.recall_at_10 <= 1.0
    np.testing.assert_array_equal(first.results[0].ranking.score, second.results[0].ranking.score)
    assert first.scores["bank_entries"] == 32


def test_a_checkpoint_judges_as_the_model_that_was_saved(
    model: DualEncoder, rows: list[Example], tmp_path: Path
) -> None:
    """What `termcue evaluate --model CHECKPOINT` opens gives the figures of the model in memory."""
    config = TrainConfig(model=CONFIG)
    write_checkpoint(tmp_path / "model.pt", Checkpoint(config, trained_weights(model, CONFIG)))
    found = evaluate(open_checkpoint(tmp_path / "model.pt"), rows, EvaluationTerms())
    wanted = evaluate_retriever(model, rows)
    np.testing.assert_allclose(found.results[0].ranking.score, wanted.results[0].ranking.score, atol=1e-5)


def test_devices_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is not there is refused when asked for by name; auto takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert named_device("auto") == named_device("cpu") == torch.device("cpu")
    with pytest.raises(SettingError, match="finds no GPU"):
        named_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert named_device("auto") == named_device("cuda") == torch.device("cuda")
    assert named_device("cpu") == torch.device("cpu")
