"""Hostile records on every topic: each is a dead letter with its reason, and what is good is decided, once."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from aiokafka.errors import KafkaError

from contracts.topics import ALL, APPLICATIONS_DECIDED, CORRECTIONS_REQUESTED, Topic
from paperless.verification.log_reader import LogReader
from services.scoring.store.store import Store
from tests.component.hostile_batches import BATCHES, GOOD, KAFKA, PASSED, Fate
from tests.component.hostile_records import HostileBatch, Stream
from tests.component.raw_kafka import RawConnection, open_raw
from tests.support.brokers import Broker
from tests.support.service_flow import PARTITIONS, Flow, flow_on
from tests.support.service_processes import Service

SEED = 1
EXIT_FATAL = 78
# Next to nothing but hostile records: with the limit as it is, the first thousand would stop every service.
WITHOUT_LIMIT = {"dead_letter_max_run": 1_000_000, "dead_letter_max_share": 1.0}
# Of each topic; after a fifth of them memory is measured for the first time. HOSTILE_RECORDS=10000 asks for more than a
# run of all tests has time for.
RECORDS, RECORDS_ON_KAFKA = (int(os.environ.get("HOSTILE_RECORDS", usual)) for usual in ("800", "1500"))
MAX_GROWTH = 15_000_000
WITHIN_S = 60


class Position(NamedTuple):
    """Where a record is in the log."""

    topic: str
    partition: int
    offset: int


class Writer:
    """Writes hostile streams as they are, and keeps what must become of each record."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.fates: dict[Position, Fate] = {}
        self.refused: Counter[tuple[str, str]] = Counter()

    async def write(self, topic: Topic, batches: Iterable[HostileBatch]) -> None:
        async with AsyncExitStack() as stack:
            connect = partial(open_raw, *self._address, stack, 20)
            connection = await connect()
            for batch in batches:
                expected = self.broker.name in BATCHES[batch.kind].refused_by if batch.kind else False
                first = await _written(connection, topic, batch)
                assert (first is None) == expected, (batch.kind, self.broker.name, first)
                if first is None:
                    self.refused[topic.name, batch.kind] += 1
                    # It may have hung up as well.
                    connection = await connect()
                else:
                    self._keep(topic, batch, first)

    @property
    def _address(self) -> tuple[str, int]:
        host, _, port = self.broker.address.rpartition(":")
        return host, int(port)

    def _keep(self, topic: Topic, batch: HostileBatch, first: int) -> None:
        for fate in batch.fates:
            self.fates[Position(topic.name, batch.partition, first + fate.delta)] = fate

    def letters(self, topic: str) -> dict[Position, str]:
        """Return the dead letters of a topic: position and reason."""
        places = {place: fate.verdict for place, fate in self.fates.items() if place.topic == topic}
        return {place: verdict for place, verdict in places.items() if verdict not in (GOOD, PASSED)}

    def good(self) -> set[str]:
        """Return the ids of all applications that must be decided: all but those that only a correction names."""
        fates = [fate for place, fate in self.fates.items() if place.topic != CORRECTIONS_REQUESTED.name]
        return {fate.application for fate in fates if fate.verdict == GOOD}


async def _written(connection: RawConnection, topic: Topic, batch: HostileBatch) -> int | None:
    """Return the first offset of a batch, None if the broker refuses it."""
    try:
        error, first = await connection.produce(topic.name, batch.data, partition=batch.partition)
    except KafkaError:
        return None
    except TimeoutError as error:
        raise AssertionError(f"no answer to {batch.kind or 'a batch that is in order'}") from error
    return None if error else first


class Watch:
    """Asks every service for its health while it works."""

    def __init__(self, services: list[Service]) -> None:
        self.services, self.unready = services, set[str]()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._ask(service)) for service in self.services]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _ask(self, service: Service) -> None:
        while True:
            health = await service.health()
            if not health["ready"]:
                self.unready.add(f"{service.log.name}: {health.get('reasons')}")
            await asyncio.sleep(0.2)

    async def at_rest(self) -> None:
        """Wait until nothing is left to read, twice in a row: what one service publishes another has to fetch."""
        quiet = 0
        async with asyncio.timeout(WITHIN_S):
            while quiet < 3:
                health = [await service.health() for service in self.services]
                ended = [service.log.read_text() for service in self.services if service.process.poll() is not None]
                assert not ended, ended
                resting = not any(each["open"] or any(each["lag"].values()) for each in health)
                quiet = quiet + 1 if resting else 0
                await asyncio.sleep(0.2)

    def memory(self) -> list[int]:
        return [psutil.Process(service.process.pid).memory_info().rss for service in self.services]


