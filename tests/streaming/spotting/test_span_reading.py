"""Candidates are read by the verifier once for each stretch of the stream, and only those that are worth it."""

import numpy as np
import pytest

from streaming.encoding.encoded_context import EncodedContext
from streaming.spotting.evidence import Evidence, text_features
from streaming.spotting.span_reading import ReadingConfig, SpanReader
from streaming.testing import FakeVerifier

FRAMES = 150
TEXTS = ("plague", "gradient")
READ = {"plague": [-0.5, -1.0], "gradient": [-2.0]}


def _context() -> EncodedContext:
    nothing = np.zeros((FRAMES, 0), np.float32)
    return EncodedContext(np.zeros((FRAMES, 29), np.float32), nothing, nothing, np.zeros((FRAMES, 4), np.float32))


def _found(form: int, start: int, end: int, mean: float = -1.0, over_rivals: float = 0.0) -> Evidence:
    numbers = {"characters": mean, "phonemes": mean}
    rivals = {"over_rivals": over_rivals}
    return Evidence(form, start, end, numbers | rivals | text_features(np.zeros(1, np.float32)))


def _reader(verifier: FakeVerifier, config: ReadingConfig | None = None) -> SpanReader:
    return SpanReader(verifier, TEXTS.__getitem__, config)


def _asked(verifier: FakeVerifier) -> list[list[str]]:
    return [list(texts) for _, texts in verifier.asked]


def test_a_stretch_with_enough_heard_after_it_is_read_once() -> None:
    """A hop later the form lies 16 frames further left in the context, on the same frames of the stream."""
    verifier = FakeVerifier(READ)
    reader = _reader(verifier)
    for hop in range(3):
        [evidence] = reader.read(_context(), [_found(0, 100 - 16 * hop, 130 - 16 * hop)], 16 * hop)
        assert evidence.features["text"] == pytest.approx(-1.5)
        assert evidence.features["text_least"] == pytest.approx(-1.0)
    assert _asked(verifier) == [["plague"]]


def test_what_was_read_at_the_edge_is_read_again() -> None:
    """With less than the frames asked for after it, the next hop knows more of the same stretch."""
    verifier = FakeVerifier(READ)
    reader = _reader(verifier, ReadingConfig(settled_frames=10))
    reader.read(_context(), [_found(0, 110, 145)], 0)
    reader.read(_context(), [_found(0, 94, 129)], 16)
    reader.read(_context(), [_found(0, 78, 113)], 32)
    assert _asked(verifier) == [["plague"], ["plague"]]


def test_another_stretch_is_read_anew() -> None:
    """The same form elsewhere in the stream, or on quite another length of it, is another sound."""
    verifier = FakeVerifier(READ)
    reader = _reader(verifier)
    reader.read(_context(), [_found(0, 60, 90)], 0)
    reader.read(_context(), [_found(0, 100, 130)], 16)
    reader.read(_context(), [_found(0, 104, 114)], 32)
    assert len(verifier.asked) == 3


def test_only_new_ones_are_read_beside_known_ones() -> None:
    """One run for the forms that no earlier hop has read; each gets what was read of it."""
    verifier = FakeVerifier(READ)
    reader = _reader(verifier)
    reader.read(_context(), [_found(0, 80, 110)], 0)
    plague, gradient = reader.read(_context(), [_found(0, 64, 94), _found(1, 90, 120)], 16)
    assert _asked(verifier) == [["plague"], ["gradient"]]
    assert plague.features["text"] == pytest.approx(-1.5)
    assert gradient.features["text"] == pytest.approx(-2.0)


def test_what_is_not_worth_it_is_left_out() -> None:
    """A poor fit, or a sure loss against what else could have been said, is neither read nor a candidate any more."""
    verifier = FakeVerifier(READ)
    found = [_found(0, 80, 110, mean=-2.9), _found(1, 80, 110, over_rivals=-20.0)]
    assert _reader(verifier).read(_context(), found, 0) == []
    assert verifier.asked == []
    poor = _reader(verifier, ReadingConfig(floor=-3.0, rivals_floor=-50.0))
    assert len(poor.read(_context(), found, 0)) == 2


def test_a_reset_forgets_what_was_read() -> None:
    """The frames of another stream have the same numbers and another sound."""
    verifier = FakeVerifier(READ)
    reader = _reader(verifier)
    reader.read(_context(), [_found(0, 80, 110)], 0)
    reader.reset()
    reader.read(_context(), [_found(0, 80, 110)], 0)
    assert len(verifier.asked) == 2
