import pickle
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from streaming.errors import SettingError
from training.loop.checkpoint import CheckpointError, save_state
from training.loop.checkpoint_files import Checkpoint, read_checkpoint, write_checkpoint
from training.loop.checkpoint_paths import best_path, epoch_path, resume_folder
from training.loop.config import ModelConfig, RunConfig, TrainConfig
from training.loop.presets import preset
from training.loop.testing import ToyLearner, toy_config
from training.loop.trained_models import load_model, load_retriever, load_weights, trained_weights
from training.models.retriever import build_retriever

TINY = preset("tiny")


@pytest.mark.parametrize(
    ("save_path", "single", "names"),
    [
        (
            "data/qwen2_audio_term_level_full.pt",
            False,
            ["qwen2_audio_term_level_best.pt", "qwen2_audio_term_level_epoch2.pt"],
        ),
        (
            "data/qwen2_audio_term_level_single.pt",
            True,
            ["qwen2_audio_term_level_single_best.pt", "qwen2_audio_term_level_single_epoch2.pt"],
        ),
        ("mine.pt", False, ["mine_best.pt", "mine_epoch2.pt"]),
        ("folder", False, ["folder_best", "folder_epoch2"]),
    ],
)
def test_names_are_those_of_the_document(save_path: str, single: bool, names: list[str]) -> None:
    """..._full.pt has ..._best.pt and ..._epochN.pt beside it; a single slice has names of its own."""
    run = RunConfig(save_path=Path(save_path))
    assert [best_path(run, single).name, epoch_path(run, single, 2).name] == names
    assert best_path(replace(run, best_model=Path("b.pt")), single) == Path("b.pt")
    assert resume_folder(run).name == f"{Path(save_path).stem}.resume"


