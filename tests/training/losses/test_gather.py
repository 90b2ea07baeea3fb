import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.loop.config import LossConfig
from training.losses.gather import gather_batch, gather_rows
from training.losses.testing import ToyRetriever, random_batch
from training.losses.total import Losses, total_loss
from training.models.interfaces import RetrieverLabels, RetrieverOutputs

SCRIPT = Path(__file__).with_name("two_ranks.py")
Found = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script of one rank, as a module."""
    spec = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What two processes found that talked to each other through gloo."""
    folder = tmp_path_factory.mktemp("ranks")
    running = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), folder], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=120)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], told
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def joined_rows(values: Sequence[Tensor], fill: float) -> Tensor:
    """Rows one after the other; what is shorter in other dimensions is filled up."""
    sizes = [max(v.shape[d] for v in values) for d in range(1, values[0].ndim)]
    out = []
    for value in values:
        padding = [p for d in reversed(range(1, value.ndim)) for p in (0, sizes[d - 1] - value.shape[d])]
        out.append(nn.functional.pad(value, padding, value=fill))
    return torch.cat(out)


def joined_outputs(parts: Sequence[RetrieverOutputs]) -> RetrieverOutputs:
    """Of one process that holds the rows of all; spans are filled up with the row's last."""
    longest = max(part.spans.shape[1] for part in parts)
    spans = [p.spans[:, torch.arange(longest).clamp(max=p.spans.shape[1] - 1)] for p in parts]
    others = {f.name: joined_rows([getattr(p, f.name) for p in parts], 0.0) for f in fields(RetrieverOutputs)[1:]}
    return RetrieverOutputs(torch.cat(spans), **others)


def joined_labels(parts: Sequence[RetrieverLabels]) -> RetrieverLabels:
    """The same for the labels; rows and columns of `covering` are counted on."""
    out: dict[str, Any] = {}
    for f in fields(RetrieverLabels):
        values = [getattr(part, f.name) for part in parts]
        out[f.name] = sum(values, ()) if isinstance(values[0], tuple) else joined_rows(values, -1)
    first = parts[0]
    moved = parts[1].covering + torch.tensor([len(first.row_terms), len(first.term_keys), 0])
    out["covering"] = torch.cat([first.covering, moved])
    # Fillers stand at the end of the shorter rows, as a batch maker puts them.
    out["spans"][out["spans"][..., 1] < 0] = torch.tensor([0, 1])
    return RetrieverLabels(**out)


def one_process(script: ModuleType, has_texts: bool = True) -> tuple[ToyRetriever, Losses]:
    """The model after one backward pass with the rows of both ranks, and its losses."""
    model: ToyRetriever = script.model_of()
    batches = [script.batch_of(rank) for rank in range(2)]
    labels = joined_labels([labels for _, labels in batches])
    if not has_texts:
        labels.text_keys[: len(batches[0][1].text_keys)] = -1
    outputs = joined_outputs([model(inputs) for inputs, _ in batches])
    losses = total_loss(outputs, labels, LossConfig(), model.log_scale)
    losses.total.backward()
    return model, losses


@pytest.mark.parametrize("way", ["plain", "cached", "textless"])
def test_two_processes_are_as_one(ranks: list[Found], script: ModuleType, way: str) -> None:
    """Losses on each rank and averaged gradients are those of one process with all rows, cached or not."""
    model, losses = one_process(script, has_texts=way != "textless")
    for rank in ranks:
        found = rank[way]
        torch.testing.assert_close(found["total"], losses.total.detach())
        for name, value in losses.components.items():
            torch.testing.assert_close(found[f"loss {name}"], value.detach())
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_negatives_of_the_other_rank_count(ranks: list[Found], script: ModuleType) -> None:
    """The loss across ranks is not what a rank would get alone."""
    model = script.model_of()
    inputs, labels = script.batch_of(0)
    alone = total_loss(model(inputs), labels, LossConfig(), model.log_scale)
    apart = ranks[0]["plain"]["loss audio_term"] - alone.components["audio_term"].detach()
    assert abs(float(apart)) > 0.01


def test_ragged_rows_are_gathered(ranks: list[Found]) -> None:
    """Rows come in the order of the ranks, shorter ones filled up; ranks with nothing bring nothing."""
    for rank in ranks:
        found = rank["gathered"]
        assert found["ragged"].tolist() == [[0, 1, 2], [3, 4, 5], [7, 7, -1]]
        assert found["one"].tolist() == [[1, 1]] * 3
        assert found["none"].shape == (0, 2)
        assert found["truth"].tolist() == [True, False, True, True]


def test_one_process_gathers_nothing() -> None:
    """Without ranks, everything stays the very same object."""
    inputs, labels = random_batch(3, 4)
    outputs = ToyRetriever()(inputs)
    assert gather_rows(outputs.spans) is outputs.spans
    assert gather_batch(outputs, labels) == (outputs, labels)


def test_across_ranks_changes_nothing_alone() -> None:
    """One process may ask for the loss across ranks and gets its own."""
    inputs, labels = random_batch(5, 6)
    model = ToyRetriever()
    alone, across = (
        total_loss(model(inputs), replace(labels), LossConfig(), model.log_scale, across_ranks=flag).total
        for flag in (False, True)
    )
    assert torch.equal(alone, across)
