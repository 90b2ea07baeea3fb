"""The live server: hints over a websocket, and plain HTTP beside it on the same port."""

from streaming.server.config import ConnectionConfig, ServerConfig
from streaming.server.hint_server import HintServer
from streaming.server.listener import check_address
from streaming.server.running import run_server

__all__ = ["ConnectionConfig", "HintServer", "ServerConfig", "check_address", "run_server"]
