"""What a training tells: a JSON line a row, the same for TensorBoard, and files beside them for what is said."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from streaming.durable import replace_file

TRAIN_LOG = "qwen2_train_term_level"
PIPELINE_LOG = "qwen2_audio_term_level_pipeline"


class RunLog:
    """`NAME.jsonl` and `tensorboard/NAME/` in a folder.

    Args:
        folder: made where it is missing.
        name: of the run.
        step: of a resumed run: rows of later steps, which will be done again, are taken back.
    """

    def __init__(self, folder: Path, name: str, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{name}.jsonl"
        _keep_until(self.file, step)
        self._board = SummaryWriter(str(folder / "tensorboard" / name), purge_step=step + 1)

    def row(self, kind: str, step: int, **figures: float) -> None:
        """Write one row; `kind` is `step` or `evaluation`."""
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "step": step} | figures) + "\n")
        for name, value in figures.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.close()


def _keep_until(file: Path, step: int) -> None:
    """Drop rows after `step`, and a last line that a kill cut."""
    if not file.exists():
        return
    kept = []
    for line in file.read_text("utf-8").splitlines():
        try:
            is_kept = json.loads(line)["step"] <= step
        except (ValueError, KeyError, TypeError):
            is_kept = False
        if is_kept:
            kept.append(line + "\n")
    replace_file(file, "".join(kept).encode())


class StepMeans:
    """Means of loss components over the steps since the last row; they stay on the device until then."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._examples = 0
        self._since = time.monotonic()

    def add(self, components: Mapping[str, Tensor], total: Tensor, examples: int) -> None:
        """One step."""
        for name, value in {**components, "loss": total}.items():
            seen = value.detach().float()
            self._sums[name] = self._sums[name] + seen if name in self._sums else seen
        self._steps += 1
        self._examples += examples

    def take(self) -> dict[str, float]:
        """The means and `examples_per_s`; begins anew."""
        seconds = max(1e-9, time.monotonic() - self._since)
        # The division waits for the GPU; adding 0 makes a negative zero plain.
        means = {name: float(value) / self._steps + 0.0 for name, value in self._sums.items()}
        means["examples_per_s"] = self._examples / seconds
        self.__init__()  # type: ignore[misc]
        return means


@contextmanager
def written_to(files: Mapping[Path, int], logger: str = "training") -> Iterator[None]:
    """What `logger` is told goes to each file too, from the level given for it."""
    target = logging.getLogger(logger)
    with ExitStack() as stack:
        stack.callback(target.setLevel, target.level)
        if not target.isEnabledFor(logging.INFO):
            target.setLevel(logging.INFO)
        for file, level in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            output = logging.FileHandler(file, encoding="utf-8", delay=False)
            output.setLevel(level)
            output.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            target.addHandler(output)
            stack.callback(output.close)
            stack.callback(target.removeHandler, output)
        yield


def stamp() -> str:
    """Now, as it stands in names of logs."""
    return time.strftime("%Y%m%d_%H%M%S")


def told(figures: Mapping[str, Any]) -> str:
    """Figures in one line."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