async def _logged(flow: Flow, topic: str) -> list[Any]:
    """Return all that a topic has."""
    async with LogReader(flow.broker.access) as reader:
        return [record for number in range(PARTITIONS) for record in (await reader.read([topic], number))[topic]]


def _letter(record: Any) -> tuple[Position, str]:
    headers = {name: value.decode() for name, value in record.headers if name.startswith("dlq_")}
    place = Position(headers["dlq_topic"], int(headers["dlq_partition"]), int(headers["dlq_offset"]))
    return place, headers["dlq_reason"]


async def _write_all(writer: Writer, streams: dict[Topic, Stream], records: int) -> None:
    await asyncio.gather(*[writer.write(topic, stream.batches(records)) for topic, stream in streams.items()])


async def _hold_letters(flow: Flow, writer: Writer) -> None:
    """Each hostile record has one dead letter, at its position and with its reason, and nothing else has any."""
    for topic in ALL:
        expected = writer.letters(topic.name)
        [consumer] = topic.consumed_by
        found = Counter(map(_letter, await _logged(flow, topic.dead_letter(consumer))))
        differences = [(place, reason, writer.fates.get(place)) for place, reason in set(found) ^ set(expected.items())]
        assert not differences, (len(differences), sorted(differences, key=str)[:20])
        assert set(found.values()) == {1}


async def _hold_decided(flow: Flow, writer: Writer, store: str) -> None:
    """Every good record of whatever topic is an application with an outcome, counted once."""
    good = writer.good()
    with Store(store) as opened:
        snapshot = opened.snapshot()
    assert sum(each.n for each in snapshot.cells.values()) == len(good)
    assert sum(each.applications for each in snapshot.fingerprints.values()) == len(good)
    letters = writer.letters(APPLICATIONS_DECIDED.name)
    records = await _logged(flow, APPLICATIONS_DECIDED.name)
    decided = [record for record in records if (record.topic, record.partition, record.offset) not in letters]
    assert Counter(record.key.decode() for record in decided) == Counter(dict.fromkeys(good, 1))


@pytest.fixture
def store(container: Any, request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """SQLite beside the embedded broker, PostgreSQL beside Apache Kafka: the values at their bounds reach both."""
    return f"sqlite:///{tmp_path / 'scoring.db'}" if container is None else request.getfixturevalue("postgres")


async def _survives(flow: Flow, writer: Writer, store: str, *, warm_up: int, records: int) -> None:
    services = [
        flow.start("intake", **WITHOUT_LIMIT),
        flow.start("vneid_mock", plan="calm", **WITHOUT_LIMIT),
        flow.start("scoring", store=store, **WITHOUT_LIMIT),
    ]
    await asyncio.gather(*[service.ready() for service in services])
    # Retention would delete older records at once.
    watch, now_ms = Watch(services), int(time.time() * 1000)
    streams = {
        topic: Stream(topic, seed=SEED, partitions=PARTITIONS, broker=writer.broker.name, timestamp_ms=now_ms)
        for topic in ALL
    }
    async with watch.watching():
        await _write_all(writer, streams, warm_up)
        await watch.at_rest()
        before = watch.memory()
        await _write_all(writer, streams, records - warm_up)
        await watch.at_rest()
    after = watch.memory()
    assert watch.unready == set()
    await _hold_letters(flow, writer)
    await _hold_decided(flow, writer, store)
    growth = {service.log.name: now - then for service, now, then in zip(services, after, before, strict=True)}
    assert max(growth.values()) < MAX_GROWTH, (before, after)


@pytest.mark.timeout(400)
@pytest.mark.slow(
    reason="thousands of records of some two hundred kinds for each of five topics, and what comes of them"
)
async def test_every_hostile_record_is_set_aside_and_every_good_one_decided(broker: Broker, store: str, tmp_path: Path):
    on_kafka = broker.name == KAFKA
    async with flow_on(broker, tmp_path) as flow:
        records = RECORDS_ON_KAFKA if on_kafka else RECORDS
        await _survives(flow, Writer(broker), store, warm_up=records // 5, records=records)
