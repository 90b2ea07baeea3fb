import sys
from pathlib import Path

import pytest

from training.speech.speech_commands import SpeechCommand

SYNTHESISER = """
import sys, wave
text, out = sys.argv[1:]
if text == "fail":
    sys.exit("cannot say it")
if text == "silent":
    letters = 0
elif text == "endless":
    letters = 620
else:
    letters = sum(c.isalpha() for c in text)
samples = [0] * 1600 + [8000, -8000] * (letters * 400) + [0] * 1600
with wave.open(out, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in samples))
"""


@pytest.fixture
def command(tmp_path: Path) -> SpeechCommand:
    """A synthesiser in Python: a buzz of 50 ms a letter between 0.1 s of silence."""
    script = tmp_path / "buzz synthesiser.py"
    script.write_text(SYNTHESISER, "utf-8")
    return SpeechCommand("buzz", f"'{sys.executable}' '{script}' {{text}} {{out}}")
