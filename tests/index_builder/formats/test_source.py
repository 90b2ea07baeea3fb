"""Glossary files before they are parsed."""

import os
from pathlib import Path

import pytest

from index_builder.formats import read_glossary, read_source
from index_builder.formats import source as source_module
from streaming.errors import GlossaryError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbfterm\nM\xfcller\n", r"damaged UTF-8: byte 0xfc at offset 9 \(line 2\)"),
        (b"PK\x03\x04rest", "damaged archive.*save it as XLSX"),
        (b"PK\x05\x06" + bytes(18), "empty zip archive"),
        (b"\xd0\xcf\x11\xe0rest", "XLS.*password.*save it as XLSX"),
        (b"\x1f\x8brest", "gzip"),
        (b"%PDF-1.7", "PDF"),
        (b"term\nio\0n\n", "NUL byte at offset 7"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
    ],
)
def test_files_that_are_no_glossary_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """One sentence with the value and the cure."""
    (tmp_path / "g.csv").write_bytes(content)
    with pytest.raises(GlossaryError, match=message):
        read_glossary(tmp_path / "g.csv")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    """A wrong path is named."""
    with pytest.raises(GlossaryError, match="no glossary file"):
        read_source(tmp_path / "none.csv")
    with pytest.raises(GlossaryError, match="is a folder"):
        read_source(tmp_path)
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(GlossaryError, match="cannot be read"):
        read_source(tmp_path / "f" / "g.csv")


def test_pipe_is_refused(tmp_path: Path) -> None:
    """A pipe without a writer would block for ever."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(GlossaryError, match=r"pipe\.csv is a pipe or device, not a regular file; save the glossary"):
        read_source(tmp_path / "pipe.csv")


def test_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is not parsed."""
    monkeypatch.setattr(source_module, "MAX_BYTES", 10)
    (tmp_path / "g.csv").write_bytes(b"x" * 11)
    with pytest.raises(GlossaryError, match="split the glossary"):
        read_source(tmp_path / "g.csv")
