from pathlib import Path

import pytest

from training.corpus.manifest import ManifestError
from training.corpus.schemas import Source
from training.corpus.segments import Segment, SegmentTable

COLUMNS = ["id", "audio", "n_frames", "speaker", "src_text", "src_lang"]


def segment(*cells: str) -> Segment:
    """The segment of one line."""
    return SegmentTable(Path("/corpus/train.tsv")).segment("\t".join(cells), COLUMNS)


def test_lines_of_the_seed_are_read() -> None:
    """path:offset:frames is a stretch of a recording, relative to the table; N/A is no speaker."""
    assert segment("POD3_S0000123", "a/POD3.opus:160:3200", "3200", "N/A", "so we", "en") == Segment(
        "POD3_S0000123", Source(Path("/corpus/a/POD3.opus"), 160, 3_200), "POD3", "", "so we"
    )


def test_files_of_one_segment_are_read() -> None:
    """A path alone is a file of its own, as long as the table says, and its segment is its recording."""
    assert segment("ted_1", "/far/ted_1.wav", "3200", "spk7", "so we", "en") == Segment(
        "ted_1", Source(Path("/far/ted_1.wav"), 0, 3_200), "ted_1", "spk7", "so we"
    )
    assert segment("ted_1", "talk.wav:160:3200", "", "", "", "").recording == "talk"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("a", "b"), "2 columns, its header 6"),
        (("../a", "a.wav", "1", "", "", ""), "cannot name a file"),
        (("a/b", "a.wav", "1", "", "", ""), "cannot name a file"),
        (("", "a.wav", "1", "", "", ""), "cannot name a file"),
        (("a", "", "1", "", "", ""), "names no audio"),
        (("a", "a.wav", "-1", "", "", ""), "n_frames '-1'"),
    ],
)
def test_lines_without_sense_are_refused(cells: tuple[str, ...], said: str) -> None:
    """A bad line says what is wrong with it."""
    with pytest.raises(ValueError, match=said):
        segment(*cells)


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    """Blank lines are passed over but counted, quotes and line separators within a line are text."""
    path = tmp_path / "train.tsv"
    path.write_bytes(("\ufeff" + "\t".join(COLUMNS) + '\r\n\na\tb\t1\ts\t"say \u2028 it\ten\r\n').encode())
    table = SegmentTable(path)
    ((number, line),) = table.lines()
    assert number == 3
    assert table.segment(line, table.header()).text == '"say \u2028 it'
    assert list(table.texts()) == ['"say \u2028 it']


def test_unreadable_tables_are_named(tmp_path: Path) -> None:
    """A missing table and another encoding are told with the cure."""
    with pytest.raises(ManifestError, match=r"absent\.tsv: No such file"):
        SegmentTable(tmp_path / "absent.tsv").header()
    path = tmp_path / "latin.tsv"
    path.write_bytes("\t".join(COLUMNS).encode() + b"\n" + b"a" * 70_000 + b"\ncaf\xe9\n")
    with pytest.raises(ManifestError, match="not UTF-8"):
        list(SegmentTable(path).lines())
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(ManifestError, match="not UTF-8"):
        SegmentTable(path).header()
