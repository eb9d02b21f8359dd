"""The services as processes on a broker: poison, stops, shared partitions and refusals to start."""

import asyncio
import json
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from contracts.events import ApplicationSubmitted
from contracts.partition import partition_of
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    Topic,
)
from domain import load_domain
from paperless.operations.topics import ensure_topics
from paperless.verification.oracle import Oracle
from services.intake.context import facts_of, seal
from services.intake.core import RuleBook
from services.scoring.rollup.rollup import Rollup
from services.scoring.store.store import Store
from services.vneid_mock.plan_files import named_plan
from tests.component.conftest import Broker
from tests.support.confluence_filings import filed, submitted
from tests.support.fakes_runtime import stored
from tests.support.service_processes import WITHIN_S, Service

PARTITIONS, SEED, EXIT_FATAL = 2, 5, 78
CONSUMERS = ("intake", "vneid_mock", "scoring")
EVENTS = filed(2)


class Flow:
    """A broker with topics, and the services on it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        # A broker that serves many tests remembers groups, and for a while their killed members.
        self._mark = uuid.uuid4().hex[:8]
        self.services: list[Service] = []

    def start(self, name: str, **options: object) -> Service:
        own: dict[str, object] = {
            "intake": {"patience_s": 1.0},
            "vneid_mock": {"plan": "mild", "seed": SEED},
            "scoring": {"store": f"sqlite:///{self.folder / 'scoring.db'}"},
        }
        given: Any = own[name]
        group = {"group_id": f"{name}-{self._mark}"}
        service = Service(
            name, self.folder, **{**self.broker.settings, "partitions": PARTITIONS, **group, **given, **options}
        )
        self.services.append(service)
        return service

    async def start_all(self) -> list[Service]:
        services = [self.start(name) for name in CONSUMERS]
        await asyncio.gather(*[service.ready() for service in services])
        return services

    async def read(self, topic: str, count: int) -> list[ConsumerRecord]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.address, auto_offset_reset="earliest", group_id=None)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
            found: list[ConsumerRecord] = []
            async with asyncio.timeout(WITHIN_S):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += records
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def flow_on(broker: Broker, folder: Path, *, topics: bool = True) -> AsyncIterator[Flow]:
    flow = Flow(broker, folder)
    try:
        if topics:
            await ensure_topics(broker.access, partitions=PARTITIONS)
        yield flow
    finally:
        for service in flow.services:
            service.kill()


@asynccontextmanager
async def producer_of(flow: Flow) -> AsyncIterator[AIOKafkaProducer]:
    # Larger than the default, so that the broker and the consumer, not this client, meet the large value.
    producer = AIOKafkaProducer(bootstrap_servers=flow.broker.address, acks="all", max_request_size=2_000_000)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def place(key: bytes) -> int:
    return partition_of(key, PARTITIONS)


def reply(event: dict[str, Any], signing_key: bytes) -> bytes:
    facts = facts_of(ApplicationSubmitted.model_validate_json(json.dumps(event)), "0" * 16)
    body = {"application_id": facts.application_id, "attempt": 1, "answers": [], "context": seal(facts, signing_key)}
    return json.dumps(body).encode()


def poison() -> list[tuple[Topic, str, bytes, bytes | None, str]]:
    """Broken records as (topic, consumer, key, value, reason)."""
    good = dict(EVENTS[0])
    key = good["application_id"].encode()
    missing = {name: value for name, value in good.items() if name != "procedure"}
    other = EVENTS[1]["application_id"].encode()
    while place(other) != place(key):
        other += b"0"
    cases: list[tuple[bytes, bytes | None, str]] = [
        (key, b'{"application_id": ', "not_json"),
        (key, b"\xff\xfe\xfd", "not_json"),
        (key, b"[1, 2]", "breaks_contract"),
        (key, json.dumps(good | {"account_level": "2"}).encode(), "breaks_contract"),
        (key, json.dumps(missing).encode(), "breaks_contract"),
        (key, json.dumps(good | {"procedure": "9.999999"}).encode(), "unknown_procedure"),
        (key, json.dumps(good | {"home_province": "99"}).encode(), "unknown_province"),
        (key, None, "tombstone"),
        (key, b'{"padding": "' + b"x" * 900_000 + b'"}', "too_large"),
        (other, json.dumps(good).encode(), "key_mismatch"),
    ]
    return [
        *[(APPLICATIONS_SUBMITTED, "intake", *case) for case in cases],
        (DOCUMENTS_PROVIDED, "intake", key, reply(good, b"not the signing key"), "forged_context"),
        (DOCUMENTS_PROVIDED, "intake", key, b"{}", "breaks_contract"),
        (DOCUMENTS_REQUESTED, "vneid_mock", key, b"{}", "breaks_contract"),
        (APPLICATIONS_DECIDED, "scoring", key, b"{}", "breaks_contract"),
        (APPLICATIONS_DECIDED, "scoring", key, None, "tombstone"),
    ]


async def send_poison(producer: AIOKafkaProducer) -> dict[str, list[tuple[str, bytes | None]]]:
    """Send it all; return what the dead-letter topics must hold."""
    expected: dict[str, list[tuple[str, bytes | None]]] = {}
    for topic, consumer, key, value, reason in poison():
        sent = await producer.send_and_wait(
            topic.name, value, key=key, partition=place(key), headers=[("not utf-8", b"\xff\xfe")]
        )
        where = f"{reason} {sent.partition}/{sent.offset}"
        expected.setdefault(topic.dead_letter(consumer), []).append((where, value))
    return expected


def found_in(letter: ConsumerRecord) -> tuple[str, bytes | None]:
    headers = dict(letter.headers)
    assert headers["not utf-8"] == b"\xff\xfe"
    reason, partition, offset = (headers[f"dlq_{name}"].decode() for name in ("reason", "partition", "offset"))
    return f"{reason} {partition}/{offset}", letter.value


async def test_poison_of_every_kind_is_set_aside_and_the_flow_goes_on(broker: Broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow, producer_of(flow) as producer:
        expected = await send_poison(producer)
        one = submitted(EVENTS[2])
        headers = [("x", b"\xff")]
        await producer.send_and_wait(
            APPLICATIONS_SUBMITTED.name, one.value, key=one.key, partition=place(one.key), headers=headers
        )
        services = await flow.start_all()
        for topic, letters in expected.items():
            found = [found_in(record) for record in await flow.read(topic, len(letters))]
            assert sorted(found, key=str) == sorted(letters, key=str), topic
        decided = await flow.read(APPLICATIONS_DECIDED.name, 3)
        assert one.key in {record.key for record in decided}
        for service in services:
            await service.wait_until(lambda health: health["ready"] and not any(health["lag"].values()))


async def test_sigterm_ends_every_service_with_exit_code_0(broker: Broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow:
        services = await flow.start_all()
        for service in services:
            service.process.send_signal(signal.SIGTERM)
        codes = await asyncio.gather(*[service.exit_code() for service in services])
        assert codes == [0, 0, 0], [service.log.read_text()[-2_000:] for service in services]


async def test_missing_topics_refuse_the_start_for_good(broker: Broker, tmp_path):
    async with flow_on(broker, tmp_path, topics=False) as flow:
        services = [flow.start(name) for name in CONSUMERS]
        codes = await asyncio.gather(*[service.exit_code() for service in services])
        assert codes == [EXIT_FATAL] * 3, [service.log.read_text()[-2_000:] for service in services]
        for service in services:
            assert "is missing; run `paperless topics`" in service.log.read_text()
        # Their asking has created nothing: topics can still be made as they must be.
        assert set((await ensure_topics(flow.broker.access, partitions=PARTITIONS)).topics.values()) == {"created"}


async def test_another_partition_count_refuses_the_start_for_good(broker: Broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow:
        intake = flow.start("intake", partitions=PARTITIONS + 1)
        assert await intake.exit_code() == EXIT_FATAL, intake.log.read_text()[-2_000:]
        assert "set the service's partitions to 2" in intake.log.read_text()


async def test_a_store_of_another_log_refuses_the_start_for_good(broker: Broker, tmp_path):
    with Store(f"sqlite:///{tmp_path / 'scoring.db'}") as store:
        store.bind_log("another-log")
    async with flow_on(broker, tmp_path) as flow:
        scoring = flow.start("scoring")
        assert await scoring.exit_code() == EXIT_FATAL, scoring.log.read_text()[-2_000:]
        assert "belongs to log another-log" in scoring.log.read_text()


async def file_all(flow: Flow, events: tuple[dict[str, Any], ...]) -> None:
    async with producer_of(flow) as producer:
        for event in events:
            one = submitted(event)
            await producer.send_and_wait(APPLICATIONS_SUBMITTED.name, one.value, key=one.key, partition=place(one.key))


def expected_sums(events: tuple[dict[str, Any], ...]) -> tuple[object, object]:
    oracle = Oracle(RuleBook.of(load_domain(), 3), named_plan("mild"), SEED, PARTITIONS)
    rollup = Rollup()
    for event in events:
        one = submitted(event)
        record = stored(0, one.value, key=one.key, partition=place(one.key))
        rollup.apply(oracle.outcome(record), record.partition)
    return rollup.cells, rollup.fingerprints


@pytest.mark.timeout(180)
async def test_a_member_that_joins_leaves_or_dies_loses_nothing(broker: Broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow:
        first, mock, scoring = await flow.start_all()
        await file_all(flow, EVENTS[:20])
        second = flow.start("intake")
        await second.wait_until(lambda health: len(health["partitions"]) == 1)
        await first.wait_until(lambda health: len(health["partitions"]) == 1)
        await file_all(flow, EVENTS[20:40])
        second.process.send_signal(signal.SIGTERM)
        assert await second.exit_code() == 0
        await first.wait_until(lambda health: len(health["partitions"]) == PARTITIONS)
        third = flow.start("intake")
        await third.wait_until(lambda health: len(health["partitions"]) == 1)
        await file_all(flow, EVENTS[40:])
        third.kill()
        for service in (first, mock, scoring):
            await service.wait_until(
                lambda health: (
                    health["ready"]
                    and len(health["partitions"]) == PARTITIONS
                    and not any(health["lag"].values())
                    and health["open"] == 0
                )
            )
        # What one service had just published the next may not have fetched yet.
        await asyncio.to_thread(wait_for_sums, tmp_path / "scoring.db", expected_sums(EVENTS))


def wait_for_sums(path: Path, expected: tuple[object, object]) -> None:
    found: tuple[object, object] = ({}, {})
    for _ in range(WITHIN_S * 10):
        with Store(f"sqlite:///{path}") as store:
            reading = store.reading()
        found = reading.cells, reading.fingerprints
        if found == expected:
            return
        time.sleep(0.1)
    assert found == expected
