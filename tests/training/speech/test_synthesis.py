import json
import sys
from pathlib import Path

import numpy as np
import pytest

from training.corpus.manifest import read_audio, read_manifest
from training.speech.speech_commands import VOICES, SpeechCommand, SynthesisError, speak, trim_silence
from training.speech.synthesis import CARRIERS, Part, main, parts_of, read_lines, synthesise

SYNTHESISER = """
import sys, wave
text, out = sys.argv[1:]
if text == "fail":
    sys.exit("cannot say it")
if text == "silent":
    letters = 0
else:
    letters = sum(c.isalpha() for c in text)
samples = [0] * 1600 + [8000, -8000] * (letters * 400) + [0] * 1600
with wave.open(out, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in samples))
"""
LETTER_S = 0.05
"""How long the synthesiser of these tests takes for a letter; 0.1 s of silence is around what it says."""


@pytest.fixture
def command(tmp_path: Path) -> SpeechCommand:
    """A synthesiser in Python: a buzz of 50 ms a letter between 0.1 s of silence."""
    script = tmp_path / "buzz synthesiser.py"
    script.write_text(SYNTHESISER, "utf-8")
    return SpeechCommand("buzz", f"'{sys.executable}' '{script}' {{text}} {{out}}")


def test_marked_terms_are_parts() -> None:
    """Brackets part a sentence; one without is spoken in one piece."""
    assert parts_of("We measured the [limit of detection] in June.") == (
        Part("We measured the", False),
        Part("limit of detection", True),
        Part("in June.", False),
    )
    assert parts_of("[ion]") == (Part("ion", True),)
    assert parts_of("a plain sentence") == (Part("a plain sentence", False),)


@pytest.mark.parametrize("line", ["in 2030 we stop", "100 %", "[]x", "a [ ] b", "", "?", "naïve"])
def test_what_would_be_read_otherwise_is_refused(line: str) -> None:
    """Digits, signs and empty marks have no known words, so their spans would lie."""
    with pytest.raises(SynthesisError, match="cannot be spoken"):
        parts_of(line)


def test_spans_are_measured(command: SpeechCommand, tmp_path: Path) -> None:
    """The span of a term is where its own speech was put, to the sample, though silence was around it."""
    out = tmp_path / "out"
    assert synthesise(["we say [limit of detection] twice"], [], [command], out, seed=4) == 1
    raw = json.loads((out / "manifest.jsonl").read_text("utf-8"))
    ((term, start, end),) = raw["terms"]
    assert term == "limit of detection"
    assert end - start == pytest.approx(16 * LETTER_S, abs=2e-6)
    assert [text for text, _, _ in raw["words"]] == ["we say", "limit of detection", "twice"]
    (row,) = read_manifest(out / "manifest.jsonl")
    assert [w.text for w in row.words] == ["we", "say", "limit", "of", "detection", "twice"]
    assert (row.speaker, row.collection, row.use) == ("buzz", "synthetic", "train")
    audio = read_audio(row)
    assert len(audio) == round(row.duration_s * 16_000)
    first, last = round(start * 16_000), round(end * 16_000)
    assert np.abs(audio[first:last]).min() > 0.05
    assert not audio[first - 100 : first].any()
    assert not audio[last : last + 100].any()


def test_bare_terms_are_carried(command: SpeechCommand, tmp_path: Path) -> None:
    """A term alone is spoken inside one of the carriers and is the row's only term."""
    synthesise([], ["ion", "saint giles"], [command], tmp_path / "out", seed=1, copies=3)
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 6
    assert len({row["id"] for row in rows}) == 6
    for row in rows:
        ((term, _, _),) = row["terms"]
        assert row["text"] in {f"{before} {term} {after}".strip() for before, after in CARRIERS}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_stopped_run_ends_the_same(command: SpeechCommand, tmp_path: Path) -> None:
    """A run killed while it wrote a row is taken up there, and its files are those of an unbroken run."""
    terms = ["ion", "gradient", "stochastic", "detection"]
    synthesise([], terms, [command], tmp_path / "whole", seed=2)
    synthesise([], terms[:3], [command], tmp_path / "broken", seed=2)
    manifest = tmp_path / "broken/manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    assert synthesise([], terms, [command], tmp_path / "broken", seed=2) == 2
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert synthesise([], terms, [command], tmp_path / "broken", seed=2) == 0


