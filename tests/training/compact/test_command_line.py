import json

import pytest
import torch

from training.compact import stages
from training.compact.__main__ import main
from training.compact.recipe import CompactRecipe, Materials
from training.loop.stopping import Stopped


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
