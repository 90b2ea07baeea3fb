import dataclasses
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import training.corpus.nesting as nesting
from training.corpus.examples import Example, TermSpan
from training.corpus.lines import BadRow, BadRows, row_files
from training.corpus.manifest import ManifestError, Word, read_manifest
from training.corpus.rows import ExampleFile, read_examples, write_examples

CHUNK: dict[str, Any] = {
    "segment_id": "POD0000000003_S0000123",
    "term_chunk_audio": "clips/POD0000000003_S0000123_term_Kalman_filter_4.10_4.78_ctx1.0s.wav",
    "term_chunk_text": "so we use a kalman filter to smooth it",
    "term_chunk_audio_ground_truth_terms": ["Kalman filter"],
    "term_start_time": 4.10,
    "term_end_time": 4.78,
    "term_start_time_abs": 4.10,
    "term_end_time_abs": 4.78,
    "term_duration": 0.68,
    "extended_start_time": 3.10,
    "extended_end_time": 5.78,
    "extended_duration": 2.68,
    "context_seconds": 1.0,
    "actual_extended_start": 3.10,
    "actual_extended_end": 5.78,
}
NO_TERM = CHUNK | {
    "segment_id": "POD0000000003_S0000123_no_term_0",
    "term_chunk_audio": "clips/none.wav",
    "term_chunk_audio_ground_truth_terms": [],
    "is_no_term_chunk": True,
    "context_seconds": 0,
    "term_start_time": 3.10,
    "term_end_time": 5.78,
}
SAMPLE: dict[str, Any] = {
    "segment_id": "POD0000000003_S0000007",
    "text": "an ion and a kalman filter",
    "audio": "/corpus/POD0000000003.opus:16000:48000",
    "begin_time": 1.0,
    "end_time": 4.0,
    "audio_id": "POD0000000003",
    "ground_truth_term": ["ion", "Kalman filter"],
    "has_target": True,
    "original_tsv_index": 7,
}


def write(path: Path, *rows: dict[str, Any] | str, listed: bool = True) -> Path:
    """A JSON list or JSON lines; a string is written as it is."""
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("[" + ",\n".join(texts) + "]" if listed else "\n".join(texts) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("listed", [True, False], ids=["list", "lines"])
def test_term_level_chunks_are_read_unchanged(tmp_path: Path, listed: bool) -> None:
    """A chunk's span counts from the start of its audio; the file is taken as long as it is."""
    term, free = read_examples([write(tmp_path / "chunks.json", CHUNK, NO_TERM, listed=listed)])
    assert term == Example(
        "POD0000000003_S0000123_term_Kalman_filter_4.10_4.78_ctx1.0s",
        tmp_path / CHUNK["term_chunk_audio"],
        0,
        0,
        CHUNK["term_chunk_text"],
        (TermSpan("Kalman filter", 16_000, 26_880),),
        recording="POD0000000003",
    )
    assert free.is_no_term
    assert (free.example_id, free.recording) == ("POD0000000003_S0000123_no_term_0_none", "POD0000000003")


def test_a_chunk_at_the_start_of_its_segment_is_clamped(tmp_path: Path) -> None:
    """Where the context would begin before the segment, the clamped start of the row counts, not the theoretical one."""
    row = CHUNK | {
        "term_start_time": 0.3,
        "term_end_time": 0.9,
        "extended_start_time": 0.0,
        "extended_end_time": 1.9,
        "extended_duration": 1.9,
        "actual_extended_start": -0.7,
    }
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("Kalman filter", 4_800, 14_400),)


def test_lengths_come_from_what_a_row_tells(tmp_path: Path) -> None:
    """Without a duration the ends of the audio tell it; of several terms without spans each is anywhere in it."""
    row = {k: v for k, v in CHUNK.items() if k != "extended_duration"}
    row |= {"term_chunk_audio_ground_truth_terms": ["ion", "Kalman filter"]}
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("ion", 0, 42_880), TermSpan("Kalman filter", 0, 42_880))
    (example,) = read_examples(
        [write(tmp_path / "a.json", row | {"term_spans": [["ion", 1, 1.5], ["Kalman filter", 2, 2.5]]})]
    )
    assert example.terms == (TermSpan("ion", 16_000, 24_000), TermSpan("Kalman filter", 32_000, 40_000))
    sliced = CHUNK | {"term_chunk_audio": "rec.wav:100:16000", "term_end_time": 5.2}
    with pytest.raises(ManifestError, match=r"lasts 1\.100 s, longer than its audio of 1\.000 s"):
        next(read_examples([write(tmp_path / "a.json", sliced)]))


