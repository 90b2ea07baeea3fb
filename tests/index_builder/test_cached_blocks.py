"""Keys find themselves among those that are asked for, however often and in whatever order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index_builder.cached_blocks import KEY_BYTES, AskedKeys, Block, FoundRows

# Few heads and tails, so that keys are alike by half and whole.
_KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12)


def _keys(drawn: list[tuple[int, int]]) -> list[bytes]:
    return [head.to_bytes(KEY_BYTES // 2, "little") + tail.to_bytes(KEY_BYTES // 2, "little") for head, tail in drawn]


@given(_KEYS, _KEYS)
def test_each_pair_of_equal_keys_is_found(asked: list[tuple[int, int]], stored: list[tuple[int, int]]) -> None:
    """Those asked for several times at each of their places, and no key that is alike by half."""
    places, rows = AskedKeys(_keys(asked)).among(b"".join(_keys(stored)))
    expected = {(i, j) for i, one in enumerate(asked) for j, other in enumerate(stored) if one == other}
    found = list(zip(places.tolist(), rows.tolist(), strict=True))
    assert len(found) == len(expected)
    assert set(found) == expected


def test_values_are_those_of_their_rows() -> None:
    """Of any sizes, empty ones too."""
    block = Block.of([(bytes(KEY_BYTES), b"ab"), (bytes(KEY_BYTES), b""), (bytes(KEY_BYTES), b"cde")])
    found = FoundRows(np.array([7, 5, 6]), np.array([2, 0, 1]), block)
    assert found.values() == [(7, b"cde"), (5, b"ab"), (6, b"")]


def test_rows_of_one_size_fill_an_array() -> None:
    """And of a block with another size nothing is taken."""
    numbers = np.zeros((3, 2), np.int16)
    pairs = [(bytes(KEY_BYTES), np.array(pair, np.int16).tobytes()) for pair in ([1, 2], [3, 4])]
    found = FoundRows(np.array([2, 0]), np.array([0, 1]), Block.of(pairs))
    assert found.fill(numbers).tolist() == [2, 0]
    assert numbers.tolist() == [[3, 4], [0, 0], [1, 2]]
    odd = FoundRows(np.array([1]), np.array([0]), Block.of([*pairs, (bytes(KEY_BYTES), b"1")]))
    assert odd.fill(numbers).tolist() == []
    assert numbers[1].tolist() == [0, 0]


def test_any_changed_byte_is_told() -> None:
    """The checksum is over keys, sizes and values."""
    block = Block.of([(bytes(KEY_BYTES), b"ab"), (bytes(KEY_BYTES), b"c")])
    for changed in (
        Block(b"\1" + block.keys[1:], block.sizes, block.values),
        Block(block.keys, b"\1" + block.sizes[1:], block.values),
        Block(block.keys, block.sizes, b"xbc"),
    ):
        assert changed.checksum != block.checksum
