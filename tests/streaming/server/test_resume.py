"""Complaint 6: a connection that breaks loses neither audio nor hints, and the clock goes on."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from streaming.protocol import Begin, CloseStream, Error, Marker, MarkerReached, Metadata, ServerMessage, encode
from streaming.server import HintServer, ServerConfig
from tests.streaming.server.serving import (
    QUERY,
    SPEECH,
    Served,
    greeted,
    hints,
    http,
    limited,
    read,
    read_to_close,
    read_until,
    serve,
)

FRAME = 3200


async def _unbroken(server: HintServer) -> list[ServerMessage]:
    async with connect(f"{server.url}?{QUERY}") as client:
        for start in range(0, len(SPEECH), FRAME):
            await client.send(SPEECH[start : start + FRAME])
        await client.send(encode(CloseStream()))
        return (await read_to_close(client))[0]


@pytest.mark.parametrize("is_abort", [True, False], ids=["socket cut", "closed by the client"])
def test_a_broken_connection_changes_no_hint(served: Served, is_abort: bool) -> None:
    """Cut in the middle of a term, with messages lost on the way: together the two connections say the same."""

    async def scenario(server: HintServer) -> None:
        expected = await _unbroken(server)
        async with connect(f"{server.url}?{QUERY}") as client:
            begin = await greeted(client)
            for start in range(0, 6 * FRAME, FRAME):
                await client.send(SPEECH[start : start + FRAME])
            await client.send(encode(Marker(id="m")))
            told = [begin, *(await read_until(client, MarkerReached))]
            # The server works on this although nobody reads what it says.
            await client.send(SPEECH[6 * FRAME : 18 * FRAME + 1])
            if is_abort:
                client.transport.abort()
        kept = told[:-1]
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq={kept[-1].seq}") as client:
            *missed, again = await read_until(client, Begin)
            assert isinstance(again, Begin)
            assert (again.resumed, again.session_id) == (True, begin.session_id)
            assert again.audio_received_frames is not None
            assert again.seq == (missed or kept)[-1].seq
            await client.send(SPEECH[2 * again.audio_received_frames :])
            await client.send(encode(CloseStream()))
            rest, code = await read_to_close(client)
        together = [*kept, *missed, *rest]
        assert code == 1000
        assert hints(together) == hints(expected)
        assert len(hints(expected)) == 3
        assert [message.seq for message in together] == list(range(len(together)))
        assert isinstance(together[-1], Metadata)
        assert together[-1].duration == len(SPEECH) / 32_000

    serve(served, scenario)


def test_a_session_that_is_taken_up_leaves_its_old_connection(served: Served) -> None:
    """While the old socket still lives, or its client is gone without a word: error superseded, then 4409."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as old:
            begin = await greeted(old)
            await old.send(SPEECH[: 4 * FRAME])
            async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as new:
                again = (await read_until(new, Begin))[-1]
                assert isinstance(again, Begin)
                assert again.audio_received_frames in (0, 2 * FRAME)
                read_on, code = await read_to_close(old)
                error = read_on[-1]
                assert isinstance(error, Error)
                assert (error.code, error.close_code, code) == ("superseded", 4409, 4409)
                await new.send(encode(Marker(id="still there")))
                assert isinstance((await read_until(new, MarkerReached))[-1], MarkerReached)

    serve(served, scenario)


def test_a_full_server_lets_the_owner_of_a_place_come_back(served: Served) -> None:
    """A cut network leaves the old socket standing: its client is no further one, but a stranger is."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as old:
            begin = await greeted(old)
            async with connect(f"{server.url}?{QUERY}") as stranger:
                assert (await read_to_close(stranger))[1] == 1013
            async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as client:
                assert isinstance(await read(client), Begin)

    serve(served, scenario, ServerConfig(max_sessions=1))


def test_two_that_take_up_one_session_never_both_have_it(served: Served) -> None:
    """Whoever comes last has it; each of the others is told that it was superseded."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as client:
            token = (await greeted(client)).resume_token

            async def take_up() -> int | None:
                async with connect(f"{server.url}?resume={token}&last_seq=0") as another:
                    assert isinstance(await read(another), Begin)
                    taken.append(another)
                    if len(taken) == 4:
                        all_taken.set()
                    await all_taken.wait()
                    try:
                        await another.send(encode(Marker(id="mine")))
                        while not isinstance(await read(another), MarkerReached):
                            pass
                    except ConnectionClosed as closed:
                        return closed.rcvd.code if closed.rcvd else 1006
                    return None

            taken: list[object] = []
            all_taken = asyncio.Event()
            codes = await asyncio.gather(*(take_up() for _ in range(4)))
        assert sorted(codes, key=str) == [4409, 4409, 4409, None]

    serve(served, scenario)