def test_preprocessed_samples_are_read_unchanged(tmp_path: Path) -> None:
    """Where times are unknown a term is somewhere in its stretch; path:offset:frames says which stretch."""
    (example,) = read_examples([write(tmp_path / "samples.json", SAMPLE)])
    assert (example.audio, example.start_sample, example.samples) == (
        Path("/corpus/POD0000000003.opus"),
        16_000,
        48_000,
    )
    assert example.terms == (TermSpan("ion", 0, 48_000), TermSpan("Kalman filter", 0, 48_000))
    assert (example.example_id, example.recording) == ("POD0000000003_S0000007", "POD0000000003")


def test_a_row_that_tells_no_length_asks_its_audio(tmp_path: Path) -> None:
    """Without times and lengths the header of the file says how long the chunk is; without the file the row is bad."""
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 16_000)
    row = {k: v for k, v in CHUNK.items() if "time" not in k and "duration" not in k} | {"term_chunk_audio": "a.wav"}
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("Kalman filter", 0, 8_000),)
    with pytest.raises(ManifestError, match=r"how long .*absent\.wav is"):
        next(read_examples([write(tmp_path / "a.json", row | {"term_chunk_audio": "absent.wav"})]))


SAMPLES = st.integers(0, 3_000_000)
WORDS = st.lists(
    st.tuples(st.sampled_from(["kalman", "it's", "a"]), st.integers(-9_999, 99_999), st.integers(0, 9_999))
)
NAMES = st.builds("{}{}{}".format, st.text(max_size=3), st.sampled_from(["ion", "β", "7"]), st.text(max_size=3))
TERMS = st.lists(st.tuples(NAMES, SAMPLES, st.integers(1, 99_999)), max_size=4)


@given(TERMS, WORDS, st.text(), SAMPLES)
def test_our_own_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    terms: list[tuple[str, int, int]],
    words: list[tuple[str, int, int]],
    text: str,
    start: int,
) -> None:
    """Whatever is written is read again, to the sample, and our manifests' reader takes the same file."""
    folder = tmp_path_factory.mktemp("rows")
    example = Example(
        "an id",
        folder / "audio" / "a.flac",
        start,
        3_200_000,
        text,
        tuple(TermSpan(t, a, a + n) for t, a, n in terms),
        tuple(Word(w, a, a + n) for w, a, n in words),
        "recording",
        "speaker",
    )
    assert write_examples(folder / "rows.jsonl", [example]) == 1
    assert list(read_examples([folder / "rows.jsonl"])) == [example]
    (utterance,) = read_manifest(folder / "rows.jsonl")
    assert (utterance.path, utterance.speaker, utterance.duration_s) == (example.audio, "speaker", 200.0)
    assert [w.text for w in utterance.words] == [w.text for w in example.words]


def test_rows_without_terms_are_no_no_term_rows(tmp_path: Path) -> None:
    """A manifest that knows nothing of terms is refused: its rows would be taken for speech without any."""
    path = write(tmp_path / "m.jsonl", {"id": "u", "path": "u.flac", "duration_s": 1.0, "words": []}, listed=False)
    with pytest.raises(ManifestError, match="has no terms; match it against a glossary"):
        next(read_examples([path]))


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


def test_words_of_a_chunk_are_read_where_it_has_them(tmp_path: Path) -> None:
    """In seconds from the start of its audio, cut ones too, in letters; a row without them has none."""
    timed = CHUNK | {"timed_words": [["We", -0.1, 0.2], ["twenty-one", 0.5, 1.4], ["…", 2, 2.1]]}
    plain, example = read_examples([write(tmp_path / "a.json", CHUNK, timed)])
    assert plain.words == ()
    assert example.words[0] == Word("we", -1_600, 3_200)
    assert example.words[1:] == (Word("twenty", 8_000, 17_600), Word("one", 17_600, 22_400))
    assert dataclasses.replace(example, words=()) == plain
    with pytest.raises(ManifestError, match=r"row 1: .*no \[text, start, end\]"):
        next(read_examples([write(tmp_path / "a.json", CHUNK | {"timed_words": [["we", 0.1]]})]))


