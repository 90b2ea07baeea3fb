"""SIGHUP: keys and glossaries are read again, as operators of other servers know it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from streaming.errors import SettingError
from streaming.server.api_keys import ApiKeys
from streaming.server.hint_server import HintServer
from streaming.server.own_thread import on_own_thread

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reread:
    """What is read again.

    Attributes:
        glossaries: looks for new versions of all of them, and tells itself what cannot be used.
        keys: reads the keys, and raises SettingError where they cannot be used; None where there are none.
        was_asked: whether SIGHUP came already, before there was a server.
    """

    glossaries: Callable[[], object]
    keys: Callable[[], ApiKeys] | None = None
    was_asked: Callable[[], bool] = lambda: False


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
