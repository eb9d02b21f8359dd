"""The services as processes on a broker, what is filed there, and every kind of broken record."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord

from contracts.events import ApplicationSubmitted
from contracts.records import partition_of
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    Topic,
)
from paperless.operations.topics import ensure_topics
from services.intake.context import facts_of, seal
from tests.support.brokers import Broker
from tests.support.confluence_filings import filed, submitted
from tests.support.service_processes import WITHIN_S, Service

PARTITIONS, SEED = 2, 5
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
        return await self.broker.read(topic, count, partitions=PARTITIONS, within_s=WITHIN_S)


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


async def file_all(flow: Flow, events: tuple[dict[str, Any], ...]) -> None:
    async with producer_of(flow) as producer:
        for event in events:
            one = submitted(event)
            await producer.send_and_wait(APPLICATIONS_SUBMITTED.name, one.value, key=one.key, partition=place(one.key))
