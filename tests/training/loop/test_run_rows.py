from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import key_of
from training.corpus.rows import write_examples
from training.loop.config import DataConfig
from training.loop.loading import TooManyBadRowsError
from training.loop.run_rows import gather_rows, reopen_rows


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Four usable rows, one of them without a term; lengths are in the rows or only in the files."""
    audio = tmp_path / "a.wav"
    soundfile.write(audio, np.random.default_rng(0).standard_normal(48_000) * 0.1, 16_000)
    rows = [
        Example("one", audio, 0, 16_000, "an ion", (TermSpan("Ion", 0, 8_000),)),
        Example("two", audio, 8_000, 0, "a lattice", (TermSpan("lattice", 0, 8_000),)),
        Example("three", audio, 0, 0, "ions", (TermSpan("ions", 0, 8_000),)),
        Example("none", audio, 0, 20_000, "nothing", ()),
    ]
    write_examples(tmp_path / "rows.jsonl", rows)
    return DataConfig(train=(tmp_path / "rows.jsonl",), max_bad_share=0.5)


def group_of(form: str) -> int:
    """Plurals belong to their singular."""
    return key_of(form.removesuffix("s"))


def test_rows_are_gathered_with_their_lengths(data: DataConfig, tmp_path: Path) -> None:
    """Rows, lengths, marks and terms are kept; a row without a length has that of its file."""
    rows = gather_rows(data, group_of, tmp_path / "run" / "train.jsonl")
    assert [e.example_id for e in rows.examples] == ["one", "two", "three", "none"]
    assert rows.lengths.samples.tolist() == [16_000, 40_000, 48_000, 20_000]
    assert rows.lengths.no_term.tolist() == [False, False, False, True]
    assert rows.terms == ("ion", "lattice", "ions")
    assert rows.groups == {key_of("ion"), key_of("lattice")}


def test_other_ranks_open_the_same(data: DataConfig, tmp_path: Path) -> None:
    """What one rank wrote, another reads without the sources."""
    path = tmp_path / "run" / "train.jsonl"
    written = gather_rows(data, group_of, path)
    data.train[0].unlink()
    opened = reopen_rows(path)
    assert list(opened.examples) == list(written.examples)
    assert opened.lengths.samples.tolist() == written.lengths.samples.tolist()
    assert (opened.groups, opened.terms) == (written.groups, written.terms)


def test_rows_without_a_term_can_be_left_out(data: DataConfig, tmp_path: Path) -> None:
    """With no-term rows off, only rows with a term remain."""
    rows = gather_rows(replace(data, no_term=False), group_of, tmp_path / "train.jsonl")
    assert not rows.lengths.no_term.any()
    assert len(rows.examples) == 3


def test_rejection_needs_rows_without_a_term(data: DataConfig, tmp_path: Path) -> None:
    """No-term rows on and none there is refused, with the option that goes without."""
    lines = data.train[0].read_text("utf-8").splitlines()
    data.train[0].write_text("\n".join(lines[:3]) + "\n", "utf-8")
    with pytest.raises(SettingError, match="--no-no-term"):
        gather_rows(data, group_of, tmp_path / "train.jsonl")


def test_nothing_to_find_is_refused(data: DataConfig, tmp_path: Path) -> None:
    """Rows without any term are no training, and the file is named."""
    lines = data.train[0].read_text("utf-8").splitlines()
    data.train[0].write_text(lines[3] + "\n", "utf-8")
    with pytest.raises(SettingError, match=r"rows\.jsonl holds a term"):
        gather_rows(data, group_of, tmp_path / "train.jsonl")


def test_bad_rows_are_listed(data: DataConfig, tmp_path: Path) -> None:
    """A line that is no JSON and a missing file are left out and written down, each with its reason."""
    missing = Example("gone", tmp_path / "gone.wav", 0, 0, "ion", (TermSpan("ion", 0, 900),))
    write_examples(tmp_path / "more.jsonl", [missing])
    bad = tmp_path / "bad.jsonl"
    bad.write_text(data.train[0].read_text("utf-8") + "{not json\n" + (tmp_path / "more.jsonl").read_text("utf-8"))
    rows = gather_rows(replace(data, train=(bad,)), group_of, tmp_path / "run" / "train.jsonl")
    assert len(rows.examples) == 4
    reasons = (tmp_path / "run" / "train.left-out.txt").read_text("utf-8").splitlines()
    assert len(reasons) == 2
    assert "bad.jsonl, row 5" in reasons[0]
    assert "gone.wav" in reasons[1]


def test_too_many_bad_rows_end_it(data: DataConfig, tmp_path: Path) -> None:
    """Above the share that is allowed nothing is trained, and the first reason is told."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text(data.train[0].read_text("utf-8") + "{not json\n" * 3)
    with pytest.raises(TooManyBadRowsError, match=r"3 of 7 rows .* row 5"):
        gather_rows(replace(data, train=(bad,), max_bad_share=0.1), group_of, tmp_path / "train.jsonl")
