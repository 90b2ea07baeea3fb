import json
from pathlib import Path

import pytest

from app.commands.pipeline import pipeline
from app.commands.train import train
from streaming.errors import SettingError
from tests.training.loop.train_commands import Training, call
from training.corpus.manifest import ManifestError


@pytest.fixture
def shards(training: Training, rows: list[str], tmp_path: Path) -> Path:
    """The document's layout without its merged file: three shards, the second of test rows."""
    folder = tmp_path / "data/samples/xl"
    folder.mkdir(parents=True)
    train, test = (json.loads((tmp_path / name).read_text()) for name in ("train.json", "test.json"))
    for name, part in (("0_500000", train[:2]), ("500000_1000000", test), ("1000000_1500000", train[1:])):
        placed = [row | {"audio": f"../../../{row['audio']}"} for row in part]
        (folder / f"term_level_chunks_{name}.json").write_text(json.dumps(placed))
    (folder / "notes.json").write_text("[]")
    (tmp_path / "data/terms").mkdir()
    (tmp_path / "glossary.json").rename(tmp_path / "data/terms/glossary_filtered.json")
    (tmp_path / "data/terms/alt2main.json").write_text("{}")
    return folder


IN_LAYOUT = ("--preset", "standard", "--skip", "train", "--skip", "evaluate", "--skip", "export")


def test_shards_are_merged_where_the_merged_file_is_missing(shards: Path, tmp_path: Path) -> None:
    """In the order of their numbers, each row once, without the test shard, and told; a second run merges nothing."""
    merged_file = tmp_path / "data/xl_term_level_chunks_merged.json"
    told = call(pipeline, *IN_LAYOUT).stderr
    assert "stage 1 of 2, merge" in told
    test_shard = "data/samples/xl/term_level_chunks_500000_1000000.json"
    assert f"merging 2 shards into data/xl_term_level_chunks_merged.json, without {test_shard}: test rows" in told
    assert [row["segment_id"] for row in json.loads(merged_file.read_text())] == ["r0", "r1", "r2", "r3"]
    (log,) = tmp_path.glob("logs/qwen2_audio_term_level_pipeline_*.log")
    assert f"merged.json, without {test_shard}: test rows; 1 repeated, 0 bad" in log.read_text()
    assert "8 rows checked, 0 cannot be used" in log.read_text()
    merged_file.write_text("[]")
    call(pipeline, *IN_LAYOUT, "--skip", "check")
    assert merged_file.read_text() == "[]"


def test_merging_can_be_left_out(shards: Path, tmp_path: Path) -> None:
    """--skip merge, and `termcue train`, which never merges, name the missing file and the cure."""
    for command, skip in ((pipeline, [*IN_LAYOUT[2:], "--skip", "merge"]), (train, [])):
        with pytest.raises(SettingError, match=r"merged.json does not exist; .*merge its shards with termcue pipeline"):
            call(command, *skip)
    assert not (tmp_path / "data/xl_term_level_chunks_merged.json").exists()


def test_the_documents_test_shard_is_never_merged(shards: Path, tmp_path: Path) -> None:
    """Also where another shard holds the test rows: the merged file outlives the run."""
    other = "data/samples/xl/term_level_chunks_0_500000.json"
    told = call(pipeline, *IN_LAYOUT, "--test-samples", other, "--skip", "check").stderr
    assert (
        "without data/samples/xl/term_level_chunks_0_500000.json and data/samples/xl/term_level_chunks_500000" in told
    )
    rows = json.loads((tmp_path / "data/xl_term_level_chunks_merged.json").read_text())
    assert [row["segment_id"] for row in rows] == ["r1", "r2", "r3"]


def test_a_test_shard_alone_makes_no_training_file(shards: Path) -> None:
    """There is nothing to train on, which is said before anything is written."""
    for name in ("0_500000", "1000000_1500000"):
        (shards / f"term_level_chunks_{name}.json").unlink()
    with pytest.raises(SettingError, match=r"merged.json does not exist; give another to --train\.$"):
        call(pipeline, *IN_LAYOUT)


def test_too_many_bad_rows_leave_no_merged_file(shards: Path, tmp_path: Path) -> None:
    """The share is that of --max-bad-share, and the first reason is named."""
    (shards / "term_level_chunks_0_500000.json").write_text('[{"x": 1}]')
    with pytest.raises(ManifestError, match=r"1 of 4 rows cannot be used, more than 5%.*neither segment_id nor id"):
        call(pipeline, *IN_LAYOUT)
    assert not (tmp_path / "data/xl_term_level_chunks_merged.json").exists()
    assert "1 row cannot be used, the first" in call(pipeline, *IN_LAYOUT, "--max-bad-share", "0.3").stderr
