import json
import os
from pathlib import Path

import pytest

from tests.training.corpus.given_rows import CHUNK, write
from training.corpus.lines import BadRows, row_files
from training.corpus.manifest import ManifestError
from training.corpus.rows import ExampleFile, read_examples


def test_a_line_that_is_not_json_is_skipped(tmp_path: Path) -> None:
    """In JSON lines a damaged line costs itself only, its number counts blank lines too."""
    path = write(tmp_path / "rows.jsonl", CHUNK, "", "{broken", '{"a": "\udcff"}'.replace("\udcff", "x"), listed=False)
    collected = BadRows()
    assert len(list(read_examples([path], on_bad=collected))) == 1
    assert [row.number for row in collected.listed] == [3, 4]
    assert "not JSON" in collected.listed[0].reason


@pytest.mark.parametrize("broken", ['[{"segment_id": "a", ', "[7, }", '[{"a": NaN}]', '[{"a": "\\ud8"}]', "[1] 2"])
def test_a_broken_list_is_refused_whatever_is_collected(tmp_path: Path, broken: str) -> None:
    """What follows the break of a JSON list cannot be told apart into rows, so the file is an error."""
    path = tmp_path / "rows.json"
    path.write_text(broken)
    with pytest.raises(ManifestError, match=r"rows\.json: not sound JSON after row \d"):
        list(read_examples([path], on_bad=BadRows()))


def test_endless_lines_and_empty_files_are_refused(tmp_path: Path) -> None:
    """A file of one huge line is not read into memory, and an empty file is no corpus."""
    (tmp_path / "a.jsonl").write_bytes(b'{"a": "' + b"x" * (1 << 24) + b'"}')
    with pytest.raises(ManifestError, match="line 1 is longer than 16 MiB"):
        list(read_examples([tmp_path / "a.jsonl"]))
    (tmp_path / "b.jsonl").write_bytes(b" \n")
    with pytest.raises(ManifestError, match="holds no rows"):
        list(read_examples([tmp_path / "b.jsonl"]))
    with pytest.raises(ManifestError, match=r"absent\.json is not there"):
        list(read_examples([tmp_path / "absent.json"]))


def test_shards_come_by_name_and_one_is_enough(tmp_path: Path) -> None:
    """Numbers in names count by value, hidden files are no shards, and a single slice is the first shard."""
    for number in (0, 500_000, 1_000_000):
        row = CHUNK | {"segment_id": f"R_S{number}", "term_chunk_audio": f"R_S{number}.wav"}
        write(tmp_path / f"term_level_chunks_{number}_{number + 500_000}.json", row)
    write(tmp_path / ".staging-x.json", "broken")
    (tmp_path / "readme.txt").write_text("no rows")
    assert [e.example_id for e in read_examples([tmp_path])] == ["R_S0", "R_S500000", "R_S1000000"]
    assert [e.example_id for e in read_examples([tmp_path], single_slice=True)] == ["R_S0"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"holds no \.json or \.jsonl file"):
        list(read_examples([tmp_path / "empty"]))


def test_empty_and_hidden_files_are_no_shards(tmp_path: Path) -> None:
    """They are passed over, by the first slice too; a folder in which nothing else is says so."""
    (tmp_path / "a.jsonl").write_text("\ufeff\n \n", "utf-8")
    (tmp_path / "b.json").write_text("[\n]\n")
    (tmp_path / ".c.json").write_text('{"no": "row"}')
    (tmp_path / "d.json").mkdir()
    with pytest.raises(ManifestError, match=r"no file in the folder .* holds a row; name"):
        row_files([tmp_path])
    write(tmp_path / "e.json", CHUNK)
    assert [e.recording for e in read_examples([tmp_path], single_slice=True)] == ["POD0000000003"]


def test_byte_order_marks_are_passed_over(tmp_path: Path) -> None:
    """Files that another system saved with a mark are read."""
    for name, text in (("a.json", json.dumps([CHUNK])), ("b.jsonl", json.dumps(CHUNK))):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(list(read_examples([tmp_path]))) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("listed", [True, False], ids=["list", "lines"])
def test_other_encodings_are_named(tmp_path: Path, listed: bool, encoding: str) -> None:
    """No guess is made at the encoding of a file."""
    path = write(tmp_path / "rows.json", CHUNK, listed=listed)
    path.write_bytes(path.read_text().encode(encoding))
    with pytest.raises(ManifestError, match=r"rows\.json is not UTF-8; save it as UTF-8"):
        list(read_examples([path], on_bad=BadRows()))


def test_a_line_of_another_encoding_is_listed(tmp_path: Path) -> None:
    """It costs itself only."""
    path = write(tmp_path / "rows.jsonl", CHUNK, listed=False)
    path.write_bytes(path.read_bytes() + b'\n{"text": "\xe9"}\n')
    collected = BadRows()
    assert len(list(read_examples([path], on_bad=collected))) == 1
    assert "not UTF-8" in collected.listed[0].reason


def test_a_pipe_is_no_file_of_rows(tmp_path: Path) -> None:
    """Named or in a folder, it would be waited for without end."""
    os.mkfifo(tmp_path / "rows.jsonl")
    for path in (tmp_path, tmp_path / "rows.jsonl"):
        with pytest.raises(ManifestError, match=r"rows\.jsonl is no regular file"):
            row_files([path])
    with pytest.raises(ManifestError, match="is no regular file"):
        ExampleFile(tmp_path / "rows.jsonl")
