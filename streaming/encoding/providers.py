"""On what a graph runs: asked for by name, and what runs in its stead is told, never assumed.

ONNX Runtime drops a provider whose libraries it cannot load and computes on the CPU without a word
(https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html), so a session is asked what it runs on.
"""

import contextlib
import logging
import sys
from functools import cache
from typing import Literal, TypeAlias, get_args

import onnxruntime

from streaming.errors import ModelError, SettingError

Provider: TypeAlias = Literal["auto", "cpu", "cuda"]
"""`auto`: the GPU where there is one that works, else the CPU."""
PROVIDERS: tuple[Provider, ...] = get_args(Provider)

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_GPU_BUILD = "install onnxruntime-gpu in place of onnxruntime (`make gpu`; the README has the two pip lines)"
_LOG = logging.getLogger(__name__)


def chosen_providers(asked: Provider) -> list[str]:
    """The providers a session is made with, best first.

    Raises:
        SettingError: `cuda` is asked for and this build of ONNX Runtime has none.
    """
    if asked == "cpu":
        return [_CPU]
    there = onnxruntime.get_available_providers()
    if _CUDA in there:
        _load_cuda_libraries()
        return [_CUDA, _CPU]
    if asked == "cuda":
        raise SettingError(
            f"--provider cuda: ONNX Runtime {onnxruntime.__version__} here has only {', '.join(there)}; {_GPU_BUILD}, "
            f"or leave the option out"
        )
    return [_CPU]


@cache
def _load_cuda_libraries() -> None:
    # The CUDA wheels of the `gpu` extra lie where no loader looks. What cannot be found is printed, not raised, and
    # standard output belongs to the results.
    with contextlib.redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()


def check_provider(asked: Provider, running: str, graph: str) -> None:
    """Tell what a session runs on.

    Args:
        asked: what the user named.
        running: the session's first provider.
        graph: the file it was made of, for the sentence.

    Raises:
        ModelError: `cuda` was asked for and something else runs.
    """
    if asked == "cpu":
        return
    if running == _CUDA:
        _LOG.info("%s runs on CUDA", graph)
    elif asked == "cuda":
        raise ModelError(
            f"{graph} was to run on CUDA, and ONNX Runtime took {running} instead: its CUDA libraries or the driver "
            f"cannot be loaded; `termcue doctor` says what is missing, and --provider cpu does without"
        )
    else:
        _LOG.warning("%s runs on the CPU: no working CUDA provider is here; %s", graph, _GPU_BUILD)
