"""Compiled functions work as they were written, also where their machine code cannot be kept."""

from collections.abc import Callable
from typing import Any

import pytest

import streaming.compiled
from streaming.compiled import compiled


def _double(number: int) -> int:
    return 2 * number


def test_a_compiled_function_is_the_function() -> None:
    """It gives what the plain one gives."""
    assert compiled(_double)(21) == _double(21)


def test_without_a_writable_folder_it_compiles_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba's refusal to keep machine code is no error of ours."""
    asked = []

    def njit(**options: bool) -> Callable[[Any], Any]:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(streaming.compiled, "njit", njit)
    assert compiled(_double) is _double
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
