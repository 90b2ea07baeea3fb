"""Which encoding a text is in, and what is said where nobody can know."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats.text_encoding import decode
from streaming.errors import GlossaryError

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=60)
# What people write in Western Europe: words with an accented small letter here and there.
_WESTERN_WORD = st.from_regex(r"[a-z]{1,6}[äöüßéèàçñ][a-z]{1,6}", fullmatch=True)
_COMMON = "的一是不了在有人这上大国和我中来到会学生用时地神经网络市长你好语言机器翻译"
_CHINESE_WORD = st.text(st.sampled_from(_COMMON), min_size=1, max_size=6)


@given(_TEXT)
def test_utf8_is_certain(text: str) -> None:
    """What decodes as UTF-8 is UTF-8, with or without a mark."""
    for mark in (b"", b"\xef\xbb\xbf"):
        with contextlib.suppress(GlossaryError):
            decoded = decode(mark + text.encode(), "g")
            assert (decoded.text, decoded.encoding, decoded.guessed) == (text, "utf-8", False)


@given(_TEXT, st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]))
def test_a_mark_is_certain(text: str, encoding: str) -> None:
    """After a byte order mark there is nothing to guess."""
    decoded = decode(("\ufeff" + text).encode(encoding), "g")
    # An empty UTF-32 file is no more than its mark, as is one of UTF-16 that begins with a zero.
    assert (decoded.text, decoded.encoding, decoded.guessed) == (text, encoding, False)


@given(st.lists(_WESTERN_WORD, min_size=1, max_size=20))
def test_western_words_are_not_taken_for_chinese(words: list[str]) -> None:
    """Most accented letters and the letter after them would be a Chinese character in GB18030."""
    text = "\n".join(words)
    decoded = decode(text.encode("cp1252"), "g")
    assert (decoded.text, decoded.encoding_name, decoded.guessed) == (text, "Windows-1252", True)


@given(st.lists(_CHINESE_WORD, min_size=2, max_size=20))
def test_chinese_words_are_not_taken_for_western(words: list[str]) -> None:
    """Any bytes would be letters in Windows-1252. Single characters may be a letter of UTF-8 as well."""
    text = "\n".join(f"term {number},神经{word}网络" for number, word in enumerate(words))
    decoded = decode(text.encode("gb18030"), "g")
    assert (decoded.text, decoded.encoding_name, decoded.guessed) == (text, "GB18030", True)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["ion\nsalt\n", "ion", "神经网络\n市长大人\n"])
def test_utf16_without_a_mark(text: str, encoding: str) -> None:
    """Zero bytes stand at every other place only."""
    decoded = decode(text.encode(encoding), "g")
    assert (decoded.text, decoded.encoding, decoded.guessed) == (text, encoding, True)


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_refused_in_a_sentence(content: bytes) -> None:
    """No content gives a traceback, and no text holds a NUL."""
    with contextlib.suppress(GlossaryError):
        assert "\0" not in decode(content, "g").text


def test_damaged_utf8_is_not_read_as_something_else() -> None:
    """One bad byte among many good characters is damage; all accents would be rubbish in another encoding."""
    with pytest.raises(GlossaryError, match=r"damaged UTF-8: byte 0xe4 at offset 16 \(line 2\)"):
        decode("Größe, Träger\n".encode()[:-2] + b"\n\xe4 x", "g")


def test_bytes_of_no_encoding_are_not_called_damaged_text() -> None:
    """What was never a text is said to be neither that nor a workbook."""
    noise = bytes(byte for byte in np.random.default_rng(1).integers(1, 256, 4_000).tolist())
    with pytest.raises(
        GlossaryError, match=r"terms.xlsx is neither a workbook nor a text .* save the glossary as XLSX"
    ):
        decode(noise, "terms.xlsx")
