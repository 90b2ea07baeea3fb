import pytest
import torch

from training.loop.memory import advice, fitting, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_faults(error: BaseException, expected: bool) -> None:
    """Each library's way of saying it counts; a fault of the program does not."""
    assert is_out_of_memory(error) is expected


def test_what_fits_is_worked_out_from_the_bytes() -> None:
    """Per row (peak - resting) / rows: the largest halving under the total, never below 1."""
    assert fitting(32) == 16
    assert fitting(32, resting=10, peak=330, total=100) == 8
    assert fitting(32, resting=10, peak=330, total=175) == 16
    assert fitting(32, resting=10, peak=100_000, total=20) == 1
    assert fitting(1) == 1
    assert fitting(8, resting=90, peak=80, total=100) == 4


def test_advice_names_the_options() -> None:
    """What would fit, and what makes more room."""
    sentence = advice(32, 8, torch.device("cuda", 0))
    assert "cuda:0 ran out on a pass of 32 rows; --micro-batch 8" in sentence
    assert "--gradient-checkpointing" in sentence
    assert "a pass of 1 row, the least there is" in advice(1, 1, torch.device("cpu"))
