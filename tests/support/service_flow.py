"""The services as processes on a broker, what is filed there, and every kind of broken record."""

import asyncio
import json
import time
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
    CORRECTIONS_REQUESTED,
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
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import named_plan
from services.vneid_mock.registry import Registry
from tests.support.brokers import Broker
from tests.support.fakes_runtime import stored
from tests.support.filings import filed, submitted
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
            "portal": {},
            "intake": {"patience_s": 1.0},
            "vneid_mock": {"plan": "mild", "seed": SEED},
            "scoring": {"store": f"sqlite:///{self.folder / 'scoring.db'}"},
        }
        given: Any = own[name]
        group = {"group_id": self.group_of(name)}
        service = Service(
            name, self.folder, **{**self.broker.settings, "partitions": PARTITIONS, **group, **given, **options}
        )
        self.services.append(service)
        return service

    def group_of(self, name: str) -> str:
        return f"{name}-{self._mark}"

    def start_api(self) -> Service:
        """The scoring API of the flow's store."""
        api = Service("scoring.api", self.folder, store=f"sqlite:///{self.folder / 'scoring.db'}")
        self.services.append(api)
        return api

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


def request(event: dict[str, Any]) -> bytes:
    copied = ("application_id", "citizen_number", "procedure", "province", "consent")
    documents = [{"component": "to_khai", "databases": ["dan_cu"]}]
    body = {"attempt": 1, "as_of": event["submitted_at"], "documents": documents, "context": "c"}
    return json.dumps({name: event[name] for name in copied} | body).encode()


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
    ]
    return [
        *[(APPLICATIONS_SUBMITTED, "intake", *case) for case in cases],
        (DOCUMENTS_PROVIDED, "intake", key, reply(good, b"not the signing key"), "forged_context"),
        (DOCUMENTS_PROVIDED, "intake", key, b"{}", "breaks_contract"),
        (DOCUMENTS_REQUESTED, "vneid_mock", key, b"{}", "breaks_contract"),
        (DOCUMENTS_REQUESTED, "vneid_mock", other, request(good), "key_mismatch"),
        (CORRECTIONS_REQUESTED, "vneid_mock", key, b"{}", "breaks_contract"),
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


def expected_sums(events: tuple[dict[str, Any], ...]) -> tuple[object, object]:
    """Cells and fingerprints of these applications, by the oracle."""
    domain = load_domain()
    oracle = Oracle(RuleBook.of(domain, 3), Vneid(Registry.of(domain), named_plan("mild"), SEED), PARTITIONS)
    rollup = Rollup()
    for event in events:
        one = submitted(event)
        record = stored(0, one.value, key=one.key, partition=place(one.key))
        rollup.apply(oracle.outcome(record), record.partition)
    return rollup.cells, rollup.fingerprints


def wait_for_sums(path: Path, expected: tuple[object, object]) -> None:
    """Wait until a store holds these sums."""
    found: tuple[object, object] = ({}, {})
    for _ in range(WITHIN_S * 10):
        with Store(f"sqlite:///{path}") as store:
            snapshot = store.snapshot()
        found = snapshot.cells, snapshot.fingerprints
        if found == expected:
            return
        time.sleep(0.1)
    assert found == expected
