"""The text of a talk or paper: plain text in any encoding, or a PDF, page by page, within bounds."""

import io
import logging
import re
import unicodedata
from pathlib import Path

from index_builder.formats.text_encoding import decode
from streaming.errors import GlossaryError

MAX_BYTES = 64 * 2**20
MAX_PAGES = 400
MAX_CHARACTERS = 4_000_000
_SOFT_HYPHEN = "\u00ad"
# "gradi-" at the end of a line and "ent" at the start of the next one.
_BROKEN_WORD = re.compile(r"(?<=[a-z])-\s*\n\s*(?=[a-z])")


def read_talk(path: Path) -> str:
    """The text of a file, words that lines break in two made whole, ligatures as letters.

    Raises:
        GlossaryError: it is missing, too large, no text and no PDF, locked or damaged, or a PDF of pictures.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise GlossaryError(f"cannot read {path}: {error.strerror or error}; check the name") from error
    if len(content) > MAX_BYTES:
        raise GlossaryError(f"{path} is larger than {MAX_BYTES // 2**20} MiB; give the part that the talk is about")
    text = _text_of_pdf(content, path) if content.startswith(b"%PDF") else decode(content, str(path)).text
    if not any(map(str.isalpha, text)):
        raise GlossaryError(f"{path} holds no text; if its pages are pictures, run a text recognition over it first")
    return whole_words(text[:MAX_CHARACTERS])


def whole_words(text: str) -> str:
    """Broken words made whole, ligatures and other compatibility forms as letters."""
    return _BROKEN_WORD.sub("", unicodedata.normalize("NFKC", text.replace(_SOFT_HYPHEN, "")))


def _text_of_pdf(content: bytes, path: Path) -> str:
    """The text of at most `MAX_PAGES` pages, pages parted by an empty line."""
    from pypdf import PdfReader

    # It logs each oddity of a file; what matters is whether there is text in the end.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages: list[str] = []
    characters = 0
    try:
        reader = PdfReader(io.BytesIO(content))
        for page in reader.pages[:MAX_PAGES]:
            pages.append(page.extract_text())
            characters += len(pages[-1])
            if characters > MAX_CHARACTERS:
                break
    except Exception as error:  # a damaged PDF raises whatever the missing part is read as
        raise GlossaryError(
            f"{path} cannot be read as a PDF ({type(error).__name__}: {error}); save its text as a .txt file"
        ) from error
    return "\n\n".join(pages)
