import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from streaming.errors import SettingError
from streaming.symbols import words_of
from training.corpus.audio import read_stretch
from training.corpus.manifest import read_audio, read_manifest
from training.corpus.rows import read_examples
from training.speech.effects import Effects
from training.speech.script import SaidTerm, Script, parts_of
from training.speech.speech_commands import VOICES, SpeechCommand, SynthesisError
from training.speech.synthesis import Pace, read_lines, speak_parts, synthesise

LETTER_S = 0.05
"""How long the synthesiser of these tests takes for a letter; 0.1 s of silence is around what it says."""


def said(*terms: str) -> tuple[SaidTerm, ...]:
    """Terms spoken as they are written."""
    return tuple(SaidTerm(term, (term,)) for term in terms)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_spans_are_measured(command: SpeechCommand, tmp_path: Path) -> None:
    """The span of a term is where its own speech was put, to the sample, though silence was around it."""
    outcome = synthesise(Script(("we say [limit of detection] twice",), (), (command,), seed=4), tmp_path / "out")
    assert (outcome.new, outcome.kept, outcome.no_term, outcome.failed) == (1, 0, 0, [])
    (example,) = read_examples([tmp_path / "out/manifest.jsonl"])
    (span,) = example.terms
    assert span.term == "limit of detection"
    assert span.end_sample - span.start_sample == 16 * LETTER_S * 16_000
    assert [w.text for w in example.words] == ["we", "say", "limit", "of", "detection", "twice"]
    assert (example.words[2].start_sample, example.words[4].end_sample) == (span.start_sample, span.end_sample)
    assert (example.text, example.speaker) == ("we say limit of detection twice", "buzz")
    audio = read_stretch(example)
    assert len(audio) == example.samples == round(outcome.seconds * 16_000)
    first, last = span.start_sample, span.end_sample
    assert np.abs(audio[first:last]).min() > 0.03
    assert not audio[first - 100 : first].any()
    assert not audio[last : last + 100].any()


def test_one_manifest_serves_both_readers(command: SpeechCommand, tmp_path: Path) -> None:
    """The compact training reads the same file: the same words, audio and speaker."""
    synthesise(Script((), said("ion", "saint giles"), (command,), no_term_share=0.5), tmp_path)
    examples = list(read_examples([tmp_path / "manifest.jsonl"]))
    utterances = list(read_manifest(tmp_path / "manifest.jsonl"))
    assert len(examples) == len(utterances) == 4
    for example, utterance in zip(examples, utterances, strict=True):
        assert utterance.words == example.words
        assert (utterance.utterance_id, utterance.path) == (example.example_id, example.audio)
        assert (utterance.speaker, utterance.collection, utterance.use) == ("buzz", "synthetic", "train")
        np.testing.assert_array_equal(read_audio(utterance), read_stretch(example))
    assert [len(example.terms) for example in examples] == [1, 1, 0, 0]


def test_speed_scales_the_spans(command: SpeechCommand) -> None:
    """Twice as fast, a part lasts half as long, and its span with it."""
    parts = parts_of("we say [limit of detection] twice")
    line = speak_parts(parts, command, random.Random(1), speed=2.0)
    assert [end - start for _, start, end in line.spans] == [2_000, 6_400, 2_000]


def test_effects_keep_the_spans(command: SpeechCommand, tmp_path: Path) -> None:
    """Noise and room fill the gaps and move no span."""
    script = Script((), said("ion", "gradient"), (command,), copies=2)
    loud = Effects(noise_share=1.0, snr_db=(15.0, 20.0), reverb_share=1.0)
    synthesise(script, tmp_path / "clean")
    synthesise(Script((), script.terms, script.voices, copies=2, effects=loud), tmp_path / "noisy")
    clean = list(read_examples([tmp_path / "clean/manifest.jsonl"]))
    noisy = list(read_examples([tmp_path / "noisy/manifest.jsonl"]))
    for one, other in zip(clean, noisy, strict=True):
        (span,) = other.terms
        lengths = [s.end_sample - s.start_sample for s in (*one.terms, span)]
        assert lengths[0] == lengths[1]
        audio = read_stretch(other)
        assert audio[:800].any()
        inside, outside = audio[span.start_sample : span.end_sample], audio[-1_000:]
        assert inside.std() > outside.std() > 0


def test_a_stopped_run_ends_the_same(command: SpeechCommand, tmp_path: Path) -> None:
    """A run killed while it wrote a row is taken up there, and its files are those of an unbroken run."""
    terms = said("ion", "gradient", "stochastic", "detection")
    synthesise(Script((), terms, (command,), seed=2), tmp_path / "whole", Pace(jobs=2))
    synthesise(Script((), terms[:3], (command,), seed=2), tmp_path / "broken")
    manifest = tmp_path / "broken/manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    told: list[tuple[int, int]] = []
    script = Script((), terms, (command,), seed=2)
    outcome = synthesise(script, tmp_path / "broken", progress=lambda *at: told.append(at))
    assert (outcome.new, outcome.kept) == (2, 2)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert synthesise(script, tmp_path / "broken").new == 0


