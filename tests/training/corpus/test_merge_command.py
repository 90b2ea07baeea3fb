import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands.merge import merge
from streaming.errors import SettingError
from training.corpus.manifest import ManifestError
from training.corpus.merge import shards_without


def shard(path: Path, *segments: str) -> None:
    """A file of rows that have names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"segment_id": segment, "audio": "a.wav"} for segment in segments]))


def call(*arguments: str) -> Result:
    """Run the command; what it raises is raised here."""
    return CliRunner().invoke(merge, list(arguments), catch_exceptions=False)


@pytest.fixture(autouse=True)
def _shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shard(Path("xl/a_0.json"), "s1", "s2")
    shard(Path("xl/a_10.json"), "s4")
    shard(Path("xl/a_2.json"), "s2", "s3")


def test_shards_become_one_file() -> None:
    """In order, each row once; a report for machines and a sentence for people."""
    result = call("xl", "--out", "all.json", "--json")
    assert json.loads(result.stdout) == {
        "type": "MergeReport", "out": "all.json", "shards": 3, "rows": 4, "duplicates": 1, "bad": 0,
    }  # fmt: skip
    assert [row["segment_id"] for row in json.loads(Path("all.json").read_text())] == ["s1", "s2", "s3", "s4"]
    told = call("xl/a_0.json", "xl/a_2.json", "--out", "two.jsonl").stdout
    assert told == "3 rows of 2 shards in two.jsonl; 1 repeated, 0 that cannot be used\n"


def test_a_file_that_is_there_stays() -> None:
    """Nothing is overwritten."""
    Path("all.json").write_text("mine")
    with pytest.raises(SettingError, match=r"all.json is there and is not replaced"):
        call("xl", "--out", "all.json")
    assert Path("all.json").read_text() == "mine"


def test_test_rows_are_left_out() -> None:
    """By file; one that is no shard is refused, since a slip here would train on the test."""
    call("xl", "--out", "all.json", "--leave-out", "xl/../xl/a_2.json")
    assert [row["segment_id"] for row in json.loads(Path("all.json").read_text())] == ["s1", "s2", "s4"]
    with pytest.raises(SettingError, match=r"xl/a_3.json is none of the shards"):
        call("xl", "--out", "more.json", "--leave-out", "xl/a_3.json")
    with pytest.raises(SettingError, match="nothing remains"):
        shards_without([Path("xl/a_0.json")], [Path("xl/a_0.json")])


def test_bad_rows_are_told_and_too_many_refused() -> None:
    """The share is the user's to set; a refused merge leaves no file."""
    Path("xl/a_1.json").write_text('[{"text": "no name"}]')
    with pytest.raises(ManifestError, match=r"1 of 6 rows cannot be used, more than 5%"):
        call("xl", "--out", "all.json")
    assert not Path("all.json").exists()
    result = call("xl", "--out", "all.json", "--max-bad-share", "0.2")
    assert "left out: xl/a_1.json, row 1: it has neither segment_id nor id" in result.stderr
    assert "1 that cannot be used" in result.stdout
