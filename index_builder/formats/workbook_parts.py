"""The parts of an XLSX file that matter, unpacked within bounds, looked through and packed anew.

A small archive may unpack to terabytes, or lie about its sizes. What the parser gets is a copy of what was seen here.
Names of parts follow ECMA-376, part 2 (Open Packaging Conventions).
"""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from index_builder.formats.sheet_bounds import SheetBounds
from index_builder.formats.source import GlossaryFile
from streaming.errors import GlossaryError

MAX_UNPACKED = 256 * 2**20
"""Bytes of all parts together."""
_MAX_PARTS = 10_000
# Pictures, fonts and macros are nothing to a glossary.
_WANTED = re.compile(r"(\[Content_Types\]|(_rels/|xl/).*)\.(xml|rels)", re.IGNORECASE)
_UNWANTED = re.compile(r"xl/(media|drawings|charts|theme|embeddings|printerSettings)/", re.IGNORECASE)
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHERS = (
    ("xl/workbook.bin", "an XLSB workbook", "save it as XLSX"),
    ("content.xml", "an OpenDocument file", "save it as XLSX or CSV"),
    ("word/document.xml", "a Word document", "save its table as XLSX or CSV"),
)


@dataclass(frozen=True, slots=True)
class SoundWorkbook:
    """A workbook that is safe to parse; `valueless_cells` are formulas without a result, or with an error as such."""

    content: bytes
    valueless_cells: int


def sound_workbook(file: GlossaryFile) -> SoundWorkbook:
    """Check a workbook and copy what is read of it.

    Raises:
        GlossaryError: it is another kind of archive, damaged, locked by a password, or larger than the bounds.
    """
    name = file.path.name
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            parts = _unpack(archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as cause:
        raise GlossaryError(f"{name} is a damaged archive: {cause}; save it as XLSX once more") from cause
    bounds = SheetBounds(name)
    for part, content in parts.items():
        bounds.scan(content, f"{name}, part {part}")
    bounds.check()
    return SoundWorkbook(_pack(parts), bounds.valueless_cells)


def _unpack(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    members = archive.infolist()
    names = {member.filename for member in members}
    if "xl/workbook.xml" not in names:
        raise _other_archive(name, names)
    if len(members) > _MAX_PARTS or len(names) < len(members):
        raise GlossaryError(f"{name} holds {len(members)} parts, too many or some twice; save it as XLSX once more")
    parts: dict[str, bytes] = {}
    room = MAX_UNPACKED
    for member in members:
        if not _WANTED.fullmatch(member.filename) or _UNWANTED.match(member.filename):
            continue
        if member.flag_bits & 1 or member.compress_type not in _PACKINGS:
            raise GlossaryError(f"{name} is locked or packed in an unusual way; save it as XLSX without a password")
        # The size that the archive declares may be a lie; this is what really comes out.
        with archive.open(member) as stream:
            content = stream.read(room + 1)
        room -= len(content)
        if room < 0:
            raise GlossaryError(f"{name} unpacks to more than {MAX_UNPACKED // 2**20} MiB; split the glossary")
        parts[member.filename] = content
    return parts


def _pack(parts: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def _other_archive(name: str, names: set[str]) -> GlossaryError:
    for part, kind, cure in _OTHERS:
        if part in names:
            return GlossaryError(f"{name} is {kind}; {cure}")
    return GlossaryError(f"{name} is a zip archive and no XLSX workbook; unpack it and name the glossary itself")
