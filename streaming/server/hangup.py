"""SIGHUP: keys and glossaries are read again, as operators of other servers know it."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from streaming.errors import SettingError
from streaming.server.api_keys import ApiKeys
from streaming.server.hint_server import HintServer
from streaming.server.own_thread import on_own_thread

_STANDARD_STREAMS = (0, 1, 2)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reread:
    """What is read again.

    Attributes:
        glossaries: looks for new versions of all of them, and tells itself what cannot be used.
        keys: reads the keys, and raises SettingError where they cannot be used; None where there are none.
    """

    glossaries: Callable[[], object]
    keys: Callable[[], ApiKeys] | None = None


def has_terminal() -> bool:
    """Whether somebody sees what the process says; a terminal that was closed is none any more."""
    return any(os.isatty(stream) for stream in _STANDARD_STREAMS)


async def reread_at(hangup: asyncio.Event, server: HintServer, reread: Reread) -> None:
    """Read all again whenever `hangup` is set, until cancelled, which waits for nothing that is being read."""
    while True:
        await hangup.wait()
        hangup.clear()
        try:
            if reread.keys is not None:
                await _reread_keys(server, reread.keys)
            await on_own_thread(reread.glossaries)
        except Exception:
            # The outermost edge of this task: whatever broke, what is served is served on.
            logger.exception("reading keys and glossaries again failed; all stays as it was")


async def _reread_keys(server: HintServer, read: Callable[[], ApiKeys]) -> None:
    try:
        server.replace_keys(await on_own_thread(read))
    except SettingError as error:
        logger.warning("the API keys cannot be used, those of before hold on: %s", error)
    else:
        logger.info("the API keys were read again")
