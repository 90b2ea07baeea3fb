import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from app.commands.validate_audio import validate_audio
from training.corpus.audio_checks import check_all
from training.corpus.manifest import ManifestError

NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 16_000).astype(np.float32)
BAD = {
    "absent.wav": "is not there",
    "channels.wav": "has 2 channels",
    "infinite.wav": "NaN or infinite",
    "long.wav": "lasts 31.000 s",
    "no_audio.wav": "cannot be read",
    "rate.wav": "has 8000 Hz, not 16000",
    "short.wav": "lasts 0.009 s",
    "silent.wav": "is silent",
    "torn.flac": "is cut off",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good files and one of each kind of bad ones but the missing one."""
    sounds = {
        "good.wav": NOISE,
        "deep/good.flac": NOISE,
        "channels.wav": np.stack([NOISE, NOISE], 1),
        "infinite.wav": np.where(np.arange(16_000) == 77, np.nan, NOISE),
        "long.wav": np.tile(NOISE, 31),
        "short.wav": NOISE[:150],
        "silent.wav": NOISE * 1e-3,
        "torn.flac": np.tile(NOISE, 4),
    }
    (tmp_path / "deep").mkdir()
    for name, sound in sounds.items():
        subtype = "PCM_16" if name.endswith(".flac") else "FLOAT"
        soundfile.write(tmp_path / name, sound, 16_000, subtype=subtype)
    soundfile.write(tmp_path / "rate.wav", NOISE, 8_000)
    (tmp_path / "no_audio.wav").write_bytes(b"no audio at all")
    torn = (tmp_path / "torn.flac").read_bytes()
    (tmp_path / "torn.flac").write_bytes(torn[: len(torn) // 2])
    (tmp_path / "readme.txt").write_text("no audio, and not asked about")
    return tmp_path


@pytest.mark.parametrize("workers", [1, 7])
def test_each_kind_of_bad_audio_has_its_reason(folder: Path, workers: int) -> None:
    """Files of a folder at any depth and files by name are checked, in order, whatever the number of threads."""
    found = list(check_all([folder / "absent.wav", folder], workers))
    assert found.count(None) == 2
    bad = [result for result in found if result is not None]
    assert [Path(result.name).name for result in bad] == sorted(BAD)
    for result in bad:
        assert any(part in result.reason for part in BAD[Path(result.name).name].split("|"))


def test_rows_are_checked_as_far_as_they_use_their_audio(folder: Path) -> None:
    """A stretch of a long file is fine, one beyond its end is not, and a bad row stands for itself."""
    rows = [
        {"id": "a", "path": "long.wav", "start_sample": 16_000, "samples": 16_000, "terms": []},
        {"id": "b", "path": "long.wav", "start_sample": 480_000, "samples": 32_000, "terms": []},
        {"id": "c", "path": "long.wav"},
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    good, late, bad = check_all([path])
    assert good is None
    assert late is not None
    assert late.name.endswith("long.wav:480000:32000")
    assert "has 496000 samples, too few" in late.reason
    assert bad is not None
    assert bad.name.endswith("rows.jsonl, row 3")


def test_segments_are_checked(folder: Path) -> None:
    """The table of a corpus is read too; its bad lines are named."""
    header = "id\taudio\tn_frames\tspeaker\tsrc_text\tsrc_lang\n"
    path = folder / "train.tsv"
    path.write_text(f"{header}a\tlong.wav:0:16000\t16000\ts\tx\ten\na\tsilent.wav\t16000\ts\tx\ten\nshort\n")
    good, silent, bad = check_all([path])
    assert good is None
    assert silent is not None
    assert silent.reason == "is silent"
    assert bad is not None
    assert bad.name.endswith("train.tsv, line 4")


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    """An empty folder and a missing file of rows are told, not passed as fine."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="empty holds no"):
        list(check_all([tmp_path / "empty"]))
    with pytest.raises(ManifestError, match="no audio is named"):
        list(check_all([]))


def test_the_command_lists_bad_files_and_fails(folder: Path) -> None:
    """One line per bad file and exit status 1; as JSON, objects with a report at the end; 0 where all is well."""
    ran = CliRunner().invoke(validate_audio, [str(folder), "--json"])
    assert ran.exit_code == 1
    *bad, report = map(json.loads, ran.stdout.splitlines())
    assert {row["type"] for row in bad} == {"BadAudio"}
    assert (report["type"], report["files"], report["bad"]) == ("AudioReport", 10, len(bad)) == ("AudioReport", 10, 8)
    ran = CliRunner().invoke(validate_audio, [str(folder / "silent.wav")])
    assert ran.stdout == f"{folder / 'silent.wav'}: is silent\n"
    ran = CliRunner().invoke(validate_audio, [str(folder / "good.wav"), str(folder / "deep")])
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "2 files checked" in ran.stderr


def test_terms_pipes_cut_and_missing_files_are_listed(folder: Path) -> None:
    """A row whose term ends after its audio, one of a pipe, of a file cut short, and one of a file that is not there."""
    whole = folder / "whole.wav"
    soundfile.write(whole, NOISE, 16_000, subtype="PCM_16")
    (folder / "cut.wav").write_bytes(whole.read_bytes()[:1_000])
    os.mkfifo(folder / "pipe.wav")
    rows = [
        {"id": "a", "path": "whole.wav", "terms": [["beam", 0.1, 5.0]]},
        {"id": "b", "path": "pipe.wav", "terms": []},
        {"id": "c", "path": "cut.wav", "terms": []},
        {"id": "d", "path": "absent.wav", "terms": []},
        {"segment_id": "e", "audio": "absent.wav", "ground_truth_term": ["ion"]},
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(check_all([path]))
    for bad, said in zip(
        found, ["'beam' ends at 5.000 s", "no regular file", "is cut off", "is not there", "is not there"], strict=True
    ):
        assert bad is not None
        assert said in bad.reason