def test_an_unknown_or_forgotten_session_is_refused(served: Served) -> None:
    """A made-up token, a session that was closed, one that waited too long, a number that was never sent: 4410."""

    async def refused(server: HintServer, query: str) -> None:
        async with connect(f"{server.url}?{query}") as client:
            messages, code = await read_to_close(client)
        (error,) = messages
        assert isinstance(error, Error)
        assert (error.code, code) == ("resume_expired", 4410)

    async def scenario(server: HintServer) -> None:
        await refused(server, "resume=r_made-up&last_seq=0")
        async with connect(f"{server.url}?{QUERY}") as client:
            over = await greeted(client)
            await client.send(encode(CloseStream()))
            await read_to_close(client)
        await refused(server, f"resume={over.resume_token}&last_seq=0")
        async with connect(f"{server.url}?{QUERY}") as client:
            begin = await greeted(client)
        await refused(server, f"resume={begin.resume_token}&last_seq=99")
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as client:
            assert isinstance(await read(client), Begin)
        await asyncio.sleep(0.4)
        await refused(server, f"resume={begin.resume_token}&last_seq=0")

    serve(served, scenario, limited(resume_window_s=0.3))


def test_waiting_sessions_make_room_for_new_clients(served: Served) -> None:
    """A vanished client keeps its session while there is room; the one that waits longest is forgotten first."""

    async def scenario(server: HintServer) -> None:
        tokens = []
        for _ in range(10):
            async with connect(f"{server.url}?{QUERY}") as client:
                tokens.append((await greeted(client)).resume_token)
        _, _, metrics = await http("GET", f"{server.http_url}/metrics")
        assert b"termcue_sessions_parked 8.0" in metrics
        assert b"termcue_sessions_opened_total 10.0" in metrics
        for token, code in ((tokens[0], 4410), (tokens[-1], None)):
            async with connect(f"{server.url}?resume={token}&last_seq=0") as client:
                if code is None:
                    assert isinstance(await read(client), Begin)
                else:
                    assert (await read_to_close(client))[1] == code

    serve(served, scenario)


def test_a_client_that_went_silent_may_come_back(served: Served) -> None:
    """The idle timer closes the connection with 4408; the session waits."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as client:
            begin = await greeted(client)
            messages, code = await read_to_close(client)
        assert (code, messages[-1].TYPE) == (4408, "Error")
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq={begin.seq}") as client:
            again = await read(client)
        assert isinstance(again, Begin)
        assert again.resumed

    serve(served, scenario, limited(idle_timeout_s=0.2))


def test_who_cannot_be_told_what_was_missed_takes_nobodys_place(served: Served) -> None:
    """A right token with a wrong number is refused; the live client hears nothing of it, and nothing is left over."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as client:
            begin = await greeted(client)
            for _ in range(3):
                async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=99999") as other:
                    assert (await read_to_close(other))[1] == 4410
            await client.send(encode(Marker(id="still there")))
            assert isinstance((await read_until(client, MarkerReached))[-1], MarkerReached)
        await asyncio.sleep(0.5)
        _, _, metrics = await http("GET", f"{server.http_url}/metrics")
        assert b"termcue_sessions_parked 0.0" in metrics
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as late:
            assert (await read_to_close(late))[1] == 4410

    serve(served, scenario, limited(resume_window_s=0.3))


def test_a_session_that_was_let_go_waits_no_longer_than_others(served: Served) -> None:
    """Superseded, and taken up by nobody in the end: it is forgotten in its time."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as old:
            begin = await greeted(old)
            async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as new:
                await read_until(new, Begin)
                new.transport.abort()
            await read_to_close(old)
        await asyncio.sleep(0.6)
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as late:
            assert (await read_to_close(late))[1] == 4410

    serve(served, scenario, limited(resume_window_s=0.3))


def test_a_break_after_close_stream_loses_no_hint(served: Served) -> None:
    """What the session said to its end is told to the client that comes back, then 1000."""

    async def scenario(server: HintServer) -> None:
        expected = await _unbroken(server)
        async with connect(f"{server.url}?{QUERY}") as client:
            begin = await greeted(client)
            # From here on the client hears nothing: neither hints nor the close.
            client.transport.pause_reading()
            await client.send(SPEECH)
            await client.send(encode(CloseStream()))
            await asyncio.sleep(0.3)
            client.transport.abort()
        async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as client:
            rest, code = await read_to_close(client)
        assert (code, isinstance(rest[-1], Metadata)) == (1000, True)
        assert hints([begin, *rest]) == hints(expected)

    serve(served, scenario)
