"""What stands before every HTTP port: by which name it may be called, and from which page."""

import re
from ipaddress import IPv6Address, ip_address
from typing import Any

from starlette.responses import JSONResponse

from runtime.problems import problem
from runtime.settings import LOOPBACK

# Host of RFC 9110: a name or an address (version 6 in brackets), and perhaps a port.
_HOST = re.compile(r"(?:\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<plain>[a-z0-9._-]+))(?::[0-9]+)?")
SAFE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class HostGuard:
    """ASGI middleware that answers in the app's stead: 421 for an unknown host, 403 to a page of another origin.

    A browser sends whatever a page tells it to send, to this machine too. A page that has its own name resolve to our
    address (DNS rebinding) still asks for its own name (`Host`), and a form or script of a page from elsewhere says
    where it is from (`Origin`). Programs other than browsers send no `Origin` and are let through.

    Known are the names of loopback and the address that the connection came in at, as probes and Prometheus ask for it:
    an address is nobody's to redirect. Refusals are problem documents (RFC 9457).

    Args:
        app: what is guarded.
        allowed_hosts: further names and addresses, comma-separated, without port.

    """

    def __init__(self, app: Any, allowed_hosts: str) -> None:
        given = (name.strip().strip("[]").lower() for name in allowed_hosts.split(","))
        self._app, self._known = app, LOOPBACK | {name for name in given if name}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_safely(message: Any) -> None:
            await send(message | ({"headers": [*message["headers"], *SAFE_HEADERS]} if "headers" in message else {}))

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send_safely)

    def _refusal(self, scope: Any) -> JSONResponse | None:
        host, *others = _values(scope, b"host") or [""]
        if others or not self._knows(host, scope.get("server")):
            text = "not a name of this server; ask for localhost, or name it in the setting …ALLOWED_HOSTS"
            return problem(421, f"host {host!r}: {text}", instance=scope["path"])
        if any(origin.partition("://")[2] != host for origin in _values(scope, b"origin")):
            text = "a page of another origin may not call this server"
            return problem(403, text, instance=scope["path"])
        return None

    def _knows(self, host: str, server: tuple[str, int | None] | None) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        name = parts["bracketed"] or parts["plain"]
        return name in self._known or (server is not None and _same_address(name, server[0]))


def _values(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for given, value in scope["headers"] if given == name]


def _same_address(one: str, other: str) -> bool:
    """Whether both are addresses, and the same; a socket for versions 4 and 6 gives version 4 as a part of 6."""
    try:
        address, own = ip_address(one), ip_address(other)
    except ValueError:
        return False
    return address == (own.ipv4_mapped or own if isinstance(own, IPv6Address) else own)
