"""The tokenizer of a text tower as the one file that serving reads, checked against the tower's own."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from streaming.errors import ModelError
from training.models.interfaces import TextTower
from training.models.text_towers import LONGEST_TEXT


def tokenizer_file(text: TextTower, tokenizer: PreTrainedTokenizerBase, samples: Sequence[str]) -> bytes:
    """``tokenizer.json`` with its truncation inside; padding is left to who serves.

    Args:
        text: the tower.
        tokenizer: the tower's tokenizer.
        samples: texts that both must read alike.

    Raises:
        ModelError: the tokenizer has no such form, or the file reads a text otherwise than the tower does.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"the tokenizer {type(tokenizer).__name__} of {tokenizer.name_or_path!r} cannot be written as "
            f"tokenizer.json; take a text model with a fast tokenizer, or --text-tower characters"
        )
    alone = Tokenizer.from_str(backend.to_str())
    alone.enable_truncation(LONGEST_TEXT)
    alone.no_padding()
    for sample in samples:
        tokens = text.tokenise([sample])
        expected = tokens["input_ids"][0, tokens["attention_mask"][0] > 0]
        found = torch.tensor(alone.encode(sample).ids)
        if not torch.equal(found, expected.cpu()):
            raise ModelError(
                f"tokenizer.json reads {sample[:40]!r} as {found.tolist()[:8]}… and the text tower as "
                f"{expected.tolist()[:8]}…; take a text model whose tokenizer is a plain fast one"
            )
    content: str = alone.to_str()
    return content.encode()
