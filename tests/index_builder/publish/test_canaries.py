"""A new index must find its own forms before anyone else asks it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.publish import check_canaries
from index_builder.testing import built_index
from streaming.errors import IndexFolderError
from streaming.index.vector_search import EXACT


def _first_form(queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return np.zeros((len(queries), 1), np.int64), np.zeros((len(queries), 1), np.float32)


def test_canary_finds_a_form_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose search does not find its own vectors is refused."""
    index, _ = built_index("plague\ncalamity\n", "v")
    check_canaries(index, Path("x"))
    monkeypatch.setattr(index, "search", _first_form)
    with pytest.raises(IndexFolderError, match="does not find its own form 'plague'"):
        check_canaries(index, Path("x"))


def test_forms_that_are_equal_pass_the_canary() -> None:
    """Two entries with the same spoken form share a vector; either may be found."""
    check_canaries(built_index("SQL\nS.Q.L.\n", "v")[0], Path("x"))


@pytest.mark.parametrize(("recall", "is_refused"), [(0.99, True), (0.9, False)])
def test_approximate_search_may_miss_what_it_was_measured_to_miss(
    monkeypatch: pytest.MonkeyPatch, recall: float, is_refused: bool
) -> None:
    """One canary of ten that is lost is damage where 99 % are found, and none where 90 % are."""
    index, _ = built_index("".join(f"plague {letter}\n" for letter in "abcdefghij"), "v")
    exact = index.search

    def losing_one(queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids, similarities = exact(queries, top_k)
        similarities[4] = 0.5
        return ids, similarities

    monkeypatch.setattr(index, "search", losing_one)
    monkeypatch.setattr(type(index), "search_facts", property(lambda _: replace(EXACT, recall=recall)))
    if is_refused:
        with pytest.raises(IndexFolderError, match="does not find its own form"):
            check_canaries(index, Path("x"))
    else:
        check_canaries(index, Path("x"))


@pytest.mark.parametrize("factor", [np.nan, 2.0])
def test_vectors_that_are_none_of_a_tower_are_refused(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Each may well find itself, but a similarity that is no cosine means nothing, and no number finds nothing."""
    index, _ = built_index("plague\ncalamity\n", "v")
    honest = index.vectors_of
    monkeypatch.setattr(index, "vectors_of", lambda forms: honest(forms) * np.float32(factor))
    exact = index.search

    def scaled(queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids, similarities = exact(queries, top_k)
        return ids, similarities * np.float32(factor)

    monkeypatch.setattr(index, "search", scaled)
    with pytest.raises(IndexFolderError, match="does not find its own form"):
        check_canaries(index, Path("x"))