@pytest.mark.parametrize("name", ["model.pt", "model"])
def test_a_retriever_comes_back(tmp_path: Path, name: str) -> None:
    """File and folder give the weights, the settings and the figures back, twice over the same path."""
    torch.manual_seed(3)
    model = build_retriever(TINY.model)
    for step in (1, 2):
        write_checkpoint(
            tmp_path / name, Checkpoint(TINY, trained_weights(model, TINY.model), step, 1, {"recall@10": 0.5})
        )
    read = read_checkpoint(tmp_path / name)
    assert (read.config, read.step, read.epoch, read.figures) == (TINY, 2, 1, {"recall@10": 0.5})
    again = load_retriever(tmp_path / name)
    assert not again.training
    assert again.state_dict().keys() == model.state_dict().keys()
    for key, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_only_what_was_trained_is_saved(tmp_path: Path) -> None:
    """Weights that the named base brings are not in the file; without a base all are."""
    model = ToyLearner()
    model.audio.requires_grad_(False)
    based = trained_weights(model, ModelConfig(model_name="some/base"))
    assert not [name for name in based if name.startswith("audio.")]
    assert "text.words.weight" in based
    assert len(trained_weights(model, ModelConfig(model_name=""))) == len(list(model.parameters()))

    def build(config: TrainConfig) -> ToyLearner:
        fresh = ToyLearner()
        fresh.audio.requires_grad_(False)
        return fresh

    write_checkpoint(tmp_path / "m.pt", Checkpoint(toy_config(tmp_path), based))
    loaded = load_model(tmp_path / "m.pt", build)
    assert torch.equal(loaded.text.words.weight, model.text.words.weight)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    """Missing, unknown and differently shaped weights are named, and the cure."""
    model = ToyLearner()
    weights = trained_weights(model, ModelConfig(model_name=""))
    changed = {name: value for name, value in weights.items() if name != "log_scale"}
    changed["audio.weight"] = torch.zeros(3, 3)
    changed["other.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"another architecture") as found:
        load_weights(model, changed, tmp_path / "m.pt")
    for part in ("1 unknown, such as other.weight", "1 missing, such as log_scale", r"audio.weight [3, 3] instead of"):
        assert part in str(found.value)


class Dangerous:
    """An object that pickle would run code for."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"proj_speech.weight": torch.zeros(512, 1024)}, "of the SONAR system"),
        ({"module.sonar_encoder.x": torch.zeros(1)}, "of the SONAR system"),
        (
            {"model_state_dict": {"module.proj_speech.weight": torch.zeros(512, 1024)}, "epoch": 3},
            "of the SONAR system",
        ),
        ({"proj_speech.weight": torch.zeros(512, 4096)}, "earlier Qwen2-Audio scripts"),
        ({"a": torch.zeros(1), "b": 2}, "no checkpoint of TermCue .it holds a, b"),
        ([1, 2], "no checkpoint of TermCue .it holds a list"),
        ({"format": "termcue-retriever", "version": 9, "weights": {}}, "version 9"),
    ],
)
def test_files_of_other_programs_are_refused_with_the_reason(tmp_path: Path, content: object, message: str) -> None:
    """The SONAR system's checkpoint, the old scripts' and any other: a sentence each."""
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "old.pt")


def test_damaged_and_dangerous_files_are_refused(tmp_path: Path) -> None:
    """Missing, cut, empty, not torch's, and a pickle with code, which is not run."""
    write_checkpoint(tmp_path / "whole.pt", Checkpoint(TINY, {"w": torch.zeros(1000)}))
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Dangerous()))
    (tmp_path / "folder").mkdir()
    for name in ("missing.pt", "cut.pt", "empty.pt", "text.pt", "pickle.pt", "folder"):
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["model.pt", "model"])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, name: str) -> None:
    """The disk refuses in the middle: a sentence, the old file whole, and nothing else left behind."""
    path = tmp_path / name
    write_checkpoint(path, Checkpoint(TINY, {"w": torch.ones(10)}, step=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"cannot (save|write).*room|free space"):
            write_checkpoint(path, Checkpoint(TINY, {"w": torch.zeros(200_000)}, step=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_checkpoint(path).step == 1
    assert [left.name for left in tmp_path.iterdir()] == [name]


def test_a_kill_between_the_two_moves_of_a_folder_loses_nothing(tmp_path: Path) -> None:
    """The one before is read from where it was put, and the next write brings the place back."""
    write_checkpoint(tmp_path / "model", Checkpoint(TINY, {"w": torch.ones(1)}, step=1))
    (tmp_path / "model").rename(tmp_path / "model.old")
    assert read_checkpoint(tmp_path / "model").step == 1
    write_checkpoint(tmp_path / "model", Checkpoint(TINY, {"w": torch.ones(1)}, step=2))
    assert read_checkpoint(tmp_path / "model").step == 2
    assert [left.name for left in tmp_path.iterdir()] == ["model"]


def test_save_state_makes_its_folder(tmp_path: Path) -> None:
    """A checkpoint may go where nothing is yet; a file in the way is an error."""
    save_state(tmp_path / "a/b/c.pt", {"x": torch.ones(1)})
    assert torch.load(tmp_path / "a/b/c.pt", weights_only=True)["x"] == 1
    with pytest.raises(CheckpointError, match=r"cannot save"):
        save_state(tmp_path / "a/b/c.pt/d.pt", {})


def test_settings_of_a_checkpoint_are_checked(tmp_path: Path) -> None:
    """A setting that this version does not know is named."""
    torch.save(
        {
            "format": "termcue-retriever",
            "version": 1,
            "weights": {},
            "config": {"x": 1},
            "step": 0,
            "epoch": 0,
            "figures": {},
        },
        tmp_path / "m.pt",
    )
    with pytest.raises(SettingError, match="no setting x"):
        read_checkpoint(tmp_path / "m.pt")


def test_frozen_weights_without_a_base_come_back(tmp_path: Path) -> None:
    """Random towers that do not learn are saved too, since nothing else knows them."""
    config = replace(TINY, model=replace(TINY.model, unfreeze_layers=0))
    model: nn.Module = build_retriever(config.model)
    write_checkpoint(tmp_path / "m.pt", Checkpoint(config, trained_weights(model, config.model)))
    again = load_retriever(tmp_path / "m.pt")
    for key, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_a_part_is_no_retriever(tmp_path: Path) -> None:
    """What a stage of the compact recipe trained is refused with the command that makes a model of the parts."""
    part = replace(TINY, model=replace(TINY.model, part="alignment"))
    write_checkpoint(tmp_path / "a.pt", Checkpoint(part, {"head.weight": torch.zeros(2, 2)}))
    with pytest.raises(CheckpointError, match=r"the part alignment .*training\.compact export"):
        load_retriever(tmp_path / "a.pt")


WHOLE = {"format": "termcue-retriever", "version": 1, "weights": {}, "config": {}, "step": 0, "epoch": 0, "figures": {}}


@pytest.mark.parametrize(
    ("name", "value"), [("version", None), ("version", "2"), ("step", None), ("weights", None), ("config", [])]
)
def test_a_head_that_is_not_whole_is_named(tmp_path: Path, name: str, value: object) -> None:
    """What is missing or of another kind is told in a sentence."""
    torch.save(WHOLE | {name: value}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=rf"m\.pt is no whole checkpoint: its {name}"):
        read_checkpoint(tmp_path / "m.pt")
