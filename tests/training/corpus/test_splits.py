from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.glossary import TrainingGlossary, TrainingTerm
from training.corpus.keys import normal_form
from training.corpus.splits import LeakError, SplitConfig, Splitter, check_leaks


def example(number: int, recording: str, speaker: str = "", terms: tuple[str, ...] = ()) -> Example:
    """A row of its own audio."""
    spans = tuple(TermSpan(term, 0, 100) for term in terms)
    return Example(f"e{number}", Path(f"{number}.wav"), 0, 0, "", spans, (), recording, speaker)


@pytest.fixture
def rows() -> list[Example]:
    """2,000 rows of 200 recordings and 150 speakers, some of them on several recordings, and 300 terms."""
    rng = np.random.default_rng(2)
    speakers = [f"s{i}" for i in rng.integers(0, 150, 200)]
    found = []
    for i in range(2_000):
        recording = int(rng.integers(200))
        terms = tuple(f"Term {t}" for t in rng.integers(0, 300, rng.integers(0, 3)))
        found.append(example(i, f"r{recording}", speakers[recording], terms))
    return found


def test_parts_share_no_recording_and_no_speaker(rows: list[Example]) -> None:
    """Each recording and each speaker is in one part, and the parts have about their shares."""
    splitter = Splitter(rows, SplitConfig(0.1, 0.1, unseen_terms=0.0))
    parts = Counter(splitter.part_of(row) for row in rows)
    assert parts[None] == 0
    assert 120 < parts["dev"] < 300
    assert 120 < parts["test"] < 300
    for name in ("recording", "speaker"):
        assert len({(getattr(row, name), splitter.part_of(row)) for row in rows}) == len(
            {getattr(r, name) for r in rows}
        )


def test_unseen_terms_are_unseen(rows: list[Example]) -> None:
    """A term of test alone is in no row of training or dev, nor is an alias of it; the same for dev."""
    glossary = TrainingGlossary([TrainingTerm(f"Term {i}", aliases=(f"Term {i + 150}",)) for i in range(150)])
    splitter = Splitter(rows, SplitConfig(0.2, 0.2, unseen_terms=0.2), glossary.group_of)
    groups: dict[str, set[int]] = {}
    for row in rows:
        part = splitter.part_of(row)
        groups.setdefault(str(part), set()).update(glossary.group_of(span.term) for span in row.terms)
    homes = Counter(splitter.home_of(f"Term {i}") for i in range(150))
    assert 15 < homes["test"] < 50
    assert 15 < homes["dev"] < 50
    for i in range(150):
        home, group = splitter.home_of(f"Term {i}"), glossary.group_of(f"Term {i}")
        assert home == splitter.home_of(f"Term {i + 150}")
        for name in ("train", "dev", "test"):
            assert home in (None, name) or group not in groups[name]
    assert groups["test"] & groups["train"]
    assert groups["test"] - groups["train"]


def test_splits_do_not_change_by_order(rows: list[Example]) -> None:
    """The same rows in another order are split in the same way, another seed splits them otherwise."""
    config = SplitConfig(0.1, 0.1)
    one, other, reseeded = (
        Splitter(rows, config),
        Splitter(rows[::-1], config),
        Splitter(rows, SplitConfig(0.1, 0.1, seed=2)),
    )
    parts = [one.part_of(row) for row in rows]
    assert [other.part_of(row) for row in rows] == parts
    assert [reseeded.part_of(row) for row in rows] != parts
    assert one.home_of("Term-1") == one.home_of(normal_form("Term 1"))


def test_one_speaker_of_all_stays_in_training() -> None:
    """A set far larger than its share is no test set; rows that tell nothing are split by their audio."""
    rows = [example(i, f"r{i}", "always the same") for i in range(50)]
    splitter = Splitter(rows, SplitConfig(0.1, 0.1))
    assert {splitter.part_of(row) for row in rows} == {"train"}
    unknown = [example(i, "") for i in range(50)]
    splitter = Splitter(unknown, SplitConfig(0.2, 0.2))
    assert {splitter.part_of(row) for row in unknown} == {"train", "dev", "test"}


