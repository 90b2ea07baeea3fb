"""`termcue glossaries`: versions are compared, exported, rolled back and pruned; results go to standard output."""

import json
from pathlib import Path

import pytest

from app.cli import run
from app.commands.glossary_versions import EXPORT_KINDS
from index_builder.export import EXPORT_KINDS as KINDS
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.publish import current, load_entries, load_version, publish
from index_builder.testing import built_index
from streaming.model_folder import BUNDLED, ModelFolder

FIRST, SECOND, THIRD = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2, 3))
ROWS = ("term,de\nplague,Pest\ncalamity,Not\n", "term,de\nplague,Seuche\nion,Ion\n", "term,de\nplague,Seuche\n")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with three versions of one glossary, by another encoder than the bundled one."""
    for text, version in zip(ROWS, (FIRST, SECOND, THIRD), strict=True):
        publish(tmp_path, "talks", *built_index(text, version, "talks"))
    return tmp_path


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_versions_are_compared(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signs for a human, one object a line for a script; the sum goes to standard error."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "diff", "talks", FIRST, SECOND, *given]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "~ talks:000001  plague",
        "    translation_de: 'Pest' -> 'Seuche'",
        "~ talks:000002  ion",
        "    term: 'calamity' -> 'ion'",
        "    translation_de: 'Not' -> 'Ion'",
    ]
    assert run(["glossaries", "diff", "talks", SECOND, "--json", *given]) == 0
    told = capsys.readouterr()
    assert [json.loads(line)["type"] for line in told.out.splitlines()] == ["Removed"]
    assert f"{SECOND} -> {THIRD}: 0 added, 1 removed, 0 changed" in told.err


def test_unknown_version_lists_what_is_there(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the versions in the sentence; what is no version at all is wrong usage."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "diff", "talks", "20251014T091201Z-0123456789ab", *given]) == 1
    assert f"it has: {FIRST}, {SECOND}, {THIRD}; `termcue glossaries show talks` lists" in capsys.readouterr().err
    assert run(["glossaries", "export", "talks", "../x", *given]) == 2


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_export_comes_back_as_the_same_entries(data_dir: Path, tmp_path: Path, kind: str) -> None:
    """What is written is read as what was published, by the suffix of the file alone."""
    assert EXPORT_KINDS == KINDS
    out = tmp_path / f"talks.{kind}"
    assert run(["glossaries", "export", "talks", SECOND, "--out", str(out), "--data-dir", str(data_dir)]) == 0
    read = assemble("talks", [parse_glossary(GlossaryFile(out, out.read_bytes()), Languages())])
    published = load_entries(current(data_dir, "talks").with_name(SECOND))
    assert [each.entry for each in read.entries] == list(published)


def test_export_to_standard_output(data_dir: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Bytes as they are, CSV unless told; a file name that tells nothing needs a format."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "export", "talks", *given]) == 0
    assert "Seuche" in capfdbinary.readouterr().out.decode("utf-8-sig")
    assert run(["glossaries", "export", "talks", "--out", str(data_dir / "x.doc"), *given]) == 2
    assert run(["glossaries", "export", "talks", "--out", str(data_dir / "no" / "x.csv"), *given]) == 1


def test_rollback_needs_a_version_that_the_model_can_search(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of another encoder is refused, and the pointer stays; with the right model it moves."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "rollback", "talks", *given]) == 1
    assert "was built by the encoder 'hash-encoder'" in capsys.readouterr().err
    assert current(data_dir, "talks").name == THIRD
    folder = ModelFolder.load(BUNDLED)
    object.__setattr__(folder, "encoder_id", "hash-encoder")
    monkeypatch.setattr("app.loaded_model.load_folder", lambda _: folder)
    assert run(["glossaries", "rollback", "talks", *given]) == 0
    assert _lines(capsys) == [f"talks: {THIRD} -> {SECOND}"]
    assert run(["glossaries", "rollback", "talks", FIRST, "--json", *given]) == 0
    assert json.loads(_lines(capsys)[0]) == {"type": "Rollback", "id": "talks", "from": SECOND, "to": FIRST}


def test_prune_tells_what_stays_because_it_is_used(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Removed and used versions are told apart, for a human and for a script."""
    given = ["--data-dir", str(data_dir), "--keep", "1"]
    index = load_version(current(data_dir, "talks").with_name(FIRST), "hash-encoder")
    assert run(["glossaries", "prune", "talks", *given]) == 0
    assert _lines(capsys) == [f"removed  {SECOND}", f"in use   {index.version}"]
    assert run(["glossaries", "prune", "talks", "--json", *given]) == 0
    assert json.loads(_lines(capsys)[0]) == {"type": "Pruned", "id": "talks", "removed": [], "in_use": [FIRST]}
    assert run(["glossaries", "prune", "talks", "--data-dir", str(data_dir)]) == 2


