"""`termcue stream` against servers that are scripts, or that fail as they are told."""

import json
import os
import re
import signal
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.cli import run
from app.samples import recordings
from streaming import client
from streaming.errors import WireError
from streaming.protocol import CloseCode, Error, ServerMessage
from streaming.testing import synthetic_pcm, tone_glossary
from tests.streaming.client.faulty_server import Fault, server_thread

SERVED = {"tones": tone_glossary()}
TERMS = ["900 hertz tone", "1700 hertz tone"]


@pytest.fixture
def tones(tmp_path: Path) -> str:
    """A file with two tones."""
    pcm = synthetic_pcm([(0, 400), (900, 600), (0, 800), (1700, 600), (0, 800)])
    soundfile.write(tmp_path / "tones.wav", np.frombuffer(pcm, "<i2"), 16_000)
    return str(tmp_path / "tones.wav")


def _terms(printed: str) -> list[str]:
    messages = [json.loads(line) for line in printed.splitlines()]
    return [message["term"] for message in messages if message["type"] == "TermHint"]


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
    arguments = ["stream", str(recordings()[0].path), "--url", "ws://u:sesame@127.0.0.1:1/?token=sesame"]
    assert run([*arguments, "--glossary", "talks"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "header" not in printed.err
    assert "sesame" not in printed.err


def test_a_broken_connection_is_told_and_made_again(tones: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Hints go on as if nothing had been; standard error says what was, and the command succeeds."""
    with server_thread(SERVED, [Fault(after_s=0.8), Fault(after_s=0.9, forget=True)]) as url:
        assert run(["stream", tones, "--url", url, "--glossary", "tones", "--json"]) == 0
    printed = capsys.readouterr()
    assert _terms(printed.out) == TERMS
    assert printed.err.count("trying again in") == 2
    assert "the server goes on where it was" in printed.err
    assert "the server has forgotten what was before 0 s" in printed.err


def test_the_table_shows_one_stream(tones: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A resumed session is not introduced again, and no row comes twice."""
    with server_thread(SERVED, [Fault(after_s=1.5)]) as url:
        assert run(["stream", tones, "--url", url, "--glossary", "tones", "--target-lang", "de"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("Ton von") == 2
    assert printed.err.count("listening for") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--no-resume"], "closed without a word"),
        (["--give-up", "0.3"], "tried for 0."),
        (["--give-up", "0.01"], "not tried again: the next try"),
    ],
)
def test_a_stream_that_is_lost_ends_with_1(
    tones: str, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """Who wants no resume, or no longer, is told so by sentence and exit code."""
    faults = [Fault(after_s=0.5), *[Fault(after_s=0, code=CloseCode.NOT_READY, error="not_ready")] * 20]
    with server_thread(SERVED, faults) as url:
        assert run(["stream", tones, "--url", url, "--glossary", "tones", *options]) == 1
    assert said in capsys.readouterr().err


def test_a_stream_that_is_given_up_says_one_thing_after_the_other(
    tones: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What became of the stream, for how long was tried, and last the cause with its cure."""
    with server_thread(SERVED, [Fault(after_s=0.5), *[Fault(after_s=0)] * 20]) as url:
        assert run(["stream", tones, "--url", url, "--glossary", "tones", "--give-up", "0.3"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"termcue: error: the stream was not heard to its end \((not )?tried .*\): ws://.*; the server's log may say why",
        last,
    )


def test_no_message_of_a_broken_stream_holds_a_secret(tones: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither what is told on the way nor the last sentence repeats the password and the token of the address."""
    faults = [Fault(after_s=0.5), *[Fault(after_s=0, code=CloseCode.NOT_READY, error="not_ready")] * 20]
    with server_thread(SERVED, faults) as url:
        secret = f"{url.replace('ws://', 'ws://user:sesame@')}?token=sesame"
        assert run(["stream", tones, "--url", secret, "--glossary", "tones", "--give-up", "0.3"]) == 1
    told = capsys.readouterr().err
    assert "trying again in" in told
    assert f"{url} ended the stream" in told
    assert "sesame" not in told


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_ends_the_audio_and_the_sum_still_comes(
    tones: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As in `listen`: what was heard is worked on, the sum is printed, and the exit code is that of an interrupt."""
    before = signal.getsignal(signal.SIGINT)
    pressed = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    with server_thread(SERVED) as url:
        pressed.start()
        assert run(["stream", tones, "--url", url, "--glossary", "tones", "--realtime", *options]) == 130
    pressed.join()
    assert signal.getsignal(signal.SIGINT) is before
    printed = capsys.readouterr()
    if options:
        assert json.loads(printed.out.splitlines()[-1])["type"] == "Metadata"
    else:
        assert re.search(r"hints? in \d\.\d s of audio", printed.err)


def test_threshold_and_pace_reach_the_server(tones: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold that nothing reaches leaves no hint; a pace changes none."""
    with server_thread(SERVED) as url:
        common = ["stream", tones, "--url", url, "--glossary", "tones", "--json"]
        assert run([*common, "--threshold", "0.999"]) == 0
        assert _terms(capsys.readouterr().out) == []
        assert run([*common, "--pace", "20", "--interim"]) == 0
        finals = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [each["term"] for each in finals if each["type"] == "TermHint" and each["is_final"]] == TERMS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "2"], "--threshold"),
        (["--pace", "0"], "--pace"),
        (["--pace", "2", "--realtime"], "--realtime"),
        (["--url", "http://127.0.0.1:1"], "--url"),
        (["--url", "ws://127.0.0.1:99999"], "--url"),
        (["--glossary", ""], "--glossary"),
        (["--api-key", "two\nlines"], "--api-key"),
    ],
)
def test_wrong_usage_ends_with_2(tones: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Values out of their range, two paces, no address and no name are refused before anything is sent."""
    with server_thread(SERVED) as url:
        assert run(["stream", tones, "--url", url, "--glossary", "tones", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err


def test_a_server_that_is_away_is_a_failure(tones: str) -> None:
    """Whoever typed all right ends with 1, where nothing listens and where a file is missing."""
    assert run(["stream", tones, "--url", "ws://127.0.0.1:1", "--glossary", "tones"]) == 1
    assert run(["stream", "missing.wav", "--url", "ws://127.0.0.1:1", "--glossary", "tones"]) == 1


def test_recording_without_a_header_is_piped_into_the_same_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cure that a source of `listen` names is that of `stream` here."""
    (tmp_path / "hiss.raw").write_bytes(bytes(3200))
    arguments = ["stream", str(tmp_path / "hiss.raw"), "--url", "ws://127.0.0.1:1", "--glossary", "talks"]
    assert run(arguments) == 1
    assert "pipe it: termcue stream - --sample-rate N < FILE" in capsys.readouterr().err


def test_blanks_beside_a_comma_belong_to_no_glossary(
    monkeypatch: pytest.MonkeyPatch, tones: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several glossaries may be written as people write lists."""

    async def refuse(
        _: str, __: object, options: client.StreamOptions, *___: object
    ) -> AsyncGenerator[ServerMessage, None]:
        raise WireError(f"asked for {options.glossary!r}")
        yield

    monkeypatch.setattr(client, "stream_hints", refuse)
    assert run(["stream", tones, "--url", "ws://127.0.0.1:1", "--glossary", " mine, talks"]) == 1
    assert "asked for 'mine,talks'" in capsys.readouterr().err
