"""Who gets a session: from which pages, with which keys, and while there is room."""

from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response

from streaming.protocol import HINTS_PATH, CloseCode
from streaming.server.access import Access
from streaming.server.config import ServerConfig
from streaming.server.connection import RESTART_MESSAGE
from streaming.server.resumable import ResumableSessions
from streaming.sessions.closing import Output, RefusedSession, refusal
from streaming.sessions.session_query import resume_of


class Admission:
    """What is asked of a client before it gets a session.

    Args:
        config: how many sessions there may be, and when to come again.
        access: keys and pages.
        sessions: those that can be taken up.
        clients: tells how many connections there are.
        is_ready: tells whether clients may come in.

    Attributes:
        is_stopping: whether the server takes leave.
        files: recordings that are being listened to over HTTP.
    """

    def __init__(
        self,
        config: ServerConfig,
        access: Access,
        sessions: ResumableSessions,
        clients: Callable[[], int],
        is_ready: Callable[[], bool],
    ) -> None:
        self.is_stopping = False
        self.files = 0
        self._config, self._access, self._sessions = config, access, sessions
        self._clients, self._is_ready = clients, is_ready

    @property
    def busy(self) -> int:
        """Sessions with a client, and recordings that are being listened to."""
        return self._clients() + self.files

    @property
    def is_open(self) -> bool:
        """Whether anybody may come in."""
        return self._is_ready() and not self.is_stopping

    def refused_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        """What is answered to a handshake instead of a websocket; None for one that is in order."""
        path = request.path.partition("?")[0]
        if path != HINTS_PATH:
            return websocket.respond(404, f"there is nothing at {path}: connect a websocket to {HINTS_PATH}\n")
        origins, hosts = request.headers.get_all("Origin"), request.headers.get_all("Host")
        if len(origins) > 1 or not self._access.knows_page(next(iter(origins), None), next(iter(hosts), None)):
            return websocket.respond(403, "pages of this origin may not connect: name it to --allow-origin\n")
        return None

    def key_of(self, request: Request, query: str) -> bytes | None:
        """Digest of the key that a client comes with; None for none."""
        return self._access.key_of(request.headers.get_all("Authorization"), _offers(request), query)

    def refused(self, request: Request, query: str) -> tuple[Output, ...]:
        """Why a client is not let in: the server stops or has not begun, its key, the load. Empty for a welcome one."""
        retry_s = self._config.retry_after_s
        if self.is_stopping:
            return refusal("restart", CloseCode.RESTART, RESTART_MESSAGE, retry_after_s=retry_s)
        if refused := self._access.refused(request.headers.get_all("Authorization"), _offers(request), query):
            return refused
        if not self._is_ready():
            message = f"the server is still getting ready: try again in {retry_s:g} s"
            return refusal("not_ready", CloseCode.NOT_READY, message, retry_after_s=retry_s)
        if self.busy >= self._config.max_sessions and not self._takes_over(query):
            message = f"all {self._config.max_sessions} sessions are taken: try again in {retry_s:g} s"
            return refusal("overloaded", CloseCode.OVERLOADED, message, retry_after_s=retry_s)
        # Only here: a token is not used up by a refusal that asks to come again.
        self._access.admit(query)
        return ()

    def _takes_over(self, query: str) -> bool:
        """Whether the client takes up a session whose old connection still has its place."""
        try:
            asked = resume_of(query)
        except RefusedSession:
            return False
        live = None if asked is None else self._sessions.find(asked.token)
        return live is not None and live.connection is not None


def _offers(request: Request) -> list[str]:
    """The subprotocols of a handshake."""
    return [offer for line in request.headers.get_all("Sec-WebSocket-Protocol") for offer in parse_subprotocol(line)]
