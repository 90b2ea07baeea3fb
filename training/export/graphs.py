"""Checkpoint -> model folder: ONNX with int8 matrix products, parity figures, hashes, licence and provenance.

The files are made in a scratch folder; `training.export.folder` makes the model folder whole or not at all.
"""

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from streaming.model_folder import EXTERNAL_WEIGHTS
from training.models.heads import AlignmentHead
from training.models.whisper import LowerTower, UpperTower


class AudioGraph(nn.Module):
    """Log-mel float32[n, 80, 2t] -> characters, phonemes (log-probabilities), frames (features), hidden, as served."""

    def __init__(self, lower: LowerTower, upper: UpperTower, head: AlignmentHead) -> None:
        super().__init__()
        self.lower, self.upper, self.head = lower, upper, head

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden = self.upper(self.lower(mel))
        characters, phonemes, frames = self.head(hidden)
        return characters, phonemes, frames, hidden


class UnfoldedConvolution(nn.Module):
    """A Conv1d as one matrix product over shifted copies, which quantises and runs as int8; in fp32 nothing changes."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self.taps = convolution.kernel_size[0]
        self.stride = convolution.stride[0]
        self.padding = int(convolution.padding[0])
        self.weight = nn.Parameter(convolution.weight.detach().permute(2, 1, 0).flatten(0, 1).clone())  # [taps·in, out]
        self.bias = nn.Parameter(torch.zeros(convolution.out_channels))
        if convolution.bias is not None:
            self.bias.data.copy_(convolution.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        padded = nn.functional.pad(x, (self.padding, self.padding)).transpose(1, 2)
        last = padded.shape[1] - self.taps + 1
        taps = [padded[:, tap : tap + last : self.stride] for tap in range(self.taps)]
        return (torch.cat(taps, dim=2) @ self.weight + self.bias).transpose(1, 2)


def unfold_convolutions(module: nn.Module) -> nn.Module:
    """A copy in which every Conv1d is an `UnfoldedConvolution`."""
    module = copy.deepcopy(module)
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv1d):
                setattr(parent, name, UnfoldedConvolution(child))
    return module


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest and mean absolute difference to torch, and the share of frames with the same best symbol."""

    largest: float
    mean: float
    same_best: float


def export_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Trace a module into an ONNX file of its own number format.

    Args:
        module: takes the inputs in their order.
        inputs: an example of each.
        path: the file; what does not fit into it lies in files beside it, see `gather_weights`.
        outputs: names of what the module returns.
        axes: names of the axes that may have another size than in the example.
    """
    module.eval()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter is deprecated, but ONNX Runtime's int8 conversion knows its graphs; torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Whisper's attention asks a size whether it is causal; the widths that are traced as constants are constants.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python")
        warnings.filterwarnings("ignore", "Constant folding")
        # The masks of the language models index with positions, which are never negative.
        warnings.filterwarnings("ignore", "Exporting aten::index operator")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def gather_weights(source: Path, target: Path, largest: int) -> list[Path]:
    """Write a graph anew; weights of more than `largest` bytes together go into one file `target`.data beside it.

    Returns:
        The files that were written.
    """
    model = onnx.load(str(source))
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) <= largest:
        onnx.save(model, str(target))
        return [target]
    weights = target.with_name(target.name + EXTERNAL_WEIGHTS)
    weights.unlink(missing_ok=True)  # it would be appended to
    onnx.save(
        model,
        str(target),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=weights.name,
        size_threshold=1024,
    )
    return [target, weights]


def _halve_convolutions(path: Path) -> None:
    """Store convolution weights as fp16 behind a Cast; ONNX Runtime folds it when it loads the graph."""
    model = onnx.load(str(path))
    weights = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    casts = []
    for initializer in list(model.graph.initializer):
        if initializer.name not in weights:
            continue
        half = numpy_helper.from_array(
            numpy_helper.to_array(initializer).astype(np.float16), initializer.name + "_half"
        )
        model.graph.initializer.remove(initializer)
        model.graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [initializer.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.save(model, str(path))


def quantise(source: Path, target: Path, *, is_large: bool = False) -> None:
    """Matrix products to int8 per channel (activations while running), convolutions to fp16 storage.

    A graph that `is_large` may lie in several files, and its convolutions stay as they are.
    """
    # It advises everyone to prepare the graph first, which changes nothing where only matrix products are replaced.
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=is_large,
            extra_options={"MatMulConstBOnly": True},
        )
    finally:
        logging.disable(logging.NOTSET)
    if not is_large:
        _halve_convolutions(target)


def run_graph(path: Path, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """All outputs of a graph, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(inputs)))


def parity(reference: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]) -> Parity:
    """Compare probabilities (exponentials of the first two outputs) frame by frame."""
    differences = [np.abs(np.exp(a) - np.exp(b)) for a, b in zip(reference[:2], found[:2], strict=True)]
    same = [(a.argmax(-1) == b.argmax(-1)).mean() for a, b in zip(reference[:2], found[:2], strict=True)]
    return Parity(
        float(max(d.max() for d in differences)),
        float(np.mean([d.mean() for d in differences])),
        float(np.mean(same)),
    )
