"""The driver on a broker: what it sends, when, and what it says about it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

from contracts.events import ApplicationSubmitted
from contracts.topics import ALL, APPLICATIONS_SUBMITTED, LOG_IDENTITY
from domain import load_domain
from paperless.local.ports import Ports
from paperless.population.scenario import load_scenario
from paperless.traffic.driver import DrivePlan, DriveResult, Progress, drive
from paperless.traffic.manifest import read_manifest
from paperless.traffic.recording import Recording
from paperless.traffic.survey import LogError, survey
from runtime.settings import KafkaAccess
from tests.support.brokers import Broker

PARTITIONS = 3
HEADERS = {"ce_specversion": b"1.0", "ce_source": b"/simulation/driver", "ce_type": b"applications.submitted.v1"}


async def create_topics(broker: Broker, counts: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in counts.items()])
    finally:
        await admin.close()


@pytest.fixture
async def log(broker: Broker) -> Broker:
    await create_topics(broker, {topic.name: PARTITIONS for topic in ALL} | {LOG_IDENTITY: 1})
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    await producer.send_and_wait(LOG_IDENTITY, b"log-1", partition=0)
    await producer.stop()
    return broker


async def read_all(broker: Broker, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(APPLICATIONS_SUBMITTED.name, number) for number in range(PARTITIONS)])
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        found += [r for records in (await consumer.getmany(timeout_ms=300)).values() for r in records]
        return found
    finally:
        await consumer.stop()


def plan(applications: int, *, seconds_per_day: float | None = None, scenario: str = "national-day") -> DrivePlan:
    loaded = load_scenario(scenario, load_domain())
    return DrivePlan(scenario=loaded, seed=7, applications=applications, seconds_per_day=seconds_per_day)


async def play(broker: Broker, what: DrivePlan, **options: Any) -> DriveResult:
    """Drive as a broker of its kind is driven."""
    fitting = replace(what, idempotent_producer=broker.capabilities.idempotent_producer)
    return await drive(fitting, access=broker.access, **options)


def recording(tmp_path: Path) -> Recording:
    path = tmp_path / "manifest.json"
    return Recording(path=path, run_id="run-1", plan_name="mild", plan={"late": 0.1}, rules_version=1)


async def test_every_application_is_sent_once_to_its_partition(log: Broker):
    shown: list[Progress] = []
    result = await play(log, plan(3_000), progress=shown.append)
    records = await read_all(log, 3_000)
    assert (result.sent, len(records), len({record.key for record in records})) == (3_000, 3_000, 3_000)
    assert all(record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS for record in records)
    assert result.value_bytes == sum(len(record.value) for record in records)
    assert (shown[-1].sent, shown[-1].planned, result.stopped) == (3_000, 3_000, False)


async def test_each_record_carries_event_key_and_headers(log: Broker):
    await play(log, plan(300))
    for record in await read_all(log, 300):
        event = ApplicationSubmitted.model_validate_json(record.value)
        assert record.key == event.application_id.encode()
        assert dict(record.headers) == HEADERS | {"ce_id": f"{event.application_id}/submitted".encode()}
        assert len(record.headers) == 4


async def test_each_partition_is_in_the_order_of_event_time(log: Broker):
    await play(log, plan(3_000))
    times: dict[int, list[str]] = {}
    for record in sorted(await read_all(log, 3_000), key=lambda record: record.offset):
        times.setdefault(record.partition, []).append(json.loads(record.value)["submitted_at"])
    assert len(times) == PARTITIONS
    assert all(found == sorted(found) for found in times.values())


async def test_pace_changes_when_but_not_what_is_sent(log: Broker):
    fast = await play(log, plan(500))
    paced = await play(log, plan(500, seconds_per_day=0.6))
    values = [record.value for record in await read_all(log, 1_000)]
    assert fast.sent == paced.sent == 500
    assert len(set(values)) == 500
    assert fast.slip_max_s == 0
    assert paced.slip_max_s > 0


async def test_the_manifest_tells_where_the_run_began_and_ended(log: Broker, tmp_path: Path):
    await play(log, plan(200))
    before = await survey(log.access, end_offsets_reliable=log.capabilities.end_offsets_reliable)
    await play(log, plan(400, scenario="week"), recording=recording(tmp_path))
    manifest = read_manifest(tmp_path / "manifest.json")
    assert manifest.start_offsets == before.start_offsets
    assert sum(before.start_offsets.values()) == 200
    assert (manifest.status, manifest.sent, manifest.log_identity) == ("sent", 400, "log-1")
    assert (manifest.partitions, manifest.plan_name, manifest.seed) == (PARTITIONS, "mild", 7)
    assert [day.sent for day in manifest.days] == [day.planned for day in manifest.days]
    firsts = [day.first_at for day in manifest.days]
    assert all(first and first.date() == day.day for first, day in zip(firsts, manifest.days, strict=True))


async def test_a_stopped_run_counts_exactly_what_was_stored(log: Broker, tmp_path: Path):
    stop = asyncio.Event()

    def stop_after_some(progress: Progress) -> None:
        if progress.sent >= 20:
            stop.set()

    result = await play(
        log, plan(2_000, seconds_per_day=20), progress=stop_after_some, stop=stop, recording=recording(tmp_path)
    )
    assert 20 <= result.sent < 2_000
    assert len(await read_all(log, result.sent)) == result.sent
    manifest = read_manifest(tmp_path / "manifest.json")
    assert (manifest.status, manifest.sent) == ("stopped", result.sent)


async def test_a_cancelled_run_leaves_a_true_manifest(log: Broker, tmp_path: Path):
    some_sent = asyncio.Event()

    def notice(progress: Progress) -> None:
        if progress.sent:
            some_sent.set()

    slow = plan(2_000, seconds_per_day=20)
    run = asyncio.create_task(play(log, slow, progress=notice, recording=recording(tmp_path)))
    async with asyncio.timeout(20):
        await asyncio.wait({run, asyncio.create_task(some_sent.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert not run.done()
    assert read_manifest(tmp_path / "manifest.json").status == "sending"
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    manifest = read_manifest(tmp_path / "manifest.json")
    assert manifest.status == "stopped"
    assert 0 < manifest.sent < 2_000
    assert len(await read_all(log, manifest.sent)) == manifest.sent


async def test_missing_topics_are_named_before_anything_is_sent(broker: Broker, tmp_path: Path):
    await create_topics(broker, {APPLICATIONS_SUBMITTED.name: 3})
    with pytest.raises(LogError, match=r"topics documents\.requested.*: missing; create them"):
        await play(broker, plan(10), recording=recording(tmp_path))
    assert not (tmp_path / "manifest.json").exists()


async def test_differing_partition_counts_are_refused(broker: Broker):
    await create_topics(broker, {topic.name: 3 for topic in ALL} | {APPLICATIONS_SUBMITTED.name: 4})
    with pytest.raises(LogError, match=r"partitions differ \(applications\.submitted 4, documents\.requested 3"):
        await play(broker, plan(10))


async def test_an_idempotent_producer_is_refused_with_advice(tansu: Broker, tmp_path: Path):
    await create_topics(tansu, {topic.name: PARTITIONS for topic in ALL})
    wanted = replace(plan(10), idempotent_producer=True)
    with pytest.raises(LogError, match="Tansu needs idempotent_producer=False"):
        await drive(wanted, access=tansu.access, recording=recording(tmp_path))
    assert read_manifest(tmp_path / "manifest.json").status == "failed"


async def test_an_absent_broker_is_named_with_its_address():
    address = f"127.0.0.1:{Ports().take('broker')}"
    with pytest.raises(LogError, match=f"broker {address}: no answer"):
        await drive(plan(10), access=KafkaAccess(kafka_servers=address))
