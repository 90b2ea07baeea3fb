"""The text of papers and talks."""

import io
from pathlib import Path

import pytest
from pypdf import PdfWriter

import index_builder.talk_text
from index_builder.talk_text import read_talk, whole_words
from streaming.errors import GlossaryError


def make_pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, written by hand after ISO 32000-1, section 7.5."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, line in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * i} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode("latin-1")


def _file(folder: Path, content: bytes, name: str = "paper.pdf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_pages_of_a_pdf_are_parted(tmp_path: Path) -> None:
    """A phrase never runs over the end of a page."""
    assert read_talk(_file(tmp_path, make_pdf("Stochastic gradient", "Kalman filter"))) == (
        "Stochastic gradient\n\nKalman filter"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_plain_text_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    """The suffix does not matter, the content does."""
    assert read_talk(_file(tmp_path, "café noir".encode(encoding))) == "café noir"


def test_broken_words_are_made_whole() -> None:
    """Hyphens at the end of a line, soft hyphens and ligatures are the typesetter's."""
    assert whole_words("gradi-\n  ent, ﬁlter, co\u00adder, well-\nKnown") == "gradient, filter, coder, well-\nKnown"


def _locked() -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-1.4\nrubbish", "cannot be read as a PDF"),
        (make_pdf("x")[:120], "cannot be read as a PDF"),
        (_locked(), "cannot be read as a PDF"),
        (make_pdf(""), "holds no text; if its pages are pictures"),
        (b"  \n", "holds no text"),
    ],
)
def test_what_has_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """The file is named with what to do."""
    with pytest.raises(GlossaryError, match=said):
        read_talk(_file(tmp_path, content))


def test_what_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder, and one beyond the bound."""
    with pytest.raises(GlossaryError, match=r"cannot read .*none\.pdf: No such file"):
        read_talk(tmp_path / "none.pdf")
    with pytest.raises(GlossaryError, match="Is a directory"):
        read_talk(tmp_path)
    monkeypatch.setattr(index_builder.talk_text, "MAX_BYTES", 3)
    with pytest.raises(GlossaryError, match="is larger than 0 MiB"):
        read_talk(_file(tmp_path, b"long"))


def test_pages_and_characters_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond is not read."""
    path = _file(tmp_path, make_pdf("alpha", "beta", "gamma"))
    monkeypatch.setattr(index_builder.talk_text, "MAX_PAGES", 2)
    assert read_talk(path) == "alpha\n\nbeta"
    monkeypatch.setattr(index_builder.talk_text, "MAX_CHARACTERS", 3)
    assert read_talk(path) == "alp"
