"""The consumer that writes the store: outcomes and offsets in one transaction, and never one skipped."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from contracts.topics import APPLICATIONS_DECIDED
from runtime.metrics import Metrics
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings
from services.scoring import handlers
from services.scoring.app import METRICS
from services.scoring.handlers import StoreWriter
from services.scoring.rollup.rollup import Rollup
from services.scoring.store.errors import StoreUnavailableError
from services.scoring.store.store import Store
from tests.support.fakes_runtime import FakeConsumer, FakeProducer, ManualClock, MemoryLog, Stored, polled
from tests.support.scoring_examples import PARTITIONS, decided, event, partition, value_of

TOPIC, DEAD = APPLICATIONS_DECIDED.name, APPLICATIONS_DECIDED.dead_letter("scoring")


class Desk:
    """A writer on a fake client and a real store."""

    def __init__(self, url: str, identity: str = "log-1") -> None:
        self.clock, self.log = ManualClock(), MemoryLog()
        self.producer, self.consumer = FakeProducer(self.log), FakeConsumer(self.clock)
        self.store = Store(url)
        self.metrics = Metrics("bench", METRICS)
        self.writer = StoreWriter(
            self.store,
            ProcessResources(
                settings=ServiceSettings(),
                publisher=Publisher(lambda: self.producer),
                clock=self.clock,
                metrics=self.metrics,
            ),
            identity=lambda: identity,
            partitions=PARTITIONS,
        )
        self.writer._subscriber = SimpleNamespace(consumer=self.consumer)

    async def assign(self) -> None:
        partitions = {TopicPartition(TOPIC, number) for number in range(PARTITIONS)}
        self.consumer.assign(partitions)
        await self.writer.on_partitions_assigned(partitions)

    async def batch(self, *records: Stored) -> None:
        await self.writer._on_batch(polled(records))

    def sums(self) -> Any:
        snapshot = self.store.snapshot()
        return snapshot.cells, snapshot.fingerprints


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'scoring.db'}"


@pytest.fixture
def desk(url) -> Iterator[Desk]:
    desk = Desk(url)
    yield desk
    desk.store.close()


def reported(number: int, offset: int, **changes: Any) -> Stored:
    outcome = event(number, **changes)
    key = outcome.application_id.encode()
    return Stored(TOPIC, partition(decided(number)), offset, 0, key, value_of(outcome))


def expected(*numbers: int) -> Any:
    rollup = Rollup()
    for number in numbers:
        rollup.apply(decided(number), partition(decided(number)))
    return rollup.cells, rollup.fingerprints


def broken(record: Stored) -> Stored:
    return record._replace(value=b"{}")


async def test_outcomes_and_offsets_are_stored_together(desk):
    await desk.assign()
    record = reported(1, 0)
    await desk.batch(record)
    assert desk.sums() == expected(1)
    assert desk.store.offsets() == {record.partition: 1}


async def test_reading_goes_on_where_the_store_is(desk):
    await desk.assign()
    record = reported(1, 0)
    await desk.batch(record)
    await desk.writer.on_partitions_revoked(desk.consumer.assignment())
    desk.consumer.seeks.clear()
    await desk.assign()
    assert (TopicPartition(TOPIC, record.partition), 1) in desk.consumer.seeks
    await desk.batch(record)
    assert desk.sums() == expected(1)


async def test_the_stores_offset_counts_not_the_groups(desk):
    desk.consumer.offsets = {TopicPartition(TOPIC, number): 99 for number in range(PARTITIONS)}
    await desk.assign()
    assert {offset for _, offset in desk.consumer.seeks} == {0}


async def test_a_store_of_another_log_stops_the_line(url):
    with Store(url) as store:
        store.bind_log("log-0")
    desk = Desk(url)
    await desk.assign()
    assert "belongs to log log-0, the broker serves log log-1" in (desk.writer.fatal or "")
    desk.store.close()


async def test_outcomes_deleted_unread_stop_the_line(desk):
    await desk.assign()
    record = reported(1, 0)
    await desk.batch(record)
    desk.consumer.first[TopicPartition(TOPIC, record.partition)] = 5
    await desk.assign()
    assert "offset 1 is outside the log, which is 5 to" in (desk.writer.fatal or "")


async def test_a_busy_store_is_tried_until_it_takes_the_batch(desk, monkeypatch):
    sleep, apply, tries = asyncio.sleep, desk.store.apply, []
    monkeypatch.setattr(asyncio, "sleep", lambda _: sleep(0))

    def busy(*args):
        tries.append(desk.writer.trouble)
        if len(tries) < 4:
            raise StoreUnavailableError("locked")
        return apply(*args)

    monkeypatch.setattr(desk.store, "apply", busy)
    await desk.assign()
    await desk.batch(reported(1, 0))
    trouble = "the store does not take records: locked"
    assert (desk.sums(), tries) == (expected(1), [None, trouble, trouble, trouble])
    assert desk.writer.trouble is None


async def test_a_poison_outcome_is_set_aside_and_passed_over(desk):
    await desk.assign()
    good = reported(1, 0)
    await desk.batch(good, broken(good)._replace(offset=1))
    [letter] = desk.log.all_of(DEAD)
    assert dict(letter.headers)["dlq_reason"] == b"breaks_contract"
    assert (desk.sums(), desk.store.offsets()) == (expected(1), {good.partition: 2})


async def test_a_dead_letter_is_stored_before_its_offset(desk):
    await desk.assign()
    desk.producer.errors = [TypeError("headers")]
    await desk.batch(broken(reported(1, 0)))
    assert "TypeError" in (desk.writer.fatal or "")
    assert desk.store.offsets() == {}


async def test_our_own_bug_on_one_outcome_spares_the_others(desk, monkeypatch):
    def decode(record, *_, **__):
        if record.offset == 0:
            raise ZeroDivisionError
        return decided(1)

    monkeypatch.setattr(handlers, "decode", decode)
    await desk.assign()
    record = reported(1, 0)
    await desk.batch(record, record._replace(offset=1))
    [letter] = desk.log.all_of(DEAD)
    assert dict(letter.headers)["dlq_reason"] == b"handler_error"
    assert (desk.sums(), desk.writer.fatal) == (expected(1), None)


async def test_a_flood_of_poison_outcomes_stops_the_line(desk):
    await desk.assign()
    record = broken(reported(1, 0))
    await desk.batch(*[record._replace(offset=offset) for offset in range(500)])
    assert "bad deploy" in (desk.writer.fatal or "")
    assert (desk.log.all_of(DEAD), desk.store.offsets(), desk.consumer.commits) == ([], {}, [])


async def test_a_store_that_is_away_at_assignment_is_waited_for(desk, monkeypatch):
    """A database that restarts during a rebalance must not end the process."""
    sleep, bind_log, tries = asyncio.sleep, desk.store.bind_log, []
    monkeypatch.setattr(asyncio, "sleep", lambda _: sleep(0))

    def away(identity):
        tries.append(desk.writer.trouble)
        if len(tries) < 3:
            raise StoreUnavailableError("connection refused")
        bind_log(identity)

    monkeypatch.setattr(desk.store, "bind_log", away)
    await desk.assign()
    trouble = "the store does not take records: connection refused"
    assert (tries, desk.writer.trouble, desk.writer.fatal) == ([None, trouble, trouble], None, None)
    await desk.batch(reported(1, 0))
    assert desk.sums() == expected(1)


async def test_a_store_put_back_under_the_consumer_stops_the_line(url, desk):
    await desk.assign()
    records = [reported(1, 0)._replace(offset=offset) for offset in range(3)]
    await desk.batch(records[0])
    await desk.batch(records[1])
    with Store(url) as store, store._session.write_transaction():
        store._session.run("UPDATE consumer_offset SET next_offset = 1 WHERE partition = ?", (records[0].partition,))
    await desk.batch(records[2])
    assert "stands at offset 1" in (desk.writer.fatal or "")
    assert "restart the consumer" in (desk.writer.fatal or "")