def test_versions_are_looked_for_where_the_settings_say(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A variable names the folder of every command of `glossaries`; a flag wins over it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMCUE_DATA_DIR", str(data_dir))
    assert run(["glossaries", "prune", "talks", "--keep", "1"]) == 0
    assert _lines(capsys) == [f"removed  {FIRST}", f"removed  {SECOND}"]
    assert run(["glossaries", "list", "--data-dir", str(tmp_path / "other")]) == 0
    assert _lines(capsys) == []


def test_beginning_of_a_version_names_it(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If no other begins so; what several versions share, or none begins with, is answered with where to look."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "diff", "talks", FIRST[:15], SECOND[:15], *given]) == 0
    assert f"{FIRST} -> {SECOND}" in capsys.readouterr().err
    assert run(["glossaries", "diff", "talks", FIRST[:14], *given]) == 2
    told = capsys.readouterr().err
    assert f"begin with '{FIRST[:14]}': {FIRST}, {SECOND}, {THIRD}; `termcue glossaries show talks` lists" in told
    assert run(["glossaries", "diff", "talks", "2025", *given]) == 1
    assert "has no version 2025" in capsys.readouterr().err
    for name in ("", "..", "yesterday"):
        assert run(["glossaries", "diff", "talks", name, *given]) == 2
        assert "`termcue glossaries show talks` lists them" in capsys.readouterr().err


def test_prune_that_removes_nothing_says_why(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All are among the newest, or what is older is the current one, or used."""
    given = ["--data-dir", str(data_dir)]
    assert run(["glossaries", "prune", "talks", "--keep", "3", *given]) == 0
    assert "nothing was removed of talks, which has 3 versions: the newest 3 stay\n" in capsys.readouterr().err
    (data_dir / "glossaries" / "talks" / "CURRENT").write_text(f"{FIRST}\n")
    index = load_version(current(data_dir, "talks").with_name(SECOND), "hash-encoder")
    assert run(["glossaries", "prune", "talks", "--keep", "1", *given]) == 0
    told = capsys.readouterr().err
    assert f"the newest 1 stays, {FIRST} is the current one and 1 older one is used by running processes" in told
    assert index.version == SECOND


def test_show_tells_what_reindex_told(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rejected rows, warnings and sums of the current version, then all versions; in JSON too."""
    given = ["--data-dir", str(data_dir)]
    version = "20261014T091204Z-0123456789ab"
    publish(data_dir, "talks", *built_index("term,de,colour\nplague,Pest,red\n!?,x,\n", version, "talks"))
    assert run(["glossaries", "show", "talks", *given]) == 0
    read, rejected, warning, sums, *versions = _lines(capsys)
    assert read == "read      terms.csv: a table parted by commas, UTF-8"
    assert rejected == "rejected  terms.csv line 3: '!?': the term has no letter or digit"
    assert warning.startswith("warning   terms.csv: the column 'colour' is not known")
    assert sums.startswith("2 rows: 1 entry (1 spoken form), 0 merged, 1 rejected; ")
    assert versions == [f"  {FIRST}", f"  {SECOND}", f"  {THIRD}", f"* {version}"]
    assert run(["glossaries", "show", "talks", "--json", *given]) == 0
    shown = json.loads(_lines(capsys)[0])
    assert [row["line"] for row in shown["rejected"]] == [3]
    assert shown["findings"] == {"unknown_column": 1}
    assert shown["versions"] == [FIRST, SECOND, THIRD, version]
