"""The services as processes on a broker: poison, stops, shared partitions and refusals to start."""

import asyncio
import signal

import pytest
from aiokafka import ConsumerRecord

from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
)
from paperless.operations.topics import ensure_topics
from services.scoring.store.store import Store
from tests.support.brokers import Broker
from tests.support.filings import submitted
from tests.support.service_flow import (
    CONSUMERS,
    EVENTS,
    PARTITIONS,
    expected_sums,
    file_all,
    flow_on,
    place,
    producer_of,
    send_poison,
    wait_for_sums,
)

EXIT_FATAL = 78


def found_in(letter: ConsumerRecord) -> tuple[str, bytes | None]:
    headers = dict(letter.headers)
    assert headers["not utf-8"] == b"\xff\xfe"
    reason, partition, offset = (headers[f"dlq_{name}"].decode() for name in ("reason", "partition", "offset"))
    return f"{reason} {partition}/{offset}", letter.value


@pytest.mark.slow(reason="starts every service and reads every topic of dead letters")
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


@pytest.mark.timeout(180)
@pytest.mark.slow(reason="a group needs seconds to notice each member that joins, leaves or dies")
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
