"""Texts become letters or subword tokens, as the folder's text tower reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streaming.errors import ModelError
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.symbols import character_sequence
from streaming.tokens import LONGEST_TEXT, TOKENIZER, padded, tokeniser_of


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    """The model that ships with the program, whose text tower reads letters."""
    return ModelFolder.load(BUNDLED)


def _subwords(folder: ModelFolder, content: bytes | None) -> ModelFolder:
    files = {} if content is None else {TOKENIZER: content}
    return replace(folder, path=Path("m"), spec=replace(folder.spec, text_tokens="subwords"), contents=files)


def test_letters_are_those_of_the_form(bundled: ModelFolder) -> None:
    """Every text is its character sequence, padded with 0 to the longest and cut where the tower ends."""
    texts = ["ion", "o'brien", "kalman filter", "word " * 80 + "end"]
    (letters,) = tokeniser_of(bundled)(texts).values()
    assert letters.shape == (4, LONGEST_TEXT)
    assert letters.dtype == np.int64
    for row, text in zip(letters, texts, strict=True):
        expected = character_sequence(text.split(" "))[:LONGEST_TEXT]
        np.testing.assert_array_equal(row[: len(expected)], expected)
        assert not row[len(expected) :].any()


def test_subwords_come_from_the_file(bundled: ModelFolder) -> None:
    """Ids and mask are the tokenizer's, padded with 0 whatever padding the file asks for."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"?": 0, "kalman": 7, "filter": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=9, pad_id=3)
    tokens = tokeniser_of(_subwords(bundled, tokenizer.to_str().encode()))(["kalman filter", "filter"])
    assert tokens["input_ids"].tolist() == [[7, 3], [3, 0]]
    assert tokens["attention_mask"].tolist() == [[1, 1], [1, 0]]


def test_missing_or_damaged_tokenizer_is_told(bundled: ModelFolder) -> None:
    """The sentence names the folder and the cure."""
    with pytest.raises(ModelError, match=r"the model folder m has no tokenizer\.json; export the model again"):
        tokeniser_of(_subwords(bundled, None))
    with pytest.raises(ModelError, match=r"m/tokenizer\.json is no tokenizer"):
        tokeniser_of(_subwords(bundled, b"{}"))


def test_padding_fills_with_zeros() -> None:
    """Rows of any lengths lie in one array."""
    assert padded([np.array([1, 2, 3]), np.array([4])]).tolist() == [[1, 2, 3], [4, 0, 0]]
