"""Speech synthesisers as command lines: text -> float32 mono at 16 kHz, without the silence around it.

eSpeak NG and flite are built in; any program that writes a sound file can be named by a template.
"""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE

_LONGEST_S = 60.0
_FRAME = SAMPLE_RATE // 100
_SILENCE_DB = -45.0


class SynthesisError(TermCueError):
    """Speech that cannot be made; the message names the command or the text and the cure."""


@dataclass(frozen=True, slots=True)
class SpeechCommand:
    """A command line with the placeholders {text} and {out} (a WAV file), run without a shell.

    `voice` is its name in manifests, `install` the command that installs the program, where known.
    Raises SynthesisError for a template without one of the placeholders.
    """

    voice: str
    template: str
    install: str = ""

    def __post_init__(self) -> None:
        missing = [mark for mark in ("{text}", "{out}") if mark not in self.template]
        if missing or not shlex.split(self.template):
            raise SynthesisError(
                f"the command {self.template!r} lacks {' and '.join(missing)}: "
                "write it as in 'espeak-ng -w {out} {text}'"
            )

    def arguments(self, text: str, out: Path) -> list[str]:
        """The command line as a list; the text stays one argument whatever is in it."""
        return [part.replace("{out}", str(out)).replace("{text}", text) for part in shlex.split(self.template)]

    @property
    def program(self) -> str:
        """The program that speaks."""
        return shlex.split(self.template)[0]

    @property
    def is_installed(self) -> bool:
        """Whether the program is there."""
        return shutil.which(self.program) is not None

    def require(self) -> None:
        """Raises SynthesisError if the program is not installed."""
        if not self.is_installed:
            cure = self.install or "install it or give its whole path"
            raise SynthesisError(f"the speech synthesiser {self.program!r} is not installed; {cure}")


def _espeak(accent: str, variant: str, rate: int, pitch: int) -> SpeechCommand:
    return SpeechCommand(
        f"espeak-{accent}-{variant}-{rate}",
        f"espeak-ng -v {accent}+{variant} -s {rate} -p {pitch} -w {{out}} -- {{text}}",
        "on Debian: apt install espeak-ng",
    )


def _flite(voice: str, stretch: float) -> SpeechCommand:
    return SpeechCommand(
        f"flite-{voice}-{stretch}",
        f"flite -voice {voice} --setf duration_stretch={stretch} -t {{text}} -o {{out}}",
        "on Debian: apt install flite",
    )


def piper(model: Path) -> SpeechCommand:
    """A voice of Piper (https://github.com/OHF-Voice/piper1-gpl), which loads `model` anew for each text.

    Raises SynthesisError if the model or the settings beside it are not there.
    """
    for path in (model, model.with_name(f"{model.name}.json")):
        if not path.is_file():
            raise SynthesisError(f"{path} is not there; a Piper voice is two files, NAME.onnx and NAME.onnx.json")
    return SpeechCommand(
        f"piper-{model.stem}", f"piper -m {shlex.quote(str(model))} -f {{out}} -- {{text}}", "pip install piper-tts"
    )


VOICES: Mapping[str, SpeechCommand] = {
    command.voice: command
    for command in (
        _espeak("en-us", "m1", 150, 45),
        _espeak("en-us", "f2", 165, 55),
        _espeak("en-gb", "m3", 160, 40),
        _espeak("en-gb", "f4", 140, 60),
        _espeak("en-gb-scotland", "m7", 155, 50),
        _espeak("en-029", "f3", 170, 50),
        _flite("kal16", 1.0),
        _flite("awb", 1.0),
        _flite("rms", 1.0),
        _flite("slt", 1.0),
        _flite("rms", 1.2),
        _flite("slt", 0.9),
    )
}
"""Built-in voices by their names in manifests."""


def sounding(audio: NDArray[np.float32]) -> tuple[int, int]:
    """First sample and last + 1 of the 10 ms above -45 dB of the loudest 10 ms; (0, 0) if all is silent."""
    frames = len(audio) // _FRAME
    power = np.square(audio[: frames * _FRAME].reshape(frames, _FRAME)).mean(axis=1)
    if not frames or power.max() <= 0.0:
        return 0, 0
    loud = np.flatnonzero(power > power.max() * 10 ** (_SILENCE_DB / 10))
    return int(loud[0]) * _FRAME, (int(loud[-1]) + 1) * _FRAME


def trim_silence(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Audio without what is not `sounding` at its ends."""
    first, last = sounding(audio)
    return audio[first:last]


def speak(command: SpeechCommand, text: str) -> NDArray[np.float32]:
    """Run the command and read what it wrote: float32[n] at 16 kHz, trimmed.

    Raises:
        SynthesisError: the program is missing, fails, hangs for a minute, or writes no speech.
    """
    command.require()
    with tempfile.TemporaryDirectory(prefix="termcue-") as folder:
        out = Path(folder) / "speech.wav"
        try:
            done = subprocess.run(
                command.arguments(text, out), stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S
            )
        except subprocess.TimeoutExpired as error:
            raise SynthesisError(f"{command.voice} did not end within {_LONGEST_S:g} s on {text!r}") from error
        if done.returncode != 0 or not out.exists():
            said = done.stderr.decode("utf-8", "replace").strip()[-200:] or "it wrote no file"
            raise SynthesisError(f"{command.voice} failed on {text!r} (exit status {done.returncode}): {said}")
        try:
            audio, rate = soundfile.read(out, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise SynthesisError(f"{command.voice} wrote a file that is no audio for {text!r}: {error}") from error
    speech = trim_silence(np.asarray(soxr.resample(audio.mean(axis=1), rate, SAMPLE_RATE), np.float32))
    if not len(speech):
        raise SynthesisError(f"{command.voice} said nothing for {text!r}; leave the text out or use another voice")
    return speech
