"""What the first and last bytes of audio tell: a container where raw samples should be, a file without its end.

libsndfile reads a cut AU or Ogg file without a word, and any bytes at all are raw s16le.
"""

import codecs
import struct
from pathlib import Path

HEAD_BYTES = 64
_MAGIC = {
    b"RIFF": "a WAV file",
    b"RF64": "a WAV file",
    b"riff\x2e\x91": "a W64 file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"ID3": "a MP3 file",
    b"FORM": "an AIFF file",
    b".snd": "an AU file",
    b"caff": "a CAF file",
    b"\x1aE\xdf\xa3": "a WebM or Matroska file",
}
_AU_HEADER = {b".snd": ">II", b"dns.": "<II"}
_UNKNOWN_AU_SIZE = 0xFFFFFFFF
_OGG_HEADER_BYTES = 27
_OGG_PAGE_BYTES = _OGG_HEADER_BYTES + 255 + 255 * 255
_OGG_END_OF_STREAM = 4
# MPEG audio, layer III: kbit/s by index for version 1 and for 2 and 2.5; Hz of version 1 by index.
_MP3_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_SAMPLE_RATES = (44_100, 48_000, 32_000)
_MP3_VERSION_1, _MP3_LAYER_3 = 3, 1
# Which part of version 1's sample rates: version 2.5, (reserved), 2, 1.
_MP3_DIVISORS = {0: 4, 2: 2, 3: 1}


def container_of(head: bytes) -> str | None:
    """What it is that starts with `head` (at least `HEAD_BYTES` where there are so many) if it is not raw samples.

    An MP3 without a tag is only known by two frames in a row, for one frame's start is a plausible sample:
    see `mp3_frame_bytes`.
    """
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "a MP4 file"
    frame = mp3_frame_bytes(head)
    if frame and mp3_frame_bytes(head[frame:]) and head[frame : frame + 2] == head[:2]:
        return "a MP3 file"
    return "text" if _is_text(head) else None


def mp3_frame_bytes(head: bytes) -> int:
    """Length of the MPEG layer III frame whose header `head` starts with; 0 where there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate_index, sample_rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if layer != _MP3_LAYER_3 or version not in _MP3_DIVISORS or rate_index in (0, 15) or sample_rate_index == 3:
        return 0
    is_first = version == _MP3_VERSION_1
    kilobits = (_MP3_RATES_1 if is_first else _MP3_RATES_2)[rate_index]
    sample_rate = _MP3_SAMPLE_RATES[sample_rate_index] // _MP3_DIVISORS[version]
    return (144_000 if is_first else 72_000) * kilobits // sample_rate + padding


def _is_text(head: bytes) -> bool:
    """Whether these are UTF-8 letters and blanks: 32 samples that all happen to be such are no sound."""
    try:
        # The last character may be cut, which this decoder waits for.
        text = codecs.getincrementaldecoder("utf-8")().decode(head[:HEAD_BYTES])
    except UnicodeDecodeError:
        return False
    return bool(text) and all(character.isprintable() or character in "\t\n\r\f" for character in text)


def missing_end(path: Path) -> str | None:
    """How an AU or Ogg file shows that its end is missing; None for a whole one and for other formats.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] in _AU_HEADER and len(head) == 12:
            offset, promised = struct.unpack(_AU_HEADER[head[:4]], head[4:])
            found = max(0, size - offset)
            if promised != _UNKNOWN_AU_SIZE and found < promised:
                return f"its header promises {promised} bytes of audio and {found} are there"
        elif head[:4] == b"OggS":
            stream.seek(max(0, size - _OGG_PAGE_BYTES))
            if not _ends_ogg(stream.read()):
                return f"the last page of its {size} bytes does not end the stream"
    return None


def _ends_ogg(tail: bytes) -> bool:
    """Whether the last page in `tail` is whole and carries the end-of-stream flag."""
    start = tail.rfind(b"OggS\0")
    page = tail[start:]
    if start < 0 or len(page) < _OGG_HEADER_BYTES or not page[5] & _OGG_END_OF_STREAM:
        return False
    table = page[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + page[26]]
    return len(table) == page[26] and len(page) >= _OGG_HEADER_BYTES + len(table) + sum(table)
