"""What stands before an HTTP API: who may call it, and how often."""

import time
from collections.abc import Collection
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import SecretStr
from starlette.responses import JSONResponse

from runtime.errors import FatalError
from runtime.http_server import MAX_HEAD_BYTES
from runtime.problems import problem
from runtime.settings import LOOPBACK

# 96 bits of a URL-safe alphabet. Only digests are kept and compared, which is no help for a token that can be guessed.
MIN_TOKEN_CHARACTERS = 16


def token_digests(prefix: str, host: str, tokens: SecretStr | None, *, open_to_all: bool) -> tuple[bytes, ...]:
    """Return the digests of the tokens that open an API; none means that nobody is asked for one.

    Several tokens, parted by white space, are valid at once, so that one can be replaced without a gap.

    Args:
        prefix: of the settings, for messages.
        host: the address that the API listens on.
        tokens: of the setting PREFIX_TOKENS.
        open_to_all: the setting PREFIX_OPEN; without effect where there are tokens.

    Raises:
        FatalError: a token can be guessed, or an API that others reach would be open.

    """
    given = tokens.get_secret_value().split() if tokens is not None else None
    if given is not None and min(map(len, given), default=0) < MIN_TOKEN_CHARACTERS:
        raise FatalError(f"{prefix}_TOKENS: empty, or a token has under {MIN_TOKEN_CHARACTERS} characters; draw 32")
    if not (given or open_to_all or host in LOOPBACK):
        raise FatalError(
            f"{prefix}: others reach {host}, and no token is asked for; name a file of tokens with {prefix}_TOKENS_FILE"
            " (one a line, each made by: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'), or say"
            f" {prefix}_OPEN=true if whoever reaches the port may use it"
        )
    return tuple(sha256(token.encode()).digest() for token in given or ())


class CallerRate:
    """How many requests a minute each caller may make: a moving window for each, in memory."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._rate, self._limiter = RateLimitItemPerMinute(per_minute), MovingWindowRateLimiter(MemoryStorage())

    async def wait_s(self, caller: str) -> int | None:
        """Count a request; return None, or after how many seconds to ask again."""
        if await self._limiter.hit(self._rate, caller):
            return None
        return round((await self._limiter.get_window_stats(self._rate, caller)).reset_time - time.time() + 1)


class TokenGuard:
    """ASGI middleware that answers in the app's stead: 401 without a known token, 429 beyond a caller's rate, 431.

    A caller is a token or, without a known one, an address; so whoever tries tokens does not use up a known one's rate.
    Refusals are problem documents (RFC 9457).
    """

    def __init__(self, app: Any, tokens: tuple[bytes, ...], per_minute: int, unguarded: Collection[str] = ()) -> None:
        self._app, self._tokens, self._rate = app, tokens, CallerRate(per_minute)
        # Probes and Prometheus hold no token, and neither page has personal data.
        self._unguarded = {"/health", "/metrics", *unguarded}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = scope["type"] == "http" and scope["path"] not in self._unguarded
        await ((asked and await self._refusal(scope)) or self._app)(scope, receive, send)

    async def _refusal(self, scope: Any) -> JSONResponse | None:
        digest = sha256(dict(scope["headers"]).get(b"authorization", b"").partition(b" ")[2]).digest()
        known = any(compare_digest(digest, each) for each in self._tokens)
        caller = digest.hex() if known else str(scope["client"] and scope["client"][0])
        wait_s = await self._rate.wait_s(caller)
        if wait_s is not None:
            text = f"over {self._rate.per_minute} requests a minute; ask again later"
            return problem(429, text, {"retry-after": str(wait_s)}, instance=scope["path"])
        pairs = [*scope["headers"], (scope["path"], scope["query_string"])]
        # The server bounds only what has not yet come in whole.
        if sum(len(name) + len(value) for name, value in pairs) > MAX_HEAD_BYTES:
            text = f"address and headers: over {MAX_HEAD_BYTES} bytes; send less"
            return problem(431, text, instance=scope["path"])
        if known or not self._tokens:
            return None
        structlog.get_logger(__name__).warning("request without a known token", path=scope["path"], address=caller)
        text = "send the header `Authorization: Bearer TOKEN` with a token of this API"
        return problem(401, text, {"www-authenticate": 'Bearer realm="paperless"'}, instance=scope["path"])
