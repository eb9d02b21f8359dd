"""Ports on 127.0.0.1 for one run."""

import secrets
import socket
from collections.abc import Mapping
from types import MappingProxyType

from paperless.local.errors import LocalSystemError, PortTakenError

HOST = "127.0.0.1"
# Below the ephemeral ranges of Linux and macOS: while a service restarts, no client socket can land on its port.
FIRST_PORT, LAST_PORT = 15_000, 31_999
TRIES = 1_000


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class Ports:
    """Hands out one port per process name: the one asked for, else a free one.

    `take` raises `PortTakenError` when a port that was asked for is in use.
    """

    def __init__(self, asked: Mapping[str, int] = MappingProxyType({})) -> None:
        self._asked = asked
        self.taken: dict[str, int] = {}

    def take(self, name: str) -> int:
        port = self._explicit(name) if name in self._asked else self._free()
        self.taken[name] = port
        return port

    def _explicit(self, name: str) -> int:
        port = self._asked[name]
        if port in self.taken.values() or not is_free(port):
            raise PortTakenError(
                f"port {port} on {HOST}, asked for {name}, is in use; name another one, or none to get a free one"
            )
        return port

    def _free(self) -> int:
        for _ in range(TRIES):
            port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT + 1)
            if port not in self.taken.values() and is_free(port):
                return port
        raise LocalSystemError(f"no free port between {FIRST_PORT} and {LAST_PORT} on {HOST}; stop something first")