def test_a_manifest_of_something_else_is_left_alone(command: SpeechCommand, tmp_path: Path) -> None:
    """A line that is no row is named, and nothing is written over it."""
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"id": "a"}\nsomething else\n', "utf-8")
    with pytest.raises(SynthesisError, match=r"manifest\.jsonl, line 2 is no row"):
        synthesise(Script((), said("ion"), (command,)), tmp_path)
    assert manifest.read_text("utf-8").endswith("something else\n")


def test_a_failing_line_keeps_the_ones_before(command: SpeechCommand, tmp_path: Path) -> None:
    """Above a share the run fails; the error names voice, text and what was said; rows already written are whole."""
    with pytest.raises(SynthesisError, match=r"1 of 2 lines failed: buzz failed on 'fail' \(exit status 1\): cannot"):
        synthesise(Script(("good morning", "fail"), (), (command,)), tmp_path / "out")
    assert [row.words[0].text for row in read_manifest(tmp_path / "out/manifest.jsonl")] == ["good"]


def test_few_failures_are_listed(command: SpeechCommand, tmp_path: Path) -> None:
    """Below the share the run goes on; a line that fails or is longer than 30 s is listed, and tried again next time."""
    script = Script(("good morning", "fail", "endless", "good night"), (), (command,))
    outcome = synthesise(script, tmp_path, Pace(max_failed_share=0.5))
    assert (outcome.new, outcome.no_term) == (2, 2)
    assert "'fail'" in outcome.failed[0]
    assert "31 s for 'endless'…, more than 30 s; part the sentence" in outcome.failed[1]
    assert len(synthesise(script, tmp_path, Pace(max_failed_share=0.5)).failed) == 2


def test_a_missing_program_is_named_before_anything_is_written(tmp_path: Path) -> None:
    """Nothing is begun that cannot be ended."""
    absent = SpeechCommand("absent", "no-such-synthesiser {text} {out}", "pip install nosuch")
    with pytest.raises(SynthesisError, match="'no-such-synthesiser' is not installed"):
        synthesise(Script((), said("ion"), (absent,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(command: SpeechCommand, tmp_path: Path) -> None:
    """The error names the folder and what to do."""
    (tmp_path / "out").write_text("a file", "utf-8")
    with pytest.raises(SynthesisError, match=r"cannot write into .*out: .*choose another folder"):
        synthesise(Script((), said("ion"), (command,)), tmp_path / "out")


@pytest.mark.parametrize(
    "wrong",
    [{"speed": (1.2, 0.8)}, {"speed": (0.1, 1.0)}, {"snr_db": (9.0, 3.0)}, {"noise_share": 1.5}, {"reverb_share": -1}],
)
def test_effects_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    """A range runs upwards, a share is a share."""
    with pytest.raises(SettingError):
        Effects(**wrong)  # type: ignore[arg-type]


def test_lines_are_read_without_empty_ones(tmp_path: Path) -> None:
    """A mark at the start, blanks and empty lines go; a file of nothing is an error."""
    path = tmp_path / "lines.txt"
    path.write_text("\ufeff one \n\ntwo", "utf-8")
    assert read_lines(path) == ["one", "two"]
    path.write_text("\n", "utf-8")
    with pytest.raises(SynthesisError, match="holds no line"):
        read_lines(path)
    with pytest.raises(SynthesisError, match=r"cannot read .*absent\.txt: No such file or directory; check the name$"):
        read_lines(tmp_path / "absent.txt")
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(SynthesisError, match=r"as UTF-8 text: .*save it as UTF-8$"):
        read_lines(path)


@pytest.mark.parametrize("voice", ["espeak-en-gb-m3-160", "flite-slt-1.0"])
def test_installed_voices_speak(voice: str, tmp_path: Path) -> None:
    """The command lines of the built-in voices do what they say, wherever their programs are."""
    command = VOICES[voice]
    if shutil.which(command.program) is None:
        with pytest.raises(SynthesisError, match="not installed; on Debian: apt install"):
            command.require()
        return
    synthesise(Script(("the [kalman filter] works",), (), (command,)), tmp_path)
    (example,) = read_examples([tmp_path / "manifest.jsonl"])
    assert words_of(example.text) == ["the", "kalman", "filter", "works"]
    assert 0.4 < (example.terms[0].end_sample - example.terms[0].start_sample) / 16_000 < 1.6
    assert json.loads((tmp_path / "manifest.jsonl").read_text("utf-8"))["speaker"] == voice
