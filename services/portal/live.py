"""The live page's ticks: one loop a process asks the parts of the system, and only while somebody listens."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from runtime.event_stream import event
from services.portal.figures import differences
from services.portal.parts import PartsOfSystem
from services.portal.problems import TooManyStreamsError
from services.portal.rounds import Rounds, Seen
from services.portal.tables import Tables

EVERY_S: Final = 1.0
HEARTBEAT_S: Final = 5.0
LOOK_UP_S: Final = 1.0
POINTS_KEPT: Final = 900
MARKS_KEPT: Final = 100
STREAM_FOR_S: Final = 3600.0
_STILL: Final = b": nothing moved\n\n"

log = structlog.get_logger(__name__)


class Live:
    """Follows the system for the page, and keeps the last points of its time line while anybody looks.

    Args:
        parts: whom to ask.
        most: how many listen at once.
        stopping: whether the process is to end; so do the streams then.
        every_s: least time between two rounds.

    """

    def __init__(
        self, parts: PartsOfSystem, most: int, stopping: Callable[[], bool] = lambda: False, every_s: float = EVERY_S
    ) -> None:
        self._most, self._stopping, self._every_s = most, stopping, every_s
        self._seen, self._tick = Seen(), b""
        self._number, self._counted = 0, (0.0, -1)
        self.tables = Tables(parts.scoring)
        self._rounds = Rounds(parts, self.tables)
        self._asking: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._points: deque[list[float | int]] = deque(maxlen=POINTS_KEPT)
        self._marks: deque[list[Any]] = deque(maxlen=MARKS_KEPT)
        self.listening = 0

    def history(self) -> dict[str, Any]:
        """Return the time line: what was seen while anybody looked.

        Points are `[epoch s, outcomes/s, open, ended end to end, decided]`, marks `[epoch s, what the plan changed]`.
        """
        return {"points": list(self._points), "marks": list(self._marks)}

    def follow(self) -> AsyncIterator[bytes]:
        """Return a stream of ticks; it ends after an hour, or with the process.

        Raises:
            TooManyStreamsError: as many listen as may.

        """
        if self.listening >= self._most:
            raise TooManyStreamsError(self._most)
        return self._events()

    async def _events(self) -> AsyncIterator[bytes]:
        self.listening += 1
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._keep_asking())
        sent, said_at, ends_at = -1, time.monotonic(), time.monotonic() + STREAM_FOR_S
        try:
            # At once: the browser knows that it is connected before the first round is over.
            yield b"retry: 2000\n\n"
            while not self._stopping() and time.monotonic() < ends_at:
                if self._tick and sent != self._number:
                    sent, said_at = self._number, time.monotonic()
                    yield self._tick
                elif time.monotonic() - said_at > HEARTBEAT_S:
                    said_at = time.monotonic()
                    yield _STILL
                await self._wait()
            yield event({}, "end")
        finally:
            self.listening -= 1

    async def _wait(self) -> None:
        # The end of the process is asked for, since nothing announces it: within the grace time, and seldom.
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_UP_S), self._changed:
                await self._changed.wait()

    async def _keep_asking(self) -> None:
        while self.listening and not self._stopping():
            began = time.monotonic()
            try:
                await self._round(began)
            except Exception:
                log.exception("a round of the live page failed")
            await asyncio.sleep(max(self._every_s - (time.monotonic() - began), 0.01))
        # From here on nobody knows whether the store moves.
        self.tables.version, self._seen, self._counted = None, Seen(), (0.0, -1)

    async def _round(self, now: float) -> None:
        before, seen = self._seen, await self._rounds.look(self._seen)
        per_s = self._per_s(seen, now)
        if seen == before and not (self._points and self._points[-1][1]):
            return
        self._seen = seen
        at = round(time.time(), 1)
        if seen.plan and before.plan and seen.plan != before.plan:
            self._marks.append([at, differences(before.plan, seen.plan)])
        if seen.rows:
            self._points.append([at, per_s, seen.flow.open, seen.rows[0][3], seen.rows[0][2]])
        self._number += 1
        self._tick = event(self._said(seen, at, per_s), "tick")
        async with self._changed:
            self._changed.notify_all()

    def _said(self, seen: Seen, at: float, per_s: float) -> dict[str, Any]:
        return {
            "at": at,
            "number": self._number,
            "per_s": per_s,
            "rows": seen.rows,
            "country": seen.country,
            "flow": seen.flow._asdict(),
            "plan": seen.plan.get("name", ""),
            "changed_by_hand": seen.changed_by_hand,
            "trouble": seen.trouble,
        }

    def _per_s(self, seen: Seen, now: float) -> float:
        (at, counted), self._counted = self._counted, (now, seen.offsets)
        return round((seen.offsets - counted) / (now - at), 1) if 0 <= counted <= seen.offsets and now > at else 0.0
