"""How far the store has come, told as it moves: the clock by which a load test knows when an outcome is stored."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from runtime.event_stream import STREAMED, event, event_stream
from runtime.http_api import problems
from services.scoring.api.models import ApiProblem
from services.scoring.store.errors import StoreError
from services.scoring.store.reader import StoreReader

# Each looks at the store by itself.
MOST_STREAMS: Final = 4
# At a thousand applications a second the store moves some sixty times a second. A look that takes long, over a network
# or where no processor is free, is repeated less often: the store's own work comes first.
LEAST_PAUSE_S, LONGEST_PAUSE_S, PAUSES_PER_LOOK = 0.004, 0.015, 2
HEARTBEAT_S: Final = 1.0


class Progress:
    """Follows the store's position with server-sent events.

    Args:
        reader: of the store.
        stopping: whether the process is to end; so do the streams then.

    """

    def __init__(self, reader: StoreReader, stopping: Callable[[], bool]) -> None:
        self._reader, self._stopping = reader, stopping
        self.open = 0

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the position at once, whenever it moves, and every second; it ends where the store cannot be read."""
        self.open += 1
        try:
            with self._reader.positions() as look:
                async for moved in self._moves(look):
                    yield moved
        except StoreError:
            # Whoever asks again is told why.
            return
        finally:
            self.open -= 1

    async def _moves(self, look: Callable[[], Mapping[int, int]]) -> AsyncIterator[bytes]:
        said: Mapping[int, int] | None = None
        said_at = looked_at = time.monotonic()
        while not self._stopping():
            began = time.monotonic()
            offsets = await run_in_threadpool(look)
            now = time.monotonic()
            if offsets != said or now - said_at > HEARTBEAT_S:
                yield _moved(offsets, now - looked_at)
                said, said_at = offsets, now
            looked_at = began
            await asyncio.sleep(min(max(LEAST_PAUSE_S, PAUSES_PER_LOOK * (now - began)), LONGEST_PAUSE_S))


def _moved(offsets: Mapping[int, int], unseen_s: float) -> bytes:
    by_partition = {str(partition): offset for partition, offset in offsets.items()}
    return event({"next_offsets": by_partition, "unseen_ms": round(unseen_s * 1000, 2)})


def following(reader: StoreReader, progress: Progress) -> APIRouter:
    """Return the route that follows the store's position."""
    router = APIRouter(tags=["operations"], responses=problems(503, model=ApiProblem))

    @router.get(
        "/progress",
        response_class=StreamingResponse,
        responses=STREAMED,
    )
    async def follow() -> StreamingResponse:
        """Server-sent events: `next_offsets` by partition whenever the store moves, at least every second.

        `unseen_ms`: how long before, at most, the store came to be there.
        """
        if progress.open >= MOST_STREAMS:
            detail = f"{MOST_STREAMS} callers follow the store; ask /health instead, or again later"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        # A store that cannot be read is an answer, not the end of a stream.
        await run_in_threadpool(reader.state)
        return event_stream(progress.events())

    return router
