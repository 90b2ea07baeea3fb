"""What all sessions of one server share, and how a session is opened with it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from streaming.encoding.batching import ComputeSlots
from streaming.protocol import Begin
from streaming.server.config import ConnectionConfig
from streaming.server.live_session import LiveSession
from streaming.server.metrics import ServerMetrics
from streaming.server.resumable import ResumableSessions
from streaming.session import ServedGlossary, open_session
from streaming.sessions.closing import Output
from streaming.sessions.recording import SessionRecorder

Record: TypeAlias = Callable[[str, str, str], SessionRecorder]
"""Session id, query of the address and version of the glossary -> what records the session."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of one server share.

    Attributes:
        config: bounds of each connection.
        served: the glossaries, as they are at any time.
        sessions: those that can be taken up.
        executor: threads, at least one for each session.
        slots: who may compute.
        metrics: where it is counted.
        retry_after_s: told when the server stops.
        record: begins to record a session.
        log_terms: whether hints are written to the log.
    """

    config: ConnectionConfig
    served: Mapping[str, ServedGlossary]
    sessions: ResumableSessions
    executor: Executor
    slots: ComputeSlots
    metrics: ServerMetrics
    retry_after_s: float = 5
    record: Record | None = None
    log_terms: bool = False

    async def on_thread(self, work: Callable[[], _Result]) -> _Result:
        """Do some work off the event loop, in its turn."""

        def in_slot() -> _Result:
            with self.slots.held():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self.executor, in_slot)

    async def opened(
        self, query: str, session_id: str, resume_token: str | None
    ) -> tuple[LiveSession | None, list[Output]]:
        """Open the session that an address asks for.

        Args:
            query: the part of the address after "?".
            session_id: its name.
            resume_token: with which it can be taken up; None for a recording, which comes as fast as it is worked on.

        Returns:
            The session and its greeting, or None and the refusal.
        """
        limits = self.config.limits
        if resume_token is None:
            limits = replace(limits, max_realtime_factor=None)

        def open_it() -> tuple[LiveSession | None, list[Output]]:
            session, outputs = open_session(
                query, self.served, session_id=session_id, limits=limits, resume_token=resume_token
            )
            if session is None:
                return None, outputs
            version = next(output.glossary.version for output in outputs if isinstance(output, Begin))
            live = LiveSession(
                session,
                self.metrics,
                None if self.record is None else self.record(session_id, query, version),
                log_terms=self.log_terms,
                is_spoken=resume_token is not None,
            )
            self.metrics.opened(resumed=False)
            return live, live.told(outputs)

        return await self.on_thread(open_it)
