import sys
from pathlib import Path

import numpy as np
import pytest

from training.speech import speech_commands
from training.speech.speech_commands import VOICES, SpeechCommand, SynthesisError, piper, sounding, speak, trim_silence


def test_silence_is_no_speech(command: SpeechCommand) -> None:
    """A program that writes silence has said nothing."""
    with pytest.raises(SynthesisError, match="said nothing for 'silent'"):
        speak(command, "silent")


def test_what_is_no_audio_is_no_speech(tmp_path: Path) -> None:
    """A program that writes something else than sound is named with its text."""
    script = tmp_path / "write.py"
    script.write_text("import sys\nopen(sys.argv[2], 'w').write(sys.argv[1])", "utf-8")
    with pytest.raises(SynthesisError, match="writer wrote a file that is no audio for 'ion'"):
        speak(SpeechCommand("writer", f"{sys.executable} {script} {{text}} {{out}}"), "ion")


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synthesiser that does not come back does not hold up the run for ever."""
    monkeypatch.setattr(speech_commands, "_LONGEST_S", 0.1)
    script = tmp_path / "sleep.py"
    script.write_text("import time\ntime.sleep(30)", "utf-8")
    with pytest.raises(SynthesisError, match=r"sleeper did not end within 0\.1 s on 'ion'"):
        speak(SpeechCommand("sleeper", f"{sys.executable} {script} {{text}} {{out}}"), "ion")


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
    """Each built-in voice has its own name and command and tells how to install it."""
    assert len({command.template for command in VOICES.values()}) == len(VOICES)
    assert {command.install for command in VOICES.values()} == {
        "on Debian: apt install espeak-ng",
        "on Debian: apt install flite",
    }


def test_piper_speaks_with_a_model(tmp_path: Path) -> None:
    """A Piper voice is a model and its settings; the path stays one argument, and a missing half is named."""
    model = tmp_path / "my voice.onnx"
    with pytest.raises(SynthesisError, match=r"my voice\.onnx is not there"):
        piper(model)
    model.touch()
    with pytest.raises(SynthesisError, match=r"my voice\.onnx\.json is not there"):
        piper(model)
    (tmp_path / "my voice.onnx.json").touch()
    voice = piper(model)
    assert voice.voice == "piper-my voice"
    assert voice.arguments("an ion", Path("o.wav")) == ["piper", "-m", str(model), "-f", "o.wav", "--", "an ion"]


def test_a_missing_program_is_named() -> None:
    """The error names the program and how to install it."""
    absent = SpeechCommand("absent", "no-such-synthesiser {text} {out}", "pip install nosuch")
    assert not absent.is_installed
    with pytest.raises(SynthesisError, match=r"'no-such-synthesiser' is not installed; pip install nosuch"):
        speak(absent, "ion")


def test_trimming_keeps_soft_speech() -> None:
    """What is 40 dB below the loudest stays, the silence around it goes."""
    tone = np.sin(np.arange(3_200)).astype(np.float32)
    quiet = np.zeros(1_600, np.float32)
    audio = np.concatenate([quiet, 0.01 * tone, tone, quiet]).astype(np.float32)
    np.testing.assert_array_equal(trim_silence(audio), audio[1_600:-1_600])
    assert sounding(audio) == (1_600, 8_000)
    assert len(trim_silence(quiet)) == 0
    assert len(trim_silence(quiet[:5])) == 0
