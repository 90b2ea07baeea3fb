"""What a text tower reads of a spoken form: its letters, or the subword tokens of the tower's own tokenizer."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.errors import ModelError
from streaming.model_folder import ModelFolder
from streaming.symbols import character_sequence

LONGEST_TEXT = 256
TOKENIZER = "tokenizer.json"

TokenArrays: TypeAlias = dict[str, NDArray[np.int64]]
"""Named inputs of ``text.onnx``, int64[n, l] each, padded with 0."""
Tokenise: TypeAlias = Callable[[Sequence[str]], TokenArrays]
"""At least one text -> the inputs of one run; a text is lower-case words parted by one blank."""


def tokeniser_of(folder: ModelFolder) -> Tokenise:
    """How the folder's text tower reads a text. Raises ModelError where that cannot be done here."""
    return _letters if folder.spec.text_tokens == "letters" else _subwords(folder)


def _letters(texts: Sequence[str]) -> TokenArrays:
    return {"letters": padded([character_sequence(text.split(" "))[:LONGEST_TEXT] for text in texts])}


def _subwords(folder: ModelFolder) -> Tokenise:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(folder.contents[TOKENIZER].decode())
    except KeyError as error:
        raise ModelError(f"the model folder {folder.path} has no {TOKENIZER}; export the model again") from error
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ModelError(f"{folder.path / TOKENIZER} is no tokenizer ({error}); export the model again") from error
    tokenizer.no_padding()

    def tokenise(texts: Sequence[str]) -> TokenArrays:
        encoded = tokenizer.encode_batch(list(texts))
        return {
            "input_ids": padded([np.array(one.ids, np.int64) for one in encoded]),
            "attention_mask": padded([np.array(one.attention_mask, np.int64) for one in encoded]),
        }

    return tokenise


def padded(rows: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    """Rows of any lengths -> int64[n, longest], filled up with 0."""
    out = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out
