"""Functions that numba compiles, on machines too where nothing may be written."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def compiled(function: Compiled) -> Compiled:
    """Compile at the first call, without the interpreter's lock, and keep the machine code for the next process.

    Where no folder can be written (a read-only image without a home), every process compiles for itself.
    """
    try:
        return cast(Compiled, njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Compiled, njit(nogil=True)(function))
