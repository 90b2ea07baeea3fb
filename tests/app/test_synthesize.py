import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.commands.synthesize import synthesize
from streaming.errors import TermCueError
from training.corpus.rows import read_examples
from training.speech import speech_commands
from training.speech.speech_commands import SpeechCommand

SYNTHESISER = """
import sys, wave
text, out = sys.argv[1:]
with wave.open(out, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(b"\\x00\\x20\\x00\\xe0" * (400 * len(text)))
"""


@pytest.fixture
def template(tmp_path: Path) -> str:
    """A command line of a synthesiser that buzzes."""
    script = tmp_path / "buzz.py"
    script.write_text(SYNTHESISER, "utf-8")
    return f"{sys.executable} {script} {{text}} {{out}}"


def run(*arguments: object) -> Result:
    """The command with its arguments."""
    return CliRunner().invoke(synthesize, [str(argument) for argument in arguments])


def report_of(result: Result) -> dict[str, Any]:
    """What --json prints: one line, nothing else."""
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    return dict(json.loads(line))


def test_terms_are_spoken_as_they_are_read(template: str, tmp_path: Path) -> None:
    """Digits, accents and acronyms are read out; the row keeps the term as it is written; what cannot be said is told."""
    terms = tmp_path / "terms.txt"
    terms.write_text("SQL\nnaïve Bayes\nGPT-4\n★\nSQL\n", "utf-8")
    out = tmp_path / "out"
    report = report_of(run("--terms", terms, "--out", out, "--command", template, "--no-term-share", 0.25, "--json"))
    assert report["unspeakable_terms"] == ["★"]
    assert (report["lines"], report["new"], report["kept"], report["new_no_term"]) == (4, 4, 0, 1)
    examples = list(read_examples([Path(report["manifest"])]))
    assert [span.term for example in examples for span in example.terms] == ["SQL", "naïve Bayes", "GPT-4"]
    assert all(reading in e.text for reading, e in zip(["s q l", "naive bayes", "g p t four"], examples, strict=False))


def test_a_glossary_is_spoken_with_its_aliases(template: str, tmp_path: Path) -> None:
    """A table's terms and the aliases of alt2main.json are all said."""
    table, aliases = tmp_path / "terms.csv", tmp_path / "alt2main.json"
    table.write_text("term,de\nneural network,Neuronales Netz\nion,Ion\n", "utf-8")
    aliases.write_text('{"neural nets": "neural network"}', "utf-8")
    out = tmp_path / "out"
    result = run("--glossary", table, "--aliases", aliases, "--out", out, "--command", template, "--no-term-share", 0)
    assert result.exit_code == 0
    assert result.stdout.startswith("3 lines: 3 spoken now (0 without a term, ")
    said = {span.term for example in read_examples([out / "manifest.jsonl"]) for span in example.terms}
    assert said == {"neural network", "neural nets", "ion"}


def test_a_second_run_adds(template: str, tmp_path: Path) -> None:
    """Sentences and copies given later are added to what is there, several at once."""
    terms, sentences, out = tmp_path / "terms.txt", tmp_path / "talk.txt", tmp_path / "out"
    terms.write_text("ion\n", "utf-8")
    sentences.write_text("an ion of [helium] is here\nnothing to find\n", "utf-8")
    common = ("--terms", terms, "--out", out, "--command", template, "--no-term-share", 0, "--json", "--jobs", 2)
    assert report_of(run(*common))["new"] == 1
    report = report_of(run(*common, "--sentences", sentences, "--copies", 2))
    assert (report["lines"], report["new"], report["kept"], report["new_no_term"]) == (6, 5, 1, 2)
    spans = [[span.term for span in example.terms] for example in read_examples([out / "manifest.jsonl"])]
    assert spans.count(["ion", "helium"]) == spans.count([]) == spans.count(["ion"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "nothing to say"),
        (("--sentences", "s.txt", "--aliases", "a.json"), "give --glossary too"),
        (("--sentences", "s.txt", "--voice", "hal"), "no voice 'hal'"),
        (("--sentences", "s.txt", "--speed", "0.1", "1"), "--speed"),
        (("--sentences", "s.txt", "--noise", "nan"), "--noise"),
    ],
)
def test_wrong_usage_is_told(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wrong option ends with 2 and says which, before anything is written."""
    monkeypatch.chdir(tmp_path)
    Path("s.txt").write_text("good morning\n", "utf-8")
    result = run(*arguments, "--out", "out")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not Path("out").exists()


def test_a_missing_file_or_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any synthesiser, and for a file that is not there, the error says what to do."""
    absent = SpeechCommand("absent", "no-such-synthesiser {text} {out}", "on Debian: apt install nosuch")
    monkeypatch.setattr(speech_commands, "VOICES", {"absent": absent})
    terms = tmp_path / "terms.txt"
    result = run("--terms", terms, "--out", tmp_path / "out")
    assert isinstance(result.exception, TermCueError)
    assert "cannot read" in str(result.exception)
    terms.write_text("ion\n", "utf-8")
    result = run("--terms", terms, "--out", tmp_path / "out")
    assert isinstance(result.exception, TermCueError)
    assert "no speech synthesiser is installed; on Debian: apt install espeak-ng flite" in str(result.exception)
    assert run("--list-voices").stdout == "absent  (not installed; on Debian: apt install nosuch)\n"


def test_installed_voices_are_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    """Without a choice every built-in voice whose program is there speaks; what is left out is told beside."""
    voices = {name: SpeechCommand(name, template) for name in ("one", "two")}
    absent = SpeechCommand("absent", "no-such-synthesiser {text} {out}")
    monkeypatch.setattr(speech_commands, "VOICES", {**voices, "absent": absent})
    terms = tmp_path / "terms.txt"
    terms.write_text("ion\n★\n", "utf-8")
    result = run("--terms", terms, "--out", tmp_path / "out", "--copies", 2)
    assert result.exit_code == 0
    assert "1 term cannot be said in a-z and left out: '★'" in result.stderr
    speakers = {example.speaker for example in read_examples([tmp_path / "out/manifest.jsonl"])}
    assert speakers == {"one", "two"}


def test_failed_lines_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    """A line that cannot be spoken is listed on standard output, with its voice and text."""
    sentences = tmp_path / "talk.txt"
    sentences.write_text("\n".join(["go", *(f"{'very ' * i}good" for i in range(20))]), "utf-8")
    script = tmp_path / "buzz.py"
    script.write_text("import sys\nif sys.argv[1] == 'go': sys.exit('no')\n" + SYNTHESISER, "utf-8")
    result = run("--sentences", sentences, "--out", tmp_path / "out", "--command", template, "--no-term-share", 0)
    assert result.exit_code == 0
    assert "failed    command-1 failed on 'go' (exit status 1): no" in result.stdout
    assert "21 lines: 20 spoken now (20 without a term, " in result.stdout
    assert result.stdout.strip().endswith("0 there already, 1 failed")
