"""Where the newest submissions of a partition lie, by application: read from the log on demand, and bounded."""

import asyncio
from typing import Protocol

from aiokafka import TopicPartition

from contracts.topics import APPLICATIONS_SUBMITTED
from runtime.messages import Record
from services.portal.batches import Fetched, next_offset, records_of, unpacked


class Reader(Protocol):
    """What is asked of the log; see `services.portal.log.Log`."""

    async def ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def starts(self, places: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def since(self, places: list[TopicPartition], epoch_ms: int) -> dict[TopicPartition, int]: ...
    async def fetch(
        self, positions: dict[TopicPartition, int], piece_bytes: int = ...
    ) -> dict[TopicPartition, Fetched]: ...


async def record_at(log: Reader, place: TopicPartition, offset: int, key: bytes) -> Record | None:
    """Return the record at an offset if it has this key; see `Reader` for errors."""
    fetched = (await log.fetch({place: offset}, 1)).get(place)
    found = records_of(place, fetched, offset, key) if fetched else []
    return next((record for record in found if record.offset == offset and record.key == key), None)


class RecentSubmissions:
    """The first offset of each application among the newest records of one partition of `applications.submitted`.

    An entry is a hash of the key and an offset, some 150 bytes; between `most` and twice as many are held. Another
    application's entry under the same hash is found out by the record itself, and is then not found: one in 2^44.

    Args:
        log: where the records are.
        partition: whose.
        most: how many of the newest records are surely known.

    """

    def __init__(self, log: Reader, partition: int, most: int) -> None:
        self._log, self._most = log, most
        self._place = TopicPartition(APPLICATIONS_SUBMITTED.name, partition)
        self._older: dict[int, int] = {}
        self._newer: dict[int, int] = {}
        self._next: int | None = None
        self._reading = asyncio.Lock()

    async def find(self, application_id: str) -> Record | None:
        """Return an application's first submission that is known, after reading what has come since the last call.

        Raises:
            LogAwayError: the log cannot be read.

        """
        key = application_id.encode()
        async with self._reading:
            await self._catch_up()
        offset = self._older.get(hash(key), self._newer.get(hash(key)))
        return None if offset is None else await record_at(self._log, self._place, offset, key)

    async def _catch_up(self) -> None:
        if self._next is None:
            end = (await self._log.ends([self._place]))[self._place]
            self._next = max(end - self._most, (await self._log.starts([self._place]))[self._place])
        while True:
            fetched = (await self._log.fetch({self._place: self._next})).get(self._place)
            if fetched is None:
                # Deleted, or another log: begin again.
                self._next, self._older, self._newer = None, {}, {}
                return await self._catch_up()
            for record in unpacked(self._place, fetched, self._next):
                self._add(record)
            before, self._next = self._next, next_offset(fetched, self._next)
            if self._next >= fetched.end or self._next == before:
                return None

    def _add(self, record: Record) -> None:
        if len(self._newer) >= self._most:
            self._older, self._newer = self._newer, {}
        if record.key is not None:
            self._newer.setdefault(hash(record.key), record.offset)
