"""Reading the body of a request, bounded in size and time."""

import asyncio
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException


async def read_body(request: Request, *, most_bytes: int, within_s: float, remedy: str) -> bytes:
    """Return the body.

    Args:
        request: whose.
        most_bytes: how large it may be.
        within_s: how long it may take to come in.
        remedy: what to send instead of what is too large.

    Raises:
        HTTPException: 408 it does not come in time, 413 it is too large.

    """
    try:
        async with asyncio.timeout(within_s):
            return await _read(request, most_bytes, remedy)
    except TimeoutError:
        raise HTTPException(
            HTTPStatus.REQUEST_TIMEOUT, f"body: not here after {within_s:g} s; send it at once"
        ) from None


async def _read(request: Request, most_bytes: int, remedy: str) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413, f"body: over {most_bytes} bytes; {remedy}")
    return body
