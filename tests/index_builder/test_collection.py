"""The collector stands still inside, and goes on outside, whatever happens."""

import gc

import pytest

from index_builder.collection import without_collection


@without_collection()
def _is_collected() -> bool:
    return gc.isenabled()


def _fail() -> None:
    with without_collection():
        raise KeyboardInterrupt


def test_collection_stops_and_goes_on() -> None:
    """In a block, in a function, in a block inside a block, after an interruption."""
    assert gc.isenabled()
    assert not _is_collected()
    with without_collection():
        assert not _is_collected()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        _fail()
    assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    """Who runs without it is left alone."""
    gc.disable()
    try:
        assert not _is_collected()
        assert not gc.isenabled()
    finally:
        gc.enable()
