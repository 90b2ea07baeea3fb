import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.corpus.given_rows import CHUNK
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import ManifestError, Word, read_manifest
from training.corpus.rows import ExampleFile, read_examples, write_examples

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
