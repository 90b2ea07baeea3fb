"""The alphabets of the alignment heads and how a text is written in them.

Both alphabets start with the CTC blank and the word bound. A sequence has a bound before, between and
after its words, so that a term inside a longer word does not fit.
"""

import re

import numpy as np
from numpy.typing import NDArray

BLANK = 0
BOUND = 1
CHARACTERS: tuple[str, ...] = ("", "|", *"abcdefghijklmnopqrstuvwxyz", "'")
PHONEMES: tuple[str, ...] = (
    "",
    "|",
    *"AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split(),
)
_CHARACTER_ID = {symbol: index for index, symbol in enumerate(CHARACTERS)}
_UNKNOWN = 255
# The id of each letter that is one byte.
_CHARACTER_IDS = bytes(_CHARACTER_ID.get(chr(byte), _UNKNOWN) for byte in range(256))
# With the digits that tell stress, which the heads do not know.
_PHONEME_ID = {symbol + stress: index for index, symbol in enumerate(PHONEMES) for stress in ("", *"012") if symbol}
_WORD = re.compile(r"[a-z']+")


def words_of(text: str) -> list[str]:
    """Lower-case words of `text` in the letters of the alphabet; anything else parts words."""
    return _WORD.findall(text.lower())


def character_sequence(words: list[str]) -> NDArray[np.int16]:
    """Words -> int16[n] character ids with bounds. Raises KeyError for a letter outside a-z and '."""
    written = f"|{'|'.join(words)}|"
    ids = written.encode("ascii", "replace").translate(_CHARACTER_IDS)
    if _UNKNOWN in ids:
        raise KeyError(next(s for s in written if s not in _CHARACTER_ID))
    return np.frombuffer(ids, np.uint8).astype(np.int16)


def phoneme_sequence(words: list[tuple[str, ...]]) -> NDArray[np.int16]:
    """Pronunciations of words (ARPAbet, stress digits allowed) -> int16[n] phoneme ids with bounds.

    Raises KeyError for a symbol that is not ARPAbet.
    """
    ids = [BOUND]
    for word in words:
        ids += [_PHONEME_ID[symbol] for symbol in word]
        ids.append(BOUND)
    return np.array(ids, np.int16)
