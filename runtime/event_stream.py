"""Server-sent events: how a route declares them, how they are written, how they are answered."""

from collections.abc import AsyncIterable, Mapping
from typing import Any, Final

import orjson
from starlette.responses import StreamingResponse

from runtime.http_api import Responses

EVENT_STREAM: Final = "text/event-stream"
# What a route declares as `responses`, beside its problems.
STREAMED: Final[Responses] = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}


def event(values: Mapping[str, Any], kind: str = "") -> bytes:
    """Return one event: its data as JSON, and its kind where a stream has several."""
    named = b"event: " + kind.encode() + b"\n" if kind else b""
    return named + b"data: " + orjson.dumps(values) + b"\n\n"


def event_stream(events: AsyncIterable[bytes]) -> StreamingResponse:
    """Return the answer that sends events as they come."""
    return StreamingResponse(events, media_type=EVENT_STREAM)
