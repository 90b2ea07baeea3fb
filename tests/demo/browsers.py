"""A real Chromium and a Node.js, found or the reason why not: a machine without them fails, and is not passed over."""

import shutil
from pathlib import Path

import numpy as np
import playwright
import pytest
import soundfile

from app.samples import recordings

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
MICROPHONE_RATE = 48_000
MISSING = (
    "Chromium is not installed, so neither the page nor the client for browsers is tested. On Debian, as root: apt-get update && "
    "apt-get install --yes --no-install-recommends chromium fonts-dejavu-core. Elsewhere put one of these on the path: "
    f"{', '.join(CHROMIUM_NAMES)}."
)


def chromium() -> str:
    """The browser of this machine."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.fail(MISSING, pytrace=False)
    return found


def node() -> str:
    """Node.js: the one that comes with Playwright, which is new enough, else the machine's."""
    bundled = Path(playwright.__file__).parent / "driver" / "node"
    return str(bundled) if bundled.is_file() else "node"


def speech_file(path: Path, pause_s: float = 0.5) -> Path:
    """The bundled recordings one after the other as a microphone plays them; "amiable" comes early."""
    parts = []
    spoken = {recording.path.stem.rpartition("-")[2]: recording for recording in recordings()}
    for recording in (spoken[name] for name in ("0870", "0880", "0920", "0890", "0930")):
        samples, rate = soundfile.read(recording.path, dtype="float32")
        parts += [samples, np.zeros(int(rate * pause_s), np.float32)]
    joined = np.concatenate(parts)
    ratio = MICROPHONE_RATE // rate
    drawn_out = np.interp(np.arange(len(joined) * ratio) / ratio, np.arange(len(joined)), joined)
    soundfile.write(path, drawn_out, MICROPHONE_RATE, subtype="PCM_16")
    return path
