import asyncio

from streaming.server.inbox import Inbox, Received


def _frame(received: Received | None) -> bytes | str | None:
    return None if received is None else received.frame


def test_frames_come_out_in_their_order() -> None:
    """Text and audio keep the order in which they came."""

    async def scenario() -> list[bytes | str | None]:
        inbox = Inbox(1000)
        for frame in (b"a", "b", b"c"):
            await inbox.put(frame)
        return [_frame(await inbox.get()) for _ in range(3)]

    assert asyncio.run(scenario()) == [b"a", "b", b"c"]


def test_a_full_inbox_makes_its_writer_wait_and_counts_it_once() -> None:
    """No frame is lost, the bytes that wait stay bounded, and one stretch of waiting counts as one overflow."""

    async def scenario() -> tuple[list[int], list[int], list[int]]:
        inbox = Inbox(1000)
        written = 0
        overflows = []

        async def write() -> None:
            nonlocal written
            for number in range(20):
                await inbox.put(bytes([number]) * 300)
                written += 1

        numbers, waiting = [], []
        for _ in range(2):
            written = 0
            writer = asyncio.create_task(write())
            await asyncio.sleep(0.01)
            waiting.append(written)
            numbers += [frame[0] for frame in await _take(inbox, 20)]
            await writer
            overflows.append(inbox.overflows)
            idle = asyncio.create_task(inbox.get())
            await asyncio.sleep(0.01)
            await inbox.put(b"")
            await idle
        return numbers, waiting, overflows

    assert asyncio.run(scenario()) == ([*range(20), *range(20)], [2, 2], [1, 2])


async def _take(inbox: Inbox, count: int) -> list[bytes]:
    frames = [_frame(await inbox.get()) for _ in range(count)]
    return [frame for frame in frames if isinstance(frame, bytes)]


def test_a_flood_of_empty_frames_is_bounded() -> None:
    """A frame without content has weight."""

    async def scenario() -> bool:
        inbox = Inbox(1000)

        async def flood() -> None:
            for _ in range(100):
                await inbox.put(b"")

        writer = asyncio.create_task(flood())
        await asyncio.sleep(0.01)
        full = not writer.done()
        inbox.end()
        await writer
        return full

    assert asyncio.run(scenario())


def test_a_frame_above_the_bound_still_fits_alone() -> None:
    """A bound below the size of a frame does not stop the stream."""

    async def scenario() -> tuple[bytes | str | None, int]:
        inbox = Inbox(10)
        await inbox.put(bytes(100))
        return _frame(await inbox.get()), inbox.overflows

    assert asyncio.run(scenario()) == (bytes(100), 0)


def test_an_end_frees_writer_and_reader() -> None:
    """After the end nobody waits; what was queued can still be taken, what comes later is dropped."""

    async def scenario() -> list[bytes | str | None]:
        inbox = Inbox(100)
        await inbox.put(bytes(90))
        writer = asyncio.create_task(inbox.put(bytes(90)))
        await asyncio.sleep(0.01)
        inbox.end()
        await writer
        await inbox.put(b"late")
        empty = Inbox(100)
        reader = asyncio.create_task(empty.get())
        await asyncio.sleep(0.01)
        empty.end()
        return [_frame(await inbox.get()), _frame(await inbox.get()), _frame(await reader)]

    assert asyncio.run(scenario()) == [bytes(90), None, None]


def test_what_is_cleared_is_forgotten() -> None:
    """Nothing is left, and nobody waits."""

    async def scenario() -> Received | None:
        inbox = Inbox(100)
        await inbox.put(bytes(90))
        inbox.clear()
        return await inbox.get()

    assert asyncio.run(scenario()) is None


def test_a_frame_says_when_it_came() -> None:
    """By the clock that the inbox was given, at the moment when there was room for it."""

    async def scenario() -> list[float]:
        times = iter([3.0, 5.0])
        inbox = Inbox(1000, clock=lambda: next(times))
        await inbox.put(b"a")
        await inbox.put("b")
        return [received.at_s for _ in range(2) if (received := await inbox.get()) is not None]

    assert asyncio.run(scenario()) == [3.0, 5.0]


def test_crumbs_of_audio_wait_as_one() -> None:
    """A flood of single bytes costs no more than its bytes; order, texts and empty frames stay as they came."""

    async def scenario() -> list[bytes | str | None]:
        inbox = Inbox(10_000)
        crumbs: list[bytes | str] = [bytes([n]) for n in range(200)]
        for frame in [*crumbs, "text", b"a", b"", b"b", bytes(600), b"c"]:
            await inbox.put(frame)
        inbox.end()
        frames: list[bytes | str | None] = []
        while (received := await inbox.get()) is not None:
            frames.append(received.frame)
        assert inbox.audio_bytes == 0
        return frames

    assert asyncio.run(scenario()) == [bytes(range(200)), "text", b"a", b"", b"b", bytes(600), b"c"]
