"""The log as the portal reads it, in memory: real batches of Kafka's format, so that they are really unpacked."""

from collections import defaultdict

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from fastapi import FastAPI

from contracts.records import partition_of
from contracts.topics import DEFAULT_PARTITIONS
from runtime.dead_letters import dead_letter
from runtime.messages import Message, Record
from runtime.metrics import Metrics
from runtime.tracing import Tracing
from services.portal.app import METRICS, Parts, create_app, load_reasons
from services.portal.applications import Applications
from services.portal.batches import Fetched
from services.portal.desk import Desk
from services.portal.log import PIECE_BYTES, LogAwayError
from services.portal.outbox import Filed, NotFiledError
from services.portal.parts import PartsOfSystem
from services.portal.settings import PortalSettings
from tests.support.fakes_runtime import Stored

NOW_MS = 1_760_000_000_000


class FakeLog:
    """A log that grows when the test says so; `away` is why it cannot be read or written just now."""

    def __init__(self, per_batch: int = 3, codec: int = 0) -> None:
        self._per_batch, self._codec = per_batch, codec
        self._records: defaultdict[TopicPartition, list[Stored]] = defaultdict(list)
        self.away = ""
        self.fetches = 0
        self.now_ms = NOW_MS

    def add(self, message: Message, partition: int | None = None) -> Stored:
        topic, key, value, headers = message
        number = partition_of(key or b"", DEFAULT_PARTITIONS) if partition is None else partition
        records = self._records[TopicPartition(topic, number)]
        self.now_ms += 1
        record = Stored(topic, number, len(records), self.now_ms, key, value, tuple(headers))
        records.append(record)
        return record

    def set_aside(self, record: Record, consumer: str, reason: str = "not_json") -> Stored:
        topic = f"{record.topic}.{consumer}.dlq"
        letter = dead_letter(record, topic=topic, reason=reason, detail="value: wrong")
        return self.add(letter, record.partition)

    async def file(self, message: Message, partition: int) -> Filed:
        if self.away:
            raise NotFiledError(self.away)
        return Filed(partition, self.add(message, partition).offset)

    async def ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._check()
        return {place: len(self._records[place]) for place in places}

    async def starts(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def since(self, places: list[TopicPartition], epoch_ms: int) -> dict[TopicPartition, int]:
        self._check()
        return {place: sum(each.timestamp < epoch_ms for each in self._records[place]) for place in places}

    async def fetch(
        self, positions: dict[TopicPartition, int], piece_bytes: int = PIECE_BYTES
    ) -> dict[TopicPartition, Fetched]:
        self._check()
        self.fetches += 1
        return {
            place: Fetched(self._piece(place, offset, piece_bytes), len(self._records[place]))
            for place, offset in positions.items()
        }

    def _piece(self, place: TopicPartition, offset: int, piece_bytes: int) -> bytes:
        """Return whole batches, as a broker does: from before the offset on, and at least one."""
        data, start = b"", offset - offset % self._per_batch
        while start < len(self._records[place]) and len(data) < piece_bytes:
            data += self._batch(self._records[place][start : start + self._per_batch])
            start += self._per_batch
        return data

    def _batch(self, records: list[Stored]) -> bytes:
        builder = DefaultRecordBatchBuilder(2, self._codec, False, -1, -1, -1, 1_000_000)
        for number, record in enumerate(records):
            builder.append(number, record.timestamp, record.key, record.value, list(record.headers))
        built = bytes(builder.build())
        return records[0].offset.to_bytes(8, "big") + built[8:]

    def _check(self) -> None:
        if self.away:
            raise LogAwayError(self.away)


def applications_in(log: FakeLog, *, recent: int = 100, most: int = 1_000) -> Applications:
    return Applications(log, partitions=DEFAULT_PARTITIONS, recent=recent, most=most, reasons=load_reasons())


def portal_on(
    log: FakeLog, tracing: Tracing | None = None, system: PartsOfSystem | None = None, /, **settings: object
) -> FastAPI:
    """Return the portal over a log in memory; `system` is whom its page asks."""
    given = PortalSettings.model_validate({"per_minute": 10**6, "filings_per_minute": 10**6, **settings})
    applications = applications_in(log)
    desk = Desk(applications, log, tracing)
    parts = Parts(desk, log, lambda: [log.away] if log.away else [], system=system)
    return create_app(given, parts, Metrics("portal", METRICS), applications)
