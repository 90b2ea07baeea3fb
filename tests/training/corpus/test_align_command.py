import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from app.commands.align import align
from training.corpus.align import BOOKKEEPING
from training.corpus.mining import MiningError

TEXTGRID = """File type = "ooTextFile short"
"TextGrid"

0
2
<exists>
1
"IntervalTier"
"words"
0
2
3
0
1
"a"
1
1.5
"kalman"
1.5
2
"filter's"
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """One segment that says one alias."""
    soundfile.write(tmp_path / "u1.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 32_000), 16_000)
    (tmp_path / "u1.TextGrid").write_text(TEXTGRID)
    (tmp_path / "train.tsv").write_text(
        "id\taudio\tn_frames\tspeaker\tsrc_text\tsrc_lang\nu1\tu1.wav\t32000\ts\ta kalman filter\ten\n"
    )
    (tmp_path / "glossary.json").write_text(json.dumps({"linear quadratic estimator": {"term": "LQE filter"}}))
    (tmp_path / "alt2main.json").write_text(json.dumps({"kalman filter": "linear quadratic estimator"}))
    return tmp_path


def arguments(corpus: Path, *more: str) -> list[str]:
    """A command line that aligns it."""
    named = {"--textgrids": ".", "--glossary": "glossary.json", "--aliases": "alt2main.json", "--out": "out"}
    options = [text for option, name in named.items() for text in (option, str(corpus / name))]
    return [str(corpus / "train.tsv"), *options, *more]


def test_the_command_writes_rows_and_reports(corpus: Path) -> None:
    """An alias is found under its term; the counts are printed, as JSON if asked for, on a second run too."""
    ran = CliRunner().invoke(align, arguments(corpus, "--contexts"), catch_exceptions=False)
    assert ran.exit_code == 0
    assert "1 segment: 0 rejected, 0 without a term\n1 chunk with a term, 0 without\n1 context with terms" in ran.stdout
    (row,) = json.loads((corpus / "out" / "term_level_chunks.json").read_text())
    assert row["term_chunk_audio_ground_truth_terms"] == ["LQE filter"]
    ran = CliRunner().invoke(align, arguments(corpus, "--contexts", "--json"), catch_exceptions=False)
    report = json.loads(ran.stdout)
    assert (report["type"], report["lines"], report["chunks"], report["contexts"]) == ("AlignReport", 1, 1, 1)


def test_rejected_segments_are_found_by_what_is_said(corpus: Path) -> None:
    """The screen names the file that lists them; without any it names none."""
    assert "rejected segments" not in CliRunner().invoke(align, arguments(corpus), catch_exceptions=False).stderr
    table = corpus / "train.tsv"
    table.write_text(table.read_text().rstrip("\n") + "\nshort\n")
    options = arguments(corpus, "--max-bad-share", "0.9")
    options[options.index("--out") + 1] = str(corpus / "again")
    ran = CliRunner().invoke(align, options, catch_exceptions=False)
    listed = corpus / "again" / "align" / "rejected.jsonl"
    assert f"the rejected segments, each with its reason, are listed in {listed}" in " ".join(ran.stderr.split("\n"))
    assert len(listed.read_text().splitlines()) == 1


def test_mining_without_spacy_names_the_extra(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mining asks for its library before anything is written."""
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MiningError, match=r"'\.\[mining\]'"):
        CliRunner().invoke(align, arguments(corpus, "--mine"), catch_exceptions=False)
    assert not (corpus / "out").exists()


def test_mined_terms_are_terms(corpus: Path) -> None:
    """Terms that were mined before are looked for beside those of the glossary."""
    (corpus / "out" / BOOKKEEPING).mkdir(parents=True)
    (corpus / "out" / BOOKKEEPING / "mined_terms.json").write_text('[{"term": "kalman"}]')
    (corpus / "alt2main.json").write_text("{}")
    ran = CliRunner().invoke(align, arguments(corpus, "--mine", "--no-no-term"), catch_exceptions=False)
    assert ran.exit_code == 0
    (row,) = json.loads((corpus / "out" / "term_level_chunks.json").read_text())
    assert row["term_chunk_audio_ground_truth_terms"] == ["kalman"]


def test_a_table_of_terms_will_do(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A glossary in CSV is read as `termcue reindex` reads it, and a second run finds the rows of the first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(corpus / "cache"))
    (corpus / "terms.csv").write_text("term,de,aliases\nLQE filter,LQE-Filter,kalman filter\n", "utf-8")
    (corpus / "alt2main.json").write_text("{}")
    given = arguments(corpus, "--glossary", str(corpus / "terms.csv"), "--json")
    first, again = (CliRunner().invoke(align, given, catch_exceptions=False).stdout for _ in range(2))
    assert json.loads(first)["chunks"] == 1
    assert again == first
    (row,) = json.loads((corpus / "out" / "term_level_chunks.json").read_text())
    assert row["term_chunk_audio_ground_truth_terms"] == ["LQE filter"]


@pytest.mark.parametrize("bad", [["--context-seconds", "-1"], ["--no-term-ratio", "nan"], ["--audio-format", "mp3"]])
def test_settings_without_sense_are_wrong_usage(corpus: Path, bad: list[str]) -> None:
    """A setting out of its range ends with 2, and nothing is written."""
    assert CliRunner().invoke(align, arguments(corpus, *bad)).exit_code == 2
    assert not (corpus / "out").exists()
