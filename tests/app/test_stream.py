"""`termcue stream` against a server that is a script."""

from collections.abc import AsyncGenerator

import pytest

from app.cli import run
from app.samples import recordings
from streaming import client
from streaming.errors import WireError
from streaming.protocol import Error, ServerMessage


@pytest.mark.parametrize(
    ("code", "said"), [("no_key", "--api-key KEY, or set TERMCUE_API_KEY"), ("wrong_key", "--api-key")]
)
def test_key_error_names_the_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    """A server that wants a key is answered in words of the command line, not of the protocol."""

    async def refuse(*_: object) -> AsyncGenerator[ServerMessage, None]:
        yield Error(seq=0, code=code, close_code=4401, fatal=True, message="send the header")
        raise WireError("send the header")

    monkeypatch.setattr(client, "stream_hints", refuse)
    arguments = ["stream", str(recordings()[0].path), "--url", "ws://127.0.0.1:1", "--glossary", "talks"]
    assert run(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "header" not in printed.err