@pytest.mark.parametrize("setting", [{"dev": 0.5, "test": 0.5}, {"test": -0.1}, {"unseen_terms": 0.5}])
def test_shares_without_sense_are_refused(setting: dict[str, float]) -> None:
    """Something must be left to train on."""
    with pytest.raises(SettingError):
        SplitConfig(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (example(9, "r1"), r"1 recording \(r1\)"),
        (example(9, "x", "s1"), r"1 speaker \(s1\)"),
        (example(1, "x"), r"1 row \(e1\)"),
        (Example("other name", Path("1.wav"), 0, 0, "", ()), r"1 row \(other name\)"),
    ],
)
def test_leaks_are_refused_by_name(test: Example, said: str) -> None:
    """A recording, speaker, row or stretch of audio that training has is named; allowed, it is only told."""
    train = [example(i, f"r{i}", f"s{i}") for i in range(5)]
    with pytest.raises(LeakError, match=said + ".*--allow-leak"):
        check_leaks(train, [test])
    assert check_leaks(train, [test], allow_leak=True)


def test_disjoint_rows_are_no_leak() -> None:
    """Unknown speakers and recordings are not the same one."""
    assert not check_leaks([example(1, "r1", "s1"), example(2, "", "")], [example(3, "", ""), example(4, "r4", "s4")])
    many = [example(i, f"r{i}") for i in range(9)]
    assert "9 rows (e0, e1, e2, …); 9 recordings" in str(check_leaks(many, many, allow_leak=True))


def heard(name: str, audio: Path, start: int = 0, samples: int = 0) -> Example:
    """A row that tells of no recording and no speaker."""
    return Example(name, audio, start, samples, "", ())


def test_one_file_under_two_names_is_a_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative or absolute, through .. or through a link: it is the file that counts; nor is it split in two."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.wav").touch()
    (tmp_path / "link.wav").symlink_to("clips/a.wav")
    (tmp_path / "linked").symlink_to("clips")
    monkeypatch.chdir(tmp_path)
    test = heard("test", tmp_path / "clips/a.wav")
    for other in ("clips/a.wav", "clips/../clips/a.wav", "link.wav", "linked/a.wav"):
        with pytest.raises(LeakError, match=r"1 row \(test\)"):
            check_leaks([heard("train", Path(other))], [test])
    rows = [heard("x", Path("clips/a.wav")), heard("y", tmp_path / "linked/a.wav")]
    assert len({Splitter(rows, SplitConfig(0.4, 0.4, seed=s)).part_of(rows[1]) for s in range(3)}) >= 1
    assert not check_leaks([heard("train", Path("clips/b.wav"))], [test])


def test_overlapping_stretches_are_leaks_as_by_comparing_all() -> None:
    """Any two stretches with a sample in common, as every pair compared shows; neighbours share none."""
    rng = np.random.default_rng(7)

    def draw(kind: str, count: int) -> list[Example]:
        places = zip(rng.integers(0, 100, count), rng.integers(0, 12, count), strict=True)
        return [heard(f"{kind}{i}", Path("a.wav"), int(s), int(n)) for i, (s, n) in enumerate(places)]

    def end(row: Example) -> float:
        return row.start_sample + row.samples if row.samples else float("inf")

    for _ in range(40):
        train, test = draw("train", 3), draw("test", 8)
        expected = {
            t.example_id for t in test if any(t.start_sample < end(r) and r.start_sample < end(t) for r in train)
        }
        assert check_leaks(train, test, allow_leak=True).rows == expected
    assert not check_leaks([heard("a", Path("a.wav"), 0, 10)], [heard("b", Path("a.wav"), 10, 10)])
