"""The verifier's graph as torch traces it and ONNX Runtime quantises it: the slow twin of the one that is written."""

from pathlib import Path

import torch
from torch import Tensor, nn

from training.export.graphs import export_graph, quantise
from training.models.verifier import FAR_BELOW, SpanVerifier


class TracedVerifier(nn.Module):
    """The rows of its embedding that are read are in int8, each with its own scale."""

    def __init__(self, verifier: SpanVerifier) -> None:
        super().__init__()
        self.verifier = verifier
        weight = verifier.embed_tokens.weight.detach()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("rows", (weight / scale).round().to(torch.int8))

    def forward(self, frames: Tensor, outside: Tensor, tokens: Tensor) -> Tensor:
        verifier, said, length = self.verifier, tokens[:, :-1], tokens.shape[1] - 1
        embedded = self.get_buffer("rows")[said].float() * self.get_buffer("scale")[said]
        x = embedded + verifier.embed_positions.weight[:length]
        causal = torch.full((length, length), FAR_BELOW).triu(1)[None, None]
        for layer in verifier.layers:
            x = layer(x, causal, frames, outside[:, None, None, :])
        logits: Tensor = verifier.layer_norm(x) @ verifier.embed_tokens.weight.T
        return logits.log_softmax(dim=2).gather(2, tokens[:, 1:, None])[:, :, 0]


def trace_verifier(verifier: SpanVerifier, work: Path) -> Path:
    """The int8 file, as older folders have it."""
    full, small = work / "traced.fp32.onnx", work / "traced.onnx"
    inputs = {
        "frames": torch.randn(1, 40, verifier.config.width),
        "outside": torch.zeros(3, 40),
        "tokens": torch.tensor([[0, 2, 3, 4, 1]] * 3),
    }
    axes = {"frames": {1: "t"}, "outside": {0: "n", 1: "t"}, "tokens": {0: "n", 1: "l"}, "log_probs": {0: "n", 1: "m"}}
    export_graph(TracedVerifier(verifier), inputs, full, ["log_probs"], axes)
    quantise(full, small)
    return small
