"""From a glossary file to an index, with fakes for the models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.build import build_index
from index_builder.embed import embed_texts
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.report import IndexReport
from index_builder.testing import HashEncoder, LetterPronouncer, flat_background
from streaming.entries import arpabet
from streaming.errors import ModelError
from streaming.symbols import character_sequence
from streaming.term_index import Form, TermIndex


def _build(text: str, encoder: HashEncoder | None = None) -> TermIndex:
    file = GlossaryFile(Path("g.csv"), text.encode())
    return build_index(
        assemble("g", [parse_glossary(file, Languages())]),
        encoder or HashEncoder(),
        LetterPronouncer(),
        flat_background,
        version="v1",
        sources=[file.source],
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=40), st.integers(1, 7))
def test_batches_change_nothing(words: list[str], batch_size: int) -> None:
    """Batched, sorted and deduplicated embedding gives what one call per text gives, in the same order."""
    encoder = HashEncoder()
    seen: list[tuple[int, int]] = []
    vectors = embed_texts(words, encoder, lambda done, total: seen.append((done, total)), batch_size)
    slow = np.concatenate([HashEncoder().embed([word]) for word in words])
    np.testing.assert_allclose(vectors, slow, atol=1e-6)
    n = len(set(words))
    assert sum(encoder.batches) == n
    assert max(encoder.batches) <= batch_size
    assert seen[-1] == (n, n)


class _Bad(HashEncoder):
    """An encoder that gives what `result` says."""

    def __init__(self, result: NDArray[np.float32]) -> None:
        super().__init__(dim=2)
        self.result = result

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.result


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((1, 3), np.float32), "shape"),
        (np.zeros((1, 2), np.float32), "zero or not finite"),
        (np.full((1, 2), np.nan, np.float32), "zero or not finite"),
    ],
)
def test_unusable_vectors_are_refused(result: NDArray[np.float32], message: str) -> None:
    """A broken encoder is told, not indexed."""
    with pytest.raises(ModelError, match=message):
        embed_texts(["a"], _Bad(result))


def test_index_holds_forms_grouped_by_entry() -> None:
    """Each form points to its entry, has characters, pronunciations and its own vector."""
    index = _build("term,pronunciations\nNASA,N AE1 S AH0\nplague,\n")
    assert [(form.entry_index, form.text) for form in index.forms] == [(0, "n a s a"), (0, "nasa"), (1, "plague")]
    assert arpabet(index.forms[0].pronunciations[0]) == "EH N | EY | EH S | EY"
    assert [arpabet(p) for p in index.forms[1].pronunciations] == ["N AE S AH"]
    assert [arpabet(p) for p in index.forms[2].pronunciations] == ["P L AE G AH EH"]
    for number, form in enumerate(index.forms):
        np.testing.assert_array_equal(form.characters, character_sequence(form.text.split()))
        assert index.neighbours(index.vectors[number], 1)[0].form_index == number
    assert index.sources[0].name == "g.csv"


def test_background_is_asked_once_for_each_form() -> None:
    """The statistics of a form stand in its row, though they are asked for in alphabetic order."""
    calls: list[list[str]] = []

    def background(forms: Sequence[Form]) -> NDArray[np.float32]:
        calls.append([form.text for form in forms])
        return np.array([[len(form.text), 0, 0, 1] for form in forms], np.float32)

    glossary = assemble("g", [parse_glossary(GlossaryFile(Path("g"), b"plague\ncalamity\n"), Languages())])
    index = build_index(glossary, HashEncoder(), LetterPronouncer(), background, version="v")
    assert calls == [["calamity", "plague"]]
    assert index.background[:, 0].tolist() == [6, 8]


def test_ten_thousand_entries_are_embedded_in_few_calls() -> None:
    """The encoder sees each form once, in full batches."""
    encoder = HashEncoder(dim=4)
    letters = "abcdefghij"
    words = "".join(f"{''.join(letters[int(digit)] for digit in f'{number:05d}')}\n" for number in range(10_000))
    index = _build(words, encoder)
    assert len(index.forms) == sum(encoder.batches) == 10_000
    assert len(encoder.batches) == 40


def test_report_round_trips_and_adds_up() -> None:
    """The report is what `termcue reindex --json` prints, and rows = entries + merged + rejected."""
    glossary = assemble("g", [parse_glossary(GlossaryFile(Path("g.csv"), b"term\nion\nIon\n!\n"), Languages())])
    index = build_index(glossary, HashEncoder(), LetterPronouncer(), flat_background, version="v1")
    report = IndexReport.of(glossary, index, 1.23456)
    assert IndexReport.from_bytes(report.to_bytes()) == report
    value = report.as_dict()
    assert list(value)[:3] == ["type", "id", "version"]
    assert value["rows"] == value["entries"] + value["merged"] + len(value["rejected"]) == 3
    assert value["rejected"] == [
        {"file": "g.csv", "line": 4, "value": "!", "reason": "the term has no letter or digit"}
    ]
    assert value["warnings"][0]["kind"] == "short"
    assert value["seconds"] == 1.235