def test_byte_order_marks_are_passed_over(tmp_path: Path) -> None:
    """Files that another system saved with a mark are read."""
    for name, text in (("a.json", json.dumps([CHUNK])), ("b.jsonl", json.dumps(CHUNK))):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(list(read_examples([tmp_path]))) == 2


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


def examples(folder: Path, count: int) -> Iterator[Example]:
    """Rows without anything said."""
    for i in range(count):
        yield Example(f"é{i}", folder / f"{i}.wav", i, 99, "", ())


def test_rows_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails leaves the old file and nothing else."""

    def failing() -> Iterator[Example]:
        yield from examples(tmp_path, 2)
        raise OSError(28, os.strerror(28))

    path = tmp_path / "rows.jsonl"
    write_examples(path, examples(tmp_path, 3))
    before = path.read_bytes()
    with pytest.raises(ManifestError, match=r"cannot write .*rows\.jsonl: No space left.*free space"):
        write_examples(path, failing())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_rows_is_a_sequence(tmp_path: Path) -> None:
    """Rows by number are the rows in order, with negative numbers and slices; a bad one names its place."""
    path = tmp_path / "rows.jsonl"
    write_examples(path, examples(tmp_path, 5))
    rows = ExampleFile(path)
    assert list(rows) == list(read_examples([path]))
    assert (len(rows), rows[-1].example_id, [e.start_sample for e in rows[1:3]]) == (5, "é4", [1, 2])
    with pytest.raises(IndexError):
        rows[5]
    path.write_text(json.dumps(CHUNK | {"segment_id": 3}) + "\n")
    with pytest.raises(ManifestError, match="row 1: its segment_id is 3"):
        ExampleFile(path)[0]
    with pytest.raises(ManifestError, match=r"absent\.jsonl: No such file"):
        ExampleFile(tmp_path / "absent.jsonl")


def test_audio_elsewhere_is_named_by_its_whole_path(tmp_path: Path) -> None:
    """Audio below the file is named relative to it, so that both can move; other audio absolutely."""
    (example,) = examples(tmp_path / "elsewhere", 1)
    write_examples(tmp_path / "rows" / "rows.jsonl", [example])
    assert list(read_examples([tmp_path / "rows"])) == [example]
    inside = dataclasses.replace(example, audio=tmp_path / "rows" / "a.wav")
    write_examples(tmp_path / "rows" / "rows.jsonl", [inside])
    assert json.loads((tmp_path / "rows" / "rows.jsonl").read_text())["path"] == "a.wav"


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


@pytest.mark.parametrize("levels", [100, 20_000])
@pytest.mark.parametrize("signs", ["[]", "{}"])
def test_deep_nesting_is_told_before_it_costs_memory(tmp_path: Path, levels: int, signs: str) -> None:
    """A line is skipped, a list refused, both by a sentence and in little memory."""
    opening, closing = ("[", "]") if signs == "[]" else ('{"a":', "}")
    deep = '{"x": ' + opening * levels + "1" + closing * levels + "}"
    lines, listed = write(tmp_path / "a.jsonl", CHUNK, deep, CHUNK, listed=False), write(tmp_path / "a.json", deep)
    collected = BadRows()
    tracemalloc.start()
    try:
        assert len(list(read_examples([lines], on_bad=collected))) == 2
        with pytest.raises(ManifestError, match=r"a\.json: .*nested deeper than 64 levels"):
            list(read_examples([listed], on_bad=BadRows()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(row.number, "nested deeper" in row.reason) for row in collected.listed] == [(2, True)]
    assert peak < 8_000_000


@given(st.recursive(st.text('ab"\\\\[{]}', max_size=4), lambda c: st.lists(c) | st.dictionaries(st.text('["'), c)))
def test_depth_is_told_by_the_bytes_as_by_the_value(value: object) -> None:
    """Brackets within strings do not count, wherever the reads part the file."""

    def levels(item: object) -> int:
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
        return 0 if children is None else 1 + max(map(levels, children), default=0)

    text = json.dumps(value).encode()
    for most in (levels(value), levels(value) - 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nesting, "MOST_LEVELS", most)
            if most >= 0:
                assert nesting.is_deep(value) == (levels(value) > most)
            for size in (1, 3, 1 << 16):
                stream = nesting.ShallowStream(io.BytesIO(text))
                refused = False
                try:
                    while stream.read(size):
                        pass
                except ValueError:
                    refused = True
                assert refused == (0 < levels(value) > most)


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
