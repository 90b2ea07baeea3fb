"""Keys that are added and removed while the server runs."""

import asyncio
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from streaming.errors import SettingError
from streaming.protocol import Begin, Error
from streaming.server import HintServer, ServerConfig, run_server
from streaming.server.api_keys import ApiKeys
from streaming.server.hangup import Reread
from streaming.terminal import hangups_kept
from tests.streaming.server.serving import QUERY, Served, greeted, http, parsed, read_to_close, refused_at, serve


def _digests(*names: str) -> list[str]:
    return [hashlib.sha256(name.encode()).hexdigest() for name in names]


def _with(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _is_dismissed(client: ClientConnection) -> bool:
    messages, code = await read_to_close(client)
    error = messages[-1]
    return isinstance(error, Error) and error.fatal and (error.code, code) == ("key_removed", 4401)


def test_a_removed_key_ends_its_sessions_and_no_others(served: Served) -> None:
    """Those that it let in itself and by a token, with a typed error; added keys are let in."""

    async def scenario(server: HintServer) -> None:
        address = f"{server.url}?{QUERY}"
        tokens = f"{server.http_url}/v1/tokens"
        used, unused = [parsed((await http("POST", tokens, headers=_with("anna")))[2])["token"] for _ in range(2)]
        async with (
            connect(address, additional_headers=_with("anna")) as removed,
            connect(f"{address}&token={used}") as by_token,
            connect(address, additional_headers=_with("ben")) as kept,
        ):
            for client in (removed, by_token, kept):
                await greeted(client)
            server.replace_keys(ApiKeys(_digests("ben", "carla")))
            assert await _is_dismissed(removed)
            assert await _is_dismissed(by_token)
            await kept.send(json.dumps({"type": "CloseStream"}))
            assert (await read_to_close(kept))[1] == 1000
        assert (await refused_at(address, additional_headers=_with("anna")))[0].code == "wrong_key"
        assert (await refused_at(f"{address}&token={unused}"))[0].code == "wrong_token"
        async with connect(f"{address}&token={unused}", additional_headers=_with("carla")) as added:
            assert isinstance(await greeted(added), Begin)

    serve(served, scenario, keys=ApiKeys(_digests("anna", "ben")))


def test_a_removed_key_ends_its_recordings(served: Served) -> None:
    """The last line of the answer says why there are no more."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = bytes(20_000_000)
        head = f"POST /v1/hints:file?{QUERY}&encoding=linear16 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer anna\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readuntil(b'"Begin"')
        server.replace_keys(ApiKeys(_digests("ben")))
        lines = [line for line in (await reader.read()).splitlines() if line.startswith(b"{")]
        last = json.loads(lines[-1])
        assert (last["code"], last["close_code"]) == ("key_removed", 4401)
        writer.close()

    serve(served, scenario, keys=ApiKeys(_digests("anna")))


def test_a_server_without_keys_takes_none(served: Served) -> None:
    """It listens on this machine only, and is another kind of server."""

    async def scenario(server: HintServer) -> None:
        with pytest.raises(SettingError, match="--api-keys-file"):
            server.replace_keys(ApiKeys(_digests("anna")))

    serve(served, scenario)


def _while_running(
    served: Served,
    reread: Reread | None,
    keys: ApiKeys | None,
    scenario: Callable[[str], None],
    *,
    ends_it: bool = False,
    **config: float,
) -> None:
    """Run the server as a program, and `scenario` on a thread beside it, with the address; then end the server.

    A signal to a server that is ending already would meet its loop half closed: where the scenario `ends_it`, none is
    sent.
    """
    failed: list[BaseException] = []

    def beside(url: str) -> None:
        try:
            scenario(url)
        except BaseException as error:
            failed.append(error)
        finally:
            if failed or not ends_it:
                os.kill(os.getpid(), signal.SIGTERM)

    threads: list[threading.Thread] = []

    def on_ready(url: str) -> None:
        threads.append(threading.Thread(target=beside, args=(url,)))
        threads[0].start()

    run_server(ServerConfig(port=0, **config), served, keys, on_ready, reread=reread)  # type: ignore[arg-type]
    threads[0].join(10)
    assert failed == []


def _wait_for(caplog: pytest.LogCaptureFixture, words: str) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if words in caplog.text:
            return
        pause.wait(0.01)
    raise AssertionError(f"{words!r} was not logged")


def test_a_hangup_reads_keys_and_glossaries_again(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGHUP: what cannot be used is told, and the keys of before hold on."""
    path = tmp_path / "keys"
    path.write_text(_digests("anna")[0])
    caplog.set_level("INFO")
    looks: list[None] = []

    def scenario(url: str) -> None:
        async def talk() -> None:
            async with connect(f"{url}?{QUERY}", additional_headers=_with("anna")) as client:
                await greeted(client)
                path.write_text("half a dig")
                os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.to_thread(_wait_for, caplog, "those of before hold on")
                await client.send(json.dumps({"type": "Marker", "id": "m"}))
                path.write_text(_digests("ben")[0])
                os.kill(os.getpid(), signal.SIGHUP)
                assert await _is_dismissed(client)

        asyncio.run(talk())

    reread = Reread(lambda: looks.append(None), lambda: ApiKeys.load(path))
    _while_running(served, reread, ApiKeys.load(path), scenario)
    assert looks
    assert "half a dig" not in caplog.text


def test_a_hangup_that_is_being_worked_on_holds_nobody_up(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Glossaries that take minutes to read are left behind; what breaks meanwhile is told and survived."""
    begun, never = threading.Event(), threading.Event()

    def look() -> None:
        if not begun.is_set():
            begun.set()
            raise RuntimeError("once")
        never.wait(60)

    def scenario(_: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        _wait_for(caplog, "all stays as it was")
        os.kill(os.getpid(), signal.SIGHUP)

    started_s = time.monotonic()
    _while_running(served, Reread(look), None, scenario)
    assert time.monotonic() - started_s < 20
    never.set()


def test_a_hangup_before_there_is_a_server_is_not_lost(served: Served) -> None:
    """It would end a process that only reads its glossaries yet."""
    read = threading.Event()

    def scenario(_: str) -> None:
        assert read.wait(10)

    with hangups_kept() as early:
        assert not early.came()
        signal.raise_signal(signal.SIGHUP)
        _while_running(served, Reread(read.set, was_asked=early.came), None, scenario)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_a_closed_terminal_ends_the_server(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so by the same signal; a server that stayed could not be stopped by its user any more."""
    answers = iter([True, False])
    monkeypatch.setattr("streaming.server.running.has_terminal", lambda: next(answers))
    asked: list[None] = []

    def scenario(url: str) -> None:
        async def talk() -> None:
            async with connect(f"{url}?{QUERY}") as client:
                await greeted(client)
                os.kill(os.getpid(), signal.SIGHUP)
                assert (await read_to_close(client))[1] == 1001

        asyncio.run(talk())

    _while_running(served, Reread(lambda: asked.append(None)), None, scenario, ends_it=True)
    assert asked == []
