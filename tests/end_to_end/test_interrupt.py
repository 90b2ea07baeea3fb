"""Ctrl-C while a command listens."""

import json
import signal
from collections.abc import Iterator

import pytest

from app.cli import run
from streaming.audio import AudioFormat
from streaming.testing import ListSource
from tests.end_to_end.empty_machine import Place, good_glossary


@pytest.mark.parametrize(("source", "code"), [("mic", 0), ("talk.wav", 130)])
def test_interrupt_ends_a_session(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, source: str, code: int
) -> None:
    """Ctrl-C is how a microphone's session ends; of any other source it says that the rest was not heard."""

    class Interrupted(ListSource):
        def chunks(self) -> Iterator[bytes]:
            yield bytes(32_000)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("app.commands.listen.open_source", lambda *_, **__: Interrupted(AudioFormat(), []))
    assert run(["listen", source, "--glossary", str(good_glossary(place)), "--json"]) == code
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["type"] == "Metadata"
