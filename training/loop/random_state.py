"""The global random numbers of a process: kept apart from the data's, and written into every checkpoint."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The states of Python's, NumPy's and torch's global generators, as `torch.load(weights_only=True)` reads them."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - what libraries still draw from
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Draw on from where `random_state` was taken."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int) -> None:
    """Start the global generators of this process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - what libraries still draw from
    torch.manual_seed(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What is drawn inside does not move the generators: reading data or evaluating leaves dropout as it was."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
