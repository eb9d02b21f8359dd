"""What is answered about an application: its status, its events, and a stream of its status while it changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from runtime.event_stream import event
from services.portal.applications import Applications, Trail
from services.portal.log import LogAwayError
from services.portal.models import EventsPage, Links, StatusPage
from services.portal.problems import NotKnownError, TooManyStreamsError
from services.portal.status import event_views

STREAM_EVERY_S: Final = 0.25
HEARTBEAT_S: Final = 5.0
# After it a client asks again; by itself, if it is a browser.
STREAM_FOR_S: Final = 600.0
_STILL: Final = b": still following\n\n"


def links_of(application_id: str, offset: int | None) -> Links:
    """Return where an application's pages are; with the offset of its submission they are found however old it is."""
    path, query = f"/applications/{application_id}", "" if offset is None else f"?at={offset}"
    return Links(status=f"{path}{query}", events=f"{path}/events{query}", stream=f"{path}/stream{query}")


class Pages:
    """Answers about single applications; `at` is the offset of its submission, where who asks knows it."""

    def __init__(self, applications: Applications) -> None:
        self._applications = applications

    async def status(self, application_id: str, at: int | None) -> StatusPage:
        """Return where an application stands.

        Raises:
            NotKnownError: nothing is known of it.
            LogAwayError: the log cannot be read.

        """
        trail = await self._trail(application_id, at)
        status = trail.status(self._applications.reasons)
        links = links_of(application_id, status.received.offset if status.received else None)
        return StatusPage(**status.model_dump(), complete=trail.complete, links=links)

    async def events(self, application_id: str, at: int | None) -> EventsPage:
        """Return an application's records; raises as `status`."""
        trail = await self._trail(application_id, at)
        views = event_views(trail.records)
        return EventsPage(application_id=application_id, complete=trail.complete, events=views)

    async def _trail(self, application_id: str, at: int | None) -> Trail:
        trail = await self._applications.trail(application_id, at)
        if trail is None:
            raise NotKnownError(application_id, self._applications.recent_in_all)
        return trail


class Streams:
    """Follows applications with server-sent events.

    Args:
        pages: tells where an application stands.
        most: how many are followed at once.
        stopping: whether the process is to end; so do the streams then.

    """

    def __init__(self, pages: Pages, most: int, stopping: Callable[[], bool]) -> None:
        self._pages, self._most, self._stopping = pages, most, stopping
        self.open = 0

    def follow(self, application_id: str, at: int | None) -> AsyncIterator[bytes]:
        """Return the events: the status whenever it changes, until it is decided or refused, for at most 10 minutes.

        Raises:
            TooManyStreamsError: as many are followed as may be.

        """
        if self.open >= self._most:
            raise TooManyStreamsError(self._most)
        return self._events(application_id, at)

    async def _events(self, application_id: str, at: int | None) -> AsyncIterator[bytes]:
        self.open += 1
        said, said_at, ends_at = b"", time.monotonic(), time.monotonic() + STREAM_FOR_S
        try:
            while not self._stopping() and time.monotonic() < ends_at:
                status, over = await self._event(application_id, at)
                if status != said or time.monotonic() - said_at > HEARTBEAT_S:
                    yield status if status != said else _STILL
                    said, said_at = status, time.monotonic()
                if over:
                    return
                await asyncio.sleep(STREAM_EVERY_S)
        finally:
            self.open -= 1

    async def _event(self, application_id: str, at: int | None) -> tuple[bytes, bool]:
        try:
            page = await self._pages.status(application_id, at)
        except LogAwayError as error:
            return event({"detail": str(error)}, "away"), False
        return event(page.model_dump(), "status"), page.state in {"decided", "refused"}
