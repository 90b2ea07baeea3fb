import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from training.corpus.manifest import ManifestError, Utterance, Word, read_audio, read_manifest

GOOD: dict[str, Any] = {
    "id": "u1",
    "path": "audio/u1.flac",
    "use": "train",
    "duration_s": 2.0,
    "speaker": 17,
    "collection": "readers",
    "words": [["The", 0.1, 0.3], ["term", 0.4, 0.9]],
}


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    """A manifest of rows; a string is written as it is."""
    path = folder / "manifest.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def test_rows_are_read_in_order(tmp_path: Path) -> None:
    """A row gives its utterance: paths beside the manifest, words in the alphabet and in samples."""
    first, second = read_manifest(write(tmp_path, GOOD, {**GOOD, "id": "u2"}))
    assert first == Utterance(
        "u1",
        tmp_path / "audio/u1.flac",
        "17",
        "readers",
        "train",
        2.0,
        (Word("the", 1_600, 4_800), Word("term", 6_400, 14_400)),
    )
    assert second.utterance_id == "u2"


def test_rows_of_synthesisers_need_less(tmp_path: Path) -> None:
    """Without collection, use and speaker a row is synthetic, for training and of its voice; words may be null."""
    (row,) = read_manifest(
        write(tmp_path, {"id": "k", "path": "k.flac", "duration_s": 1, "voice": "slt", "words": None})
    )
    assert (row.collection, row.use, row.speaker, row.words) == ("synthetic", "train", "slt", ())


def test_a_token_of_several_words_is_shared_by_letters(tmp_path: Path) -> None:
    """Each word of such a token has its part of the time, and signs that are not letters have none."""
    words = [["twenty-one", 1.0, 2.8], ["—", 2.8, 2.9]]
    (row,) = read_manifest(write(tmp_path, {**GOOD, "words": words}))
    assert row.words == (Word("twenty", 16_000, 35_200), Word("one", 35_200, 44_800))


def test_a_start_before_the_audio_is_clamped(tmp_path: Path) -> None:
    """Alignments of clipped speech begin a little before it; such a word starts with the audio."""
    (row,) = read_manifest(write(tmp_path, {**GOOD, "words": [["please", -0.05, 0.25]]}))
    assert row.words == (Word("please", 0, 4_000),)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("{not json", "JSONDecodeError"),
        ("", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ("7", "TypeError"),
        ({k: v for k, v in GOOD.items() if k != "path"}, "'path'"),
        ({**GOOD, "path": 3}, "TypeError"),
        ({**GOOD, "duration_s": "long"}, "long"),
        ({**GOOD, "words": 5}, "TypeError"),
        ({**GOOD, "words": [["one", 0.1]]}, "ValueError"),
        ({**GOOD, "words": [["one", "0.1", "0.2"]]}, "TypeError"),
        ({**GOOD, "words": [["one", None, None]]}, "TypeError"),
        ({**GOOD, "words": [["one", 0.3, 0.2]]}, "ends at 0.2"),
        ({**GOOD, "words": [["one", 0.3, float("nan")]]}, "nan"),
        ({**GOOD, "words": [["one", 0.3, float("inf")]]}, "cannot convert"),
    ],
)
def test_bad_rows_name_file_and_line(tmp_path: Path, bad: dict[str, Any] | str, named: str) -> None:
    """A row that cannot be used stops the reading with file, line and what is wrong; rows before it were given."""
    rows = read_manifest(write(tmp_path, GOOD, bad, GOOD))
    assert next(rows).utterance_id == "u1"
    with pytest.raises(ManifestError, match=r"manifest\.jsonl, line 2: ") as raised:
        next(rows)
    assert named in str(raised.value)


def test_rows_that_are_not_utf8_name_their_line(tmp_path: Path) -> None:
    """Another encoding is told like any other bad row."""
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"id": "caf\xe9"}\n')
    rows = read_manifest(path)
    next(rows)
    with pytest.raises(ManifestError, match="line 2"):
        next(rows)


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    """A manifest that is not there is a clear error."""
    with pytest.raises(ManifestError, match=r"absent\.jsonl: No such file"):
        next(read_manifest(tmp_path / "absent.jsonl"))


def utterance(path: Path) -> Utterance:
    """A row that names `path`."""
    return Utterance("u", path, "s", "c", "train", 1.0, ())


def test_audio_is_float32(tmp_path: Path) -> None:
    """Mono 16 kHz audio comes as float32 between -1 and 1."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, 0.5, -0.5]), 16_000)
    audio = read_audio(utterance(path))
    assert audio.dtype == np.float32
    np.testing.assert_allclose(audio, [0.0, 0.5, -0.5], atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(10), 8_000, "8000 Hz"),
        (np.zeros((10, 2)), 16_000, r"shape \(10, 2\)"),
        (np.array([0.0, np.nan]), 16_000, "NaN"),
        (np.array([0.0, np.inf]), 16_000, "infinite"),
        (np.zeros(0), 16_000, "no samples"),
    ],
)
def test_unusable_audio_is_refused(tmp_path: Path, samples: NDArray[np.float64], rate: int, message: str) -> None:
    """Another rate, several channels, nothing or numbers that are none are refused by file and value."""
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(ManifestError, match=rf"bad\.wav.*{message}"):
        read_audio(utterance(path))


@pytest.mark.parametrize("content", [None, b"no audio at all"])
def test_unreadable_audio_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing file or one of another kind is told with its path and the cure."""
    path = tmp_path / "lost.flac"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"lost\.flac: cannot be read.*remove its row"):
        read_audio(utterance(path))
