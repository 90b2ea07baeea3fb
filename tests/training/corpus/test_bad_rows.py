from pathlib import Path
from typing import Any

import pytest

from tests.training.corpus.given_rows import CHUNK, NO_TERM, SAMPLE, write
from training.corpus.lines import BadRow, BadRows
from training.corpus.manifest import ManifestError
from training.corpus.rows import read_examples

BAD = [
    (CHUNK | {"term_end_time": 4.0}, "4.0 is not after term_start_time 4.1"),
    (CHUNK | {"term_start_time": -0.1}, "term_start_time is -0.1, before"),
    (CHUNK | {"extended_start_time": -1.0}, "extended_start_time is -1.0, before"),
    (CHUNK | {"term_end_time": 7.0}, r"lasts 2.900 s, longer than its audio of 2.680 s"),
    (CHUNK | {"extended_start_time": 6.0}, "lies outside its audio"),
    (CHUNK | {"extended_duration": 0}, "lasts 0.0 s"),
    (CHUNK | {"term_start_time": "four"}, "term_start_time is 'four'"),
    (CHUNK | {"term_start_time": True}, "term_start_time is True"),
    (CHUNK | {"term_chunk_audio": None}, "term_chunk_audio is None"),
    (CHUNK | {"term_chunk_audio": "a\0b"}, "term_chunk_audio is"),
    (CHUNK | {"term_chunk_audio_ground_truth_terms": "ion"}, "not a list of texts"),
    (CHUNK | {"term_chunk_audio_ground_truth_terms": [3]}, "not a list of texts"),
    (CHUNK | {"is_no_term_chunk": True}, "is_no_term_chunk is true"),
    (CHUNK | {"term_spans": [["ion", 1.0]]}, r"no \[text, start, end\]"),
    (CHUNK | {"speaker": []}, "speaker is"),
    ({k: v for k, v in CHUNK.items() if k != "segment_id"}, "segment_id is None"),
    (SAMPLE | {"end_time": 0.5}, "not after begin_time"),
    (SAMPLE | {"has_target": False}, "has_target is false"),
    ({"id": "u", "path": "a.wav", "terms": [["ion", 2.0, 1.0]]}, r"no \[text, start, end\]"),
    ({"id": "u", "path": "a.wav", "terms": [["ion", 1.0, 1.0]]}, "has samples 16000 to 16000"),
    ({"id": "u", "path": "a.wav", "samples": 99, "terms": [["ion", 0, 1]]}, "ends after its 99 samples"),
    ({"id": "u", "path": "a.wav", "samples": -1, "terms": []}, "samples is -1"),
    ({"id": "u", "path": "a.wav", "terms": [], "words": 3}, "3 is no"),
    ({"other": 1}, r"keys \['other'\] are of no known form"),
    ("7", "'7' is no JSON object"),
    (SAMPLE | {"end_time": 1e300}, "end_time is 1e.300, not a number of seconds"),
    ({"id": "u", "path": "a.wav", "terms": [["ion", 0.1, 1e300]]}, r"no \[text, start, end\]"),
    ({"id": "u", "path": "a.wav", "samples": 10**18, "terms": []}, "samples is 10"),
    (SAMPLE | {"audio": "a.wav:0:99999999999999999999999"}, "names no number of samples"),
    (SAMPLE | {"begin_time": 10**18}, "begin_time is 10"),
    ({"id": "u", "path": "a.wav", "terms": [["-", 0, 1]]}, "term '-' has no word"),
    (SAMPLE | {"ground_truth_term": ["'s"]}, '"\'s" has no word with a letter or digit'),
    (CHUNK | {"term_chunk_audio": "a.wav:0:43000", "term_spans": [["ion", 0, 3]]}, "ends after its 43000"),
]
LONE = [
    {"id": "u", "path": "\ud800.wav", "terms": []},
    {"id": "u", "path": "a.wav", "terms": [["i\ud800", 0, 1]]},
    {"id": "u", "path": "a.wav", "terms": [], "text": "\udfff"},
    SAMPLE | {"ground_truth_term": ["\udc80 ion"]},
]


@pytest.mark.parametrize("listed", [True, False], ids=["list", "lines"])
@pytest.mark.parametrize(("bad", "said"), BAD)
def test_bad_rows_name_file_row_value_and_cure(
    tmp_path: Path, bad: dict[str, Any] | str, said: str, listed: bool
) -> None:
    """A bad row is an error that says where it is; collected, the rows around it are read all the same."""
    path = write(tmp_path / "rows.json", CHUNK, bad, NO_TERM, listed=listed)
    with pytest.raises(ManifestError, match=rf"rows\.json, row 2: .*{said}.*; mend or remove it"):
        list(read_examples([path]))
    collected = BadRows()
    assert len(list(read_examples([path], on_bad=collected))) == 2
    assert [(row.file, row.number) for row in collected.listed] == [(path, 2)]


@pytest.mark.parametrize("bad", LONE)
def test_halves_of_characters_are_no_text(tmp_path: Path, bad: dict[str, Any]) -> None:
    """UTF-8 cannot hold a lone surrogate, so no file and no index could: the row is listed, the others are read."""
    path = write(tmp_path / "rows.jsonl", CHUNK, bad, listed=False)
    collected = BadRows()
    assert len(list(read_examples([path], on_bad=collected))) == 1
    assert [row.number for row in collected.listed] == [2]
    str(collected.listed[0]).encode()


@pytest.mark.parametrize(
    "bad", [{"id": "u", "path": "a.wav", "samples": 10**30, "terms": []}, SAMPLE | {"begin_time": 10**400}]
)
def test_endless_integers_are_no_numbers(tmp_path: Path, bad: dict[str, Any]) -> None:
    """In lines they cost their row; the reader of lists has 64 bits and tells of the file."""
    collected = BadRows()
    path = write(tmp_path / "rows.jsonl", CHUNK, bad, CHUNK, listed=False)
    assert len(list(read_examples([path], on_bad=collected))) == 2
    assert [row.number for row in collected.listed] == [2]
    with pytest.raises(ManifestError, match="not sound JSON after row 1"):
        list(read_examples([write(tmp_path / "rows.json", CHUNK, bad)], on_bad=BadRows()))


def test_a_share_of_bad_rows_is_allowed() -> None:
    """All bad rows are counted, a thousand are listed, and more than the share is an error that names the first."""
    collected = BadRows()
    collected.judge(0, 0.0)
    for number in range(1_200):
        collected(BadRow(Path("rows.json"), number + 1, "bad"))
    assert (collected.count, len(collected.listed)) == (1_200, 1_000)
    collected.judge(10_800, 0.1)
    with pytest.raises(ManifestError, match=r"1200 of 10800 rows .* more than 10%; the first: rows\.json, row 1: bad"):
        collected.judge(9_600, 0.1)
