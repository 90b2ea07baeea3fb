import json
import logging
from pathlib import Path

import pytest
import torch

from training.loop.logs import RunLog, StepMeans, written_to
from training.loop.pipeline import Stage, run_stages


def test_a_resumed_log_takes_back_what_will_be_done_again(tmp_path: Path) -> None:
    """Rows after the resumed step go, and a last line that a kill cut; those before stay as they are."""
    with RunLog(tmp_path, "run") as log:
        for step in (1, 2, 3):
            log.row("step", step, loss=1.0 / step)
    with log.file.open("a") as stream:
        stream.write('{"kind": "step", "st')
    with RunLog(tmp_path, "run", step=2) as log:
        log.row("step", 3, loss=0.25)
    rows = [json.loads(line) for line in log.file.read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_tensorboard_has_every_figure(tmp_path: Path) -> None:
    """What stands in a JSON row stands there too, under kind/name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, "run") as log:
        log.row("step", 1, loss=0.5, no_term=0.25)
    board = EventAccumulator(str(tmp_path / "tensorboard/run"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"step/loss", "step/no_term"}
    assert [(event.step, event.value) for event in board.Scalars("step/loss")] == [(1, 0.5)]


def test_means_are_of_the_steps_since_the_last_row() -> None:
    """Each component and the whole; taking them begins anew."""
    means = StepMeans()
    means.add({"a": torch.tensor(1.0)}, torch.tensor(3.0), 4)
    means.add({"a": torch.tensor(3.0)}, torch.tensor(5.0), 4)
    taken = means.take()
    assert (taken["a"], taken["loss"]) == (2.0, 4.0)
    assert taken["examples_per_s"] > 0
    means.add({"a": torch.tensor(7.0)}, torch.tensor(7.0), 4)
    assert means.take()["a"] == 7.0


def test_each_file_gets_its_levels(tmp_path: Path) -> None:
    """The .out file gets what is told, the .err file warnings; afterwards the logger is as before."""
    logger = logging.getLogger("training")
    before = list(logger.handlers), logger.level
    with written_to({tmp_path / "logs/x.out": logging.INFO, tmp_path / "logs/x.err": logging.WARNING}):
        logging.getLogger("training.loop").info("told")
        logging.getLogger("training.loop").warning("warned")
    assert (list(logger.handlers), logger.level) == before
    out, err = ((tmp_path / f"logs/x.{kind}").read_text() for kind in ("out", "err"))
    assert ("told" in out, "warned" in out, "told" in err, "warned" in err) == (True, True, False, True)


def test_stages_run_in_order_and_are_logged(tmp_path: Path) -> None:
    """Each stage's begin, outcome and time stand in the pipeline's log."""
    seen: list[str] = []

    def stage(name: str) -> Stage:
        def run() -> str:
            seen.append(name)
            return f"{name} done"

        return Stage(name, run)

    log = run_stages([stage("one"), stage("two")], tmp_path / "logs", seen.append)
    assert seen == ["stage 1 of 2, one", "one", "stage 2 of 2, two", "two"]
    assert log.name.startswith("qwen2_audio_term_level_pipeline_")
    assert "stage 2 of 2, two: done in" in log.read_text()


def test_a_failing_stage_ends_the_pipeline(tmp_path: Path) -> None:
    """Later stages do not run, and the log says why."""

    def fail() -> str:
        raise RuntimeError("no rows")

    with pytest.raises(RuntimeError, match="no rows"):
        run_stages([Stage("one", fail), Stage("two", lambda: pytest.fail("ran"))], tmp_path, lambda _: None)
    (log,) = tmp_path.glob("*.log")
    assert "failed after" in log.read_text()
    assert "no rows" in log.read_text()


def test_a_stop_is_no_failure(tmp_path: Path) -> None:
    """The log warns of it, without an error."""

    def stop() -> str:
        raise KeyboardInterrupt("stopped after step 3")

    with pytest.raises(KeyboardInterrupt):
        run_stages([Stage("one", stop)], tmp_path, lambda _: None)
    (log,) = tmp_path.glob("*.log")
    assert "WARNING stage 1 of 1, one: stopped" in log.read_text()
    assert "ERROR" not in log.read_text()
