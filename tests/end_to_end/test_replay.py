"""A session that was recorded gives the same hints when it is replayed, with the bundled model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from app.glossaries import open_file
from app.loaded_model import load_folder, load_model
from app.places import Places
from app.samples import glossary_path, recordings
from app.wiring import catalogue_of
from streaming.model_folder import BUNDLED
from streaming.protocol import Limits, encode
from streaming.session import open_session
from streaming.sessions.recording import SessionRecorder
from streaming.wire.client_messages import CloseStream
from streaming.wire.messages import TermHint

ROOT = Path(__file__).parents[2]
PROFILE = "mt"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Give a folder with one recorded session of the bundled recordings at 16 kHz, and its hints."""
    return _recorded(tmp_path_factory.mktemp("recorded"))


def _recorded(home: Path, hop_ms: int = 640) -> tuple[Path, int]:
    model = load_model(load_folder(BUNDLED), hop_ms=hop_ms)
    glossary = open_file(glossary_path(), model.folder, Places(data=home / "data", cache=home / "termcue"))
    query = f"glossary={glossary.id}&profile={PROFILE}"
    session, said = open_session(query, catalogue_of(model, {glossary.id: glossary}), session_id="s_1", limits=Limits())
    assert session is not None
    recorder = SessionRecorder.open(
        home / "sessions", "s_1", query, model.folder.encoder_id, glossary.index.version, hop_ms=hop_ms
    )
    recorder.sent(said)
    for recording in recordings()[:2]:
        samples, _ = soundfile.read(recording.path, dtype="int16")
        pcm = samples.tobytes()
        for at in range(0, len(pcm), 1280):
            recorder.received_audio(pcm[at : at + 1280])
            outputs = session.receive_audio(pcm[at : at + 1280])
            recorder.sent(outputs)
            said += outputs
    recorder.received_text(encode(CloseStream()))
    said += (outputs := session.receive_text(encode(CloseStream())))
    recorder.sent(outputs)
    recorder.close()
    assert recorder.failed is None
    hints = sum(isinstance(output, TermHint) for output in said)
    assert hints
    return home, hints


def _replay(home: Path, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TERMCUE_")}
    environment |= {"XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(cache or home)}
    command = [sys.executable, "-m", "app.cli", "replay", str(home / "sessions"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)


def test_the_same_hints_again(recorded: tuple[Path, int]) -> None:
    """The same model and glossary give the same hints and exit code 0, and nothing is told to be otherwise."""
    home, hints = recorded
    done = _replay(home, "--glossary", str(glossary_path()), "--json", "--model", str(BUNDLED))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["differences"], told["circumstances"]) == (True, [], [])
    assert (told["recorded_hints"], told["replayed_hints"]) == (hints, hints)


def test_hops_are_as_long_as_they_were(tmp_path: Path) -> None:
    """What a server heard in hops of 0.32 s is replayed so, without being told."""
    home, hints = _recorded(tmp_path, 320)
    done = _replay(home, "--glossary", str(glossary_path()), "--json", "--model", str(BUNDLED))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["replayed_hints"] == hints


def test_a_single_file_may_have_any_name(recorded: tuple[Path, int], tmp_path: Path) -> None:
    """It stands for the only glossary of the recording; a version is of a name too, and that it is another is told."""
    home, hints = recorded
    other = tmp_path / "terms2.csv"
    other.write_bytes(glossary_path().read_bytes())
    done = _replay(home, "--glossary", str(other), "--json", "--model", str(BUNDLED))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["replayed_hints"]) == (True, hints)
    assert [each["what"] for each in told["circumstances"]] == ["glossary glossary"]


def test_another_glossary_gives_other_hints(recorded: tuple[Path, int], tmp_path: Path) -> None:
    """A file of the same name without the terms: exit code 1, the version and each lost hint are told."""
    home, hints = recorded
    other = tmp_path / glossary_path().name
    other.write_text("term,translation\nhippopotamus,Nilpferd\n", "utf-8")
    done = _replay(home, "--glossary", str(other), "--json", "--model", str(BUNDLED))
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [each["what"] for each in told["circumstances"]][-1].startswith("glossary ")
    assert [each["kind"] for each in told["differences"]].count("missing") == hints
    assert f"{other} is not what the session listened for".encode() in done.stderr
    assert b"without --glossary, it is replayed as it was" in done.stderr


def test_a_file_that_was_served_is_found_by_itself(recorded: tuple[Path, int]) -> None:
    """As it was then, whatever has become of it, as long as its index is kept."""
    home, hints = recorded
    done = _replay(home, "--json", "--model", str(BUNDLED))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["circumstances"], told["replayed_hints"]) == (True, [], hints)


def test_a_glossary_that_is_not_there_is_named(recorded: tuple[Path, int], tmp_path: Path) -> None:
    """Without the file that was served, or its index, there is nothing to listen for; version and cure are told."""
    home, _ = recorded
    done = _replay(home, "--data-dir", str(tmp_path), cache=tmp_path)
    assert done.returncode == 1
    assert re.search(rb" in version [0-9a-f]{12}, which is neither published in ", done.stderr)
    assert b"--glossary FILE" in done.stderr
