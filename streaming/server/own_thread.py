"""Work that may take minutes, beside the event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


async def on_own_thread(work: Callable[[], _Result]) -> _Result:
    """Do some work on a thread that nobody has to wait for.

    Who is cancelled leaves it behind, and neither the event loop nor the process waits for its end. Raises what `work`
    raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Result] = loop.create_future()

    def settle(result: _Result | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # it is what `work` returned
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # the event loop is over
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="own", daemon=True).start()
    return await done
