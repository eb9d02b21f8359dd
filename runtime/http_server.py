"""Serving an HTTP API until a signal, on a socket of our own making."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

GRACE_S = 5
# Address and headers of a request; a token and the longest address of the project have under 1 KB.
MAX_HEAD_BYTES = 16 * 1024


def server_config(app: Any, **own: Any) -> uvicorn.Config:
    """Return how uvicorn serves any of our HTTP ports; `own` are settings of the port, by uvicorn's names."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        # A caller must not choose the address that it is limited by.
        proxy_headers=False,
        server_header=False,
        **own,
    )


def leave_the_exit_code_alone() -> None:
    """Ignore SIGTERM and SIGINT: uvicorn, which has its own handlers while it serves, raises them again at its end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def serve_api(
    app: Any,
    host: str,
    port: int,
    *,
    listening: Callable[[str], object],
    connections: int | None = None,
    made: Callable[[uvicorn.Server], object] = lambda _: None,
) -> uvicorn.Server:
    """Serve until SIGTERM or SIGINT, then let open requests end within 5 s; return the server that was.

    Args:
        app: an ASGI app.
        host: the address to listen on.
        port: the port; 0 picks a free one.
        listening: is told the address.
        connections: how many connections and requests may be open at once; beyond, 503.
        made: is given the server before it starts: setting its `should_exit` ends it.

    Raises:
        OSError: the port is taken.

    """
    server = uvicorn.Server(server_config(app, limit_concurrency=connections))
    made(server)
    leave_the_exit_code_alone()
    # Of an app that fails to start uvicorn makes an exit of its own; the code is the caller's to choose.
    with socket.create_server((host, port)) as listener, suppress(KeyboardInterrupt, SystemExit):
        # asyncio sets this only on listeners it made itself; without it every small answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening("http://{}:{}".format(*listener.getsockname()[:2]))
        asyncio.run(server.serve(sockets=[listener]))
    return server