def test_a_failing_line_keeps_the_ones_before(command: SpeechCommand, tmp_path: Path) -> None:
    """A failure names voice, text and what the program said; rows already written are whole."""
    with pytest.raises(SynthesisError, match=r"buzz failed on 'fail' \(exit status 1\): cannot say it"):
        synthesise(["good morning", "fail"], [], [command], tmp_path / "out", seed=1)
    assert [row.words[0].text for row in read_manifest(tmp_path / "out/manifest.jsonl")] == ["good"]


def test_silence_is_no_speech(command: SpeechCommand) -> None:
    """A program that writes silence has said nothing."""
    with pytest.raises(SynthesisError, match="said nothing for 'silent'"):
        speak(command, "silent")


def test_a_missing_program_is_named_before_anything_is_written(tmp_path: Path) -> None:
    """The error names the program and the package that holds it."""
    absent = SpeechCommand("absent", "no-such-synthesiser {text} {out}", "nosuch-pkg")
    with pytest.raises(SynthesisError, match=r"'no-such-synthesiser' is not installed; .*apt install nosuch-pkg"):
        synthesise([], ["ion"], [absent], tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("template", ["espeak-ng {text}", "espeak-ng -w {out}", ""])
def test_templates_need_both_places(template: str) -> None:
    """A command that is not told what to say or where to write is refused."""
    with pytest.raises(SynthesisError, match="lacks"):
        SpeechCommand("v", template)


def test_text_is_one_argument() -> None:
    """No shell sees the text."""
    command = SpeechCommand("v", "say -o {out} {text}")
    assert command.arguments("a; rm -rf 'b'", Path("x.wav")) == ["say", "-o", "x.wav", "a; rm -rf 'b'"]


def test_built_in_voices_differ() -> None:
    """Each built-in voice has its own name and command and tells its Debian package."""
    assert len({command.template for command in VOICES.values()}) == len(VOICES)
    assert {command.package for command in VOICES.values()} == {"espeak-ng", "flite"}


def test_trimming_keeps_soft_speech() -> None:
    """What is 40 dB below the loudest stays, the silence around it goes."""
    tone = np.sin(np.arange(3_200)).astype(np.float32)
    quiet = np.zeros(1_600, np.float32)
    audio = np.concatenate([quiet, 0.01 * tone, tone, quiet]).astype(np.float32)
    np.testing.assert_array_equal(trim_silence(audio), audio[1_600:-1_600])
    assert len(trim_silence(quiet)) == 0
    assert len(trim_silence(quiet[:5])) == 0


def test_command_line(command: SpeechCommand, tmp_path: Path) -> None:
    """The module runs as a program on a text file with any synthesiser."""
    terms = tmp_path / "terms.txt"
    terms.write_text("\ufeffion\n\nsaint giles\n", "utf-8")
    main(["--terms", str(terms), "--out", str(tmp_path / "out"), "--command", command.template])
    assert len(list(read_manifest(tmp_path / "out/manifest.jsonl"))) == 2


@pytest.mark.parametrize("arguments", [[], ["--terms", "absent.txt"], ["--sentences", "empty.txt"]])
def test_command_line_says_what_is_missing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a line to say there is one sentence and exit status 1."""
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n", "utf-8")
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--out", "out"])
    assert stopped.value.code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not Path("out").exists()


def test_lines_are_read_without_empty_ones(tmp_path: Path) -> None:
    """No file means no lines."""
    path = tmp_path / "lines.txt"
    path.write_text(" one \n\ntwo", "utf-8")
    assert read_lines(path) == ["one", "two"]
    assert read_lines(None) == []
