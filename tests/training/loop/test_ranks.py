import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from streaming.errors import SettingError
from training.loop.checkpoint_files import read_checkpoint
from training.loop.testing import ROWS, toy_config, toy_parts
from training.loop.trainer import Trainer

SCRIPT = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer

class Broken(Exception): ...

def fall(done, total):
    if done == 7:
        raise Broken

def run(name, dropout, progress=None, **settings):
    try:
        Trainer(toy_config(Path(sys.argv[1]) / name, **settings), toy_parts(dropout, rank=rank), progress=progress).run()
    except Broken:
        pass

rank = int(os.environ["RANK"])
# An evaluation within an epoch: the weights and not the average must go on after it.
more = {"average": 0.5, "evaluate_every_steps": 3}
run("plain", 0.0, **more)
run("sharded", 0.0, fsdp=True, micro_batch=4, **more)
for name, fsdp in (("plain", False), ("sharded", True)):
    run(f"whole-{name}", 0.3, fsdp=fsdp, **more)
    run(f"broken-{name}", 0.3, fall, fsdp=fsdp, **more)
    torch.distributed.barrier()
    if rank == 0:
        latest = Path(sys.argv[1]) / f"broken-{name}/toy_full.resume/LATEST"
        (Path(sys.argv[1]) / f"latest-{name}").write_text(latest.read_text())
    torch.distributed.barrier()
    run(f"broken-{name}", 0.3, fsdp=fsdp, **more)
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes on the CPU, as torchrun starts them; one launch, since starting is what takes long."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    script = [sys.executable, "-c", SCRIPT, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command + script, env=environment, capture_output=True, timeout=240, check=False, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def assert_close(one: Path, other: Path) -> None:
    """The same weights but for the order of sums."""
    first, second = read_checkpoint(one).weights, read_checkpoint(other).weights
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=2e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process that sees the rows of both ranks in one batch."""
    folder = tmp_path_factory.mktemp("one")
    config = toy_config(folder, batch_size=2 * ROWS, average=0.5, evaluate_every_steps=3)
    Trainer(config, toy_parts(0.0, joined_ranks=2)).run()
    return folder


def losses(folder: Path) -> list[float]:
    """The logged losses."""
    rows = [json.loads(line) for line in (folder / "logs/toy_full.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["kind"] == "step"]


@pytest.mark.parametrize("name", ["plain", "sharded"])
def test_two_processes_train_as_one(two_processes: Path, one_process: Path, name: str) -> None:
    """Losses and averaged weights are those of one process with all rows; also with a sharded text tower and parts."""
    folder = two_processes / name
    assert losses(folder) == pytest.approx(losses(one_process), abs=1e-4)
    assert_close(folder / "toy_full.pt", one_process / "toy_full.pt")
    assert_close(folder / "toy_best.pt", one_process / "toy_best.pt")


@pytest.mark.parametrize("name", ["plain", "sharded"])
def test_two_processes_go_on_exactly(two_processes: Path, name: str) -> None:
    """Broken in the seventh step and started again: the bits of an unbroken run, dropout and shards included."""
    assert (two_processes / f"latest-{name}").read_text().split() == ["6", "2"]
    whole, broken = (
        read_checkpoint(two_processes / f"{kind}-{name}/toy_full.pt").weights for kind in ("whole", "broken")
    )
    for tensor, value in whole.items():
        assert torch.equal(value, broken[tensor]), tensor


def test_sharding_needs_several_processes(tmp_path: Path) -> None:
    """One process has nothing to share."""
    with pytest.raises(SettingError, match="--fsdp"):
        Trainer(toy_config(tmp_path, fsdp=True), toy_parts())
