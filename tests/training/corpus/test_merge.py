import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training.corpus.merge as merge
from streaming.errors import SettingError
from training.corpus.lines import BadRows, raw_rows
from training.corpus.manifest import ManifestError
from training.corpus.merge import MergeCounts, SeenKeys, merge_rows
from training.corpus.rows import read_examples


def row(segment: str, term: str = "ion", audio: str = "clips/a.wav") -> dict[str, object]:
    """A term-level chunk."""
    return {
        "segment_id": segment,
        "term_chunk_audio": audio,
        "term_chunk_text": "神",
        "term_chunk_audio_ground_truth_terms": [term],
        "term_start_time": 1.0,
        "term_end_time": 1.5,
        "extended_start_time": 0.0,
        "extended_duration": 2.5,
    }


@pytest.mark.parametrize("name", ["merged.json", "merged.jsonl"])
def test_shards_become_one_file(tmp_path: Path, name: str) -> None:
    """Rows stay as they are and in order; a repeated row goes, another term of the same segment stays."""
    shards = tmp_path / "shards"
    shards.mkdir()
    first = [row("s1"), row("s1", "atom"), row("s2")]
    (shards / "a_2.json").write_text(json.dumps(first))
    (shards / "a_10.jsonl").write_text(json.dumps(row("s1")) + "\n" + json.dumps(row("s3")) + "\n")
    merged = shards / name
    assert merge_rows([shards], merged) == MergeCounts(4, 1, 0)
    assert [raw.value for raw in raw_rows(merged)] == [*first, row("s3")]
    # Merged again into the same place, the merged file is no shard of itself.
    assert merge_rows([shards], merged).rows == 4


def test_audio_is_found_from_the_merged_file(tmp_path: Path) -> None:
    """Paths relative to a shard are named from the place of the merged file; absolute ones and slices keep their form."""
    shards = tmp_path / "samples" / "xl"
    shards.mkdir(parents=True)
    rows = [row("s1"), row("s2", audio="/far/b.wav"), row("s3", audio="c.opus:16:32000")]
    (shards / "a.json").write_text(json.dumps(rows))
    for merged in (tmp_path / "merged.json", tmp_path / "other" / "merged.json"):
        merge_rows([shards], merged)
        assert [(e.audio, e.start_sample, e.samples) for e in read_examples([merged])] == [
            (shards / "clips/a.wav", 0, 0),
            (Path("/far/b.wav"), 0, 0),
            (shards / "c.opus", 16, 32_000),
        ]
    assert "samples/xl/clips/a.wav" in (tmp_path / "merged.json").read_text()


def test_bad_rows_are_left_out_or_refused(tmp_path: Path) -> None:
    """A row without a name or that is no object is told; without a listener nothing is written."""
    (tmp_path / "a.jsonl").write_text(json.dumps(row("s1")) + '\n{"x": 1}\n{broken\n')
    merged = tmp_path / "out" / "merged.json"
    with pytest.raises(ManifestError, match=r"a\.jsonl, row 2: it has neither segment_id nor id"):
        merge_rows([tmp_path / "a.jsonl"], merged)
    assert not list(merged.parent.iterdir())
    told = BadRows()
    assert merge_rows([tmp_path / "a.jsonl"], merged, on_bad=told) == MergeCounts(1, 0, 2)
    assert [bad.number for bad in told.listed] == [2, 3]
    with pytest.raises(SettingError, match=r"neither in \.json nor in \.jsonl"):
        merge_rows([tmp_path / "a.jsonl"], tmp_path / "merged.csv")


@given(st.lists(st.text("ab\ud800", max_size=3), max_size=60))
def test_seen_keys_are_a_set(keys: list[str]) -> None:
    """The digests in sorted runs answer as a set of the keys does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_BUFFERED", 4)
        seen, oracle = SeenKeys(), set[str]()
        for key in keys:
            assert seen.add(key) == (key not in oracle)
            oracle.add(key)


BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "corpus.py"


def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    """Merging and reading 12 MB, which are 36 MB as objects, adds less than 16 MB to the process; no row gets lost."""
    command = [sys.executable, str(BENCHMARK), "--gigabytes", "0.012", "--work", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    generate, merged, read = map(json.loads, done.stdout.splitlines())
    assert [generate["stage"], merged["stage"], read["stage"]] == ["generate", "merge", "read"]
    assert generate["rows"] == merged["rows"] == read["rows"] > 15_000
    assert read["peak_mb"] - generate["peak_mb"] < 16
    assert not list(tmp_path.iterdir())


OWN = {"id": "u", "path": "r0.wav", "start_sample": 0, "samples": 16_000, "terms": [["ion", 0.1, 0.5]]}
SAMPLE = {"segment_id": "p", "audio": "r0.wav", "begin_time": 1.0, "end_time": 2.0, "ground_truth_term": ["ion"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OWN, OWN | {"start_sample": 16_000}),
        (OWN, OWN | {"samples": 8_000}),
        (OWN, OWN | {"terms": [["ion", 0.2, 0.5]]}),
        (OWN, OWN | {"terms": []}),
        (SAMPLE, SAMPLE | {"ground_truth_term": ["atom"]}),
        (SAMPLE, SAMPLE | {"begin_time": 0.5}),
        (SAMPLE, SAMPLE | {"end_time": 2.5}),
        (SAMPLE, SAMPLE | {"audio": "r0.wav:0:16000"}),
        (row("s"), row("s") | {"term_start_time": 0.5}),
    ],
)
def test_rows_that_differ_in_stretch_or_terms_stay(
    tmp_path: Path, one: dict[str, object], other: dict[str, object]
) -> None:
    """In every schema only a row that is the same in audio, stretch and terms is a repetition."""
    (tmp_path / "a.json").write_text(json.dumps([one, other, one]))
    assert merge_rows([tmp_path / "a.json"], tmp_path / "out.json") == MergeCounts(2, 1, 0)


def test_audio_is_compared_where_it_lies(tmp_path: Path) -> None:
    """Equal relative paths of two folders are two files; one file by a relative, an absolute or a linked path is one."""
    for name, audio in (("a", "r0.wav"), ("b", "r0.wav"), ("c", str(tmp_path / "a/r0.wav")), ("d", "../link/r0.wav")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text(json.dumps(OWN | {"path": audio}))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    shards = [tmp_path / name for name in "abcd"]
    assert merge_rows(shards, tmp_path / "out.jsonl") == MergeCounts(2, 2, 0)
    assert [e.audio.parent.name for e in read_examples([tmp_path / "out.jsonl"])] == ["a", "b"]


def test_a_row_whose_audio_cannot_be_named_is_bad(tmp_path: Path) -> None:
    """It is listed, and its neighbours are merged."""
    rows = [OWN, OWN | {"path": "\ud800.wav"}, OWN | {"path": "a\0b"}, SAMPLE | {"audio": f"a.wav:0:{'9' * 30}"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = BadRows()
    assert merge_rows([tmp_path / "a.jsonl"], tmp_path / "out.jsonl", on_bad=told) == MergeCounts(1, 0, 3)
    assert [bad.number for bad in told.listed] == [2, 3, 4]
