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
from services.scoring.handlers import REFUSED_BY_STORE_RUN, StoreWriter
from services.scoring.rollup.outcome import decode
from services.scoring.rollup.rollup import Rollup
from services.scoring.store.errors import StoreRefusesError, StoreUnavailableError
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


def refusing(desk: Desk, monkeypatch: pytest.MonkeyPatch, *names: str, error: str = "no column holds it") -> list[int]:
    """Let the store refuse these applications, and return the sizes of what it is asked to apply from now on."""
    apply, sizes = desk.store.apply, []

    def apply_others(batch, *offsets):
        sizes.append(len(batch))
        if any(outcome.application_id in names for *_, outcome in batch):
            raise StoreRefusesError(error)
        return apply(batch, *offsets)

    monkeypatch.setattr(desk.store, "apply", apply_others)
    return sizes


def in_one_partition(count: int, *, gaps: bool = False) -> list[Stored]:
    """Outcomes of as many applications of partition 0, where offsets need not be dense."""
    numbers = [number for number in range(1, 5 * count) if partition(decided(number)) == 0][:count]
    return [reported(number, place * (3 if gaps else 1)) for place, number in enumerate(numbers)]


def numbers_of(records: list[Stored]) -> list[int]:
    return [int((record.key or b"")[-12:], 16) for record in records]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("places", [(0,), (17,), (39,), (4, 5), (0, 20, 39), (38, 39)])
async def test_an_outcome_that_the_store_refuses_is_set_aside_alone(desk, monkeypatch, places, gaps):
    records = in_one_partition(40, gaps=gaps)
    bad = [records[place] for place in places]
    sizes = refusing(desk, monkeypatch, *[(record.key or b"").decode() for record in bad])
    await desk.assign()
    await desk.batch(*records)
    letters = desk.log.all_of(DEAD)
    assert [(letter.key, dict(letter.headers)["dlq_reason"]) for letter in letters] == [
        (record.key, b"store_refuses") for record in bad
    ]
    good = [record for record in records if record not in bad]
    assert (desk.writer.fatal, desk.sums()) == (None, expected(*numbers_of(good)))
    assert desk.store.offsets() == {0: records[-1].offset + 1}
    # The whole, and at each halving two parts.
    assert len(sizes) <= 1 + 2 * 6 * len(bad) + len(bad)


async def test_outcomes_of_several_partitions_are_halved_together(desk, monkeypatch):
    records = [reported(number, 0) for number in range(1, 30)]
    by_partition = {record.partition: record for record in records}
    bad = by_partition[1]
    refusing(desk, monkeypatch, (bad.key or b"").decode())
    await desk.assign()
    await desk.batch(*by_partition.values())
    good = [record for record in by_partition.values() if record is not bad]
    assert (desk.sums(), desk.store.offsets()) == (expected(*numbers_of(good)), dict.fromkeys(by_partition, 1))
    assert desk.metrics.tally("dead_letters_total") == {(TOPIC, "store_refuses"): 1}


async def test_what_the_store_refuses_is_in_the_dead_letters_before_an_offset_passes_it(desk, monkeypatch):
    records = in_one_partition(3)
    refusing(desk, monkeypatch, (records[1].key or b"").decode())
    await desk.assign()
    desk.producer.errors = [TypeError("headers")]
    await desk.batch(*records)
    assert "TypeError" in (desk.writer.fatal or "")
    assert (desk.store.offsets(), desk.log.all_of(DEAD)) == ({0: 1}, [])


async def test_a_store_that_refuses_everything_stops_the_line(desk, monkeypatch):
    records = in_one_partition(60)
    refusing(desk, monkeypatch, *[(record.key or b"").decode() for record in records])
    await desk.assign()
    await desk.batch(*records)
    assert "refused in a row" in (desk.writer.fatal or "")
    assert (len(desk.log.all_of(DEAD)), desk.store.offsets()) == (REFUSED_BY_STORE_RUN - 1, {})


@pytest.mark.parametrize("beyond", [2**31, 2**63, 2**64])
async def test_a_number_beyond_the_contract_ends_no_process(desk, beyond):
    records = in_one_partition(3)
    value = (records[1].value or b"").replace(b'"rules_version":1', b'"rules_version":%d' % beyond)
    await desk.assign()
    await desk.batch(records[0], records[1]._replace(value=value), records[2])
    [letter] = desk.log.all_of(DEAD)
    assert dict(letter.headers)["dlq_reason"] == b"breaks_contract"
    assert (desk.writer.fatal, desk.sums()) == (None, expected(*numbers_of([records[0], records[2]])))


async def test_a_number_beyond_the_stores_columns_is_refused_alone(desk, monkeypatch):
    """Should one pass the contract all the same."""
    records = in_one_partition(5)
    large = decided(numbers_of(records)[2])._replace(rules_version=2**63)
    monkeypatch.setattr(
        handlers, "decode", lambda record, *a, **o: large if record is records[2] else decode(record, *a, **o)
    )
    await desk.assign()
    await desk.batch(*records)
    [letter] = desk.log.all_of(DEAD)
    assert (letter.value, desk.writer.fatal) == (records[2].value, None)
    assert desk.sums() == expected(*numbers_of([*records[:2], *records[3:]]))


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
