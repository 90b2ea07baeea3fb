"""The evaluation of a retriever in torch: what the training loop asks once an epoch, and `termcue evaluate`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from streaming.errors import SettingError
from training.corpus.examples import Example
from training.evaluation.evaluate import Evaluation, EvaluationConfig, EvaluationTerms, Progress, evaluate
from training.evaluation.torch_encoder import TorchEncoder, evaluating
from training.loop.trained_models import load_retriever
from training.models.interfaces import Retriever


def evaluate_retriever(
    model: Retriever,
    examples: Iterable[Example],
    terms: EvaluationTerms | None = None,
    config: EvaluationConfig | None = None,
    development: Sequence[Example] = (),
    device: torch.device | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Judge a retriever on rows; it is left in the mode (training or not) in which it came.

    Args:
        model: the bare module, not wrapped for several processes.
        examples: test rows.
        terms: glossary, distractors, groups; None: only the terms that the rows name.
        config: banks, recall, allowed share of unreadable rows.
        development: rows that choose the thresholds.
        device: where it runs; None: where its parameters lie.
        progress: told of each batch.

    Raises:
        SettingError: there are no rows, or the banks do not fit them.
        TermCueError: too many rows cannot be read.
    """
    with evaluating(model):
        encoder = TorchEncoder(model, device)
        return evaluate(encoder, examples, terms or EvaluationTerms(), config, development, progress)


def named_device(provider: str) -> torch.device:
    """`cpu`, `cuda`, or `auto`: the GPU where there is one. Raises SettingError where there is none to be named."""
    there = torch.cuda.is_available()
    if provider == "cuda" and not there:
        raise SettingError(f"--provider cuda: PyTorch {torch.__version__} finds no GPU here; leave the option out")
    return torch.device("cuda" if there and provider != "cpu" else "cpu")


def open_checkpoint(path: Path, provider: str = "cpu") -> TorchEncoder:
    """The retriever of a checkpoint, ready for `evaluate`.

    Raises:
        TermCueError: it cannot be read, or its pretrained base does not load.
        SettingError: there is no such device.
    """
    device = named_device(provider)
    model = load_retriever(path).to(device).eval()
    return TorchEncoder(model, device)
