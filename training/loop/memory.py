"""When memory runs out: recognise it, and say which micro-batch would fit."""

import torch

from streaming.errors import TermCueError

_SIGNS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class OutOfMemory(TermCueError):
    """A step that does not fit, with the micro-batch that would."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the machine had no memory left; libraries say it in several ways."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def fitting(micro_batch: int, *, resting: int = 0, peak: int = 0, total: int = 0) -> int:
    """The largest micro-batch, a half or a quarter and so on of this one, that should fit; at least 1.

    Args:
        micro_batch: rows of the pass that failed.
        resting: bytes held between steps (weights, optimiser); 0 where unknown.
        peak: bytes in use when it failed, a lower bound of what it needed.
        total: bytes of the device.
    """
    smaller = max(1, micro_batch // 2)
    if total <= resting or peak <= resting:
        return smaller
    per_row = (peak - resting) / micro_batch
    while smaller > 1 and resting + per_row * smaller > total:
        smaller //= 2
    return smaller


def fitting_here(micro_batch: int, resting: int, device: torch.device) -> int:
    """The same from the device's own figures; off CUDA nothing is known and the half is tried."""
    if device.type != "cuda":
        return fitting(micro_batch)
    peak = torch.cuda.max_memory_allocated(device)
    return fitting(micro_batch, resting=resting, peak=peak, total=torch.cuda.get_device_properties(device).total_memory)


def resting_bytes(device: torch.device) -> int:
    """Bytes that lie on the device now; 0 off CUDA."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def advice(micro_batch: int, smaller: int, device: torch.device) -> str:
    """The sentence for a step that does not fit."""
    tried = f"memory of {device} ran out on a pass of {micro_batch} row{'s' if micro_batch > 1 else ''}"
    if micro_batch > 1:
        return (
            f"{tried}; --micro-batch {smaller} should fit and gives the same result (gradients are cached). More "
            "room: --gradient-checkpointing, --bf16, --unfreeze-layers 0; `termcue doctor --plan` shows what fits."
        )
    return (
        f"{tried}, the least there is; use --gradient-checkpointing, --bf16, --lora with --unfreeze-layers 0, "
        "a smaller model or a larger device; `termcue doctor --plan` shows what fits."
    )
