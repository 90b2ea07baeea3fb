import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training.corpus.nesting as nesting
from tests.training.corpus.given_rows import CHUNK, write
from training.corpus.lines import BadRows
from training.corpus.manifest import ManifestError
from training.corpus.rows import read_examples


@pytest.mark.parametrize("levels", [100, 20_000])
@pytest.mark.parametrize("signs", ["[]", "{}"])
def test_deep_nesting_is_told_before_it_costs_memory(tmp_path: Path, levels: int, signs: str) -> None:
    """A line is skipped, a list refused, both by a sentence and in little memory."""
    opening, closing = ("[", "]") if signs == "[]" else ('{"a":', "}")
    deep = '{"x": ' + opening * levels + "1" + closing * levels + "}"
    lines, listed = write(tmp_path / "a.jsonl", CHUNK, deep, CHUNK, listed=False), write(tmp_path / "a.json", deep)
    collected = BadRows()
    tracemalloc.start()
    try:
        assert len(list(read_examples([lines], on_bad=collected))) == 2
        with pytest.raises(ManifestError, match=r"a\.json: .*nested deeper than 64 levels"):
            list(read_examples([listed], on_bad=BadRows()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(row.number, "nested deeper" in row.reason) for row in collected.listed] == [(2, True)]
    assert peak < 8_000_000


@given(st.recursive(st.text('ab"\\\\[{]}', max_size=4), lambda c: st.lists(c) | st.dictionaries(st.text('["'), c)))
def test_depth_is_told_by_the_bytes_as_by_the_value(value: object) -> None:
    """Brackets within strings do not count, wherever the reads part the file."""

    def levels(item: object) -> int:
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
        return 0 if children is None else 1 + max(map(levels, children), default=0)

    text = json.dumps(value).encode()
    for most in (levels(value), levels(value) - 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nesting, "MOST_LEVELS", most)
            if most >= 0:
                assert nesting.is_deep(value) == (levels(value) > most)
            for size in (1, 3, 1 << 16):
                stream = nesting.ShallowStream(io.BytesIO(text))
                refused = False
                try:
                    while stream.read(size):
                        pass
                except ValueError:
                    refused = True
                assert refused == (0 < levels(value) > most)
