"""Ordinary Kafka clients, as their users have them: whoever files a valid application gets it decided, once."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import confluent_kafka
import pytest
from aiokafka import AIOKafkaProducer
from testcontainers.core.container import DockerContainer

from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.testing.kafka import IMAGE
from tests.component.conftest import ON_KAFKA
from tests.support.brokers import Broker
from tests.support.filings import Submitted, submitted
from tests.support.service_flow import EVENTS, PARTITIONS, Flow, expected_sums, flow_on, wait_for_sums

TOPIC = APPLICATIONS_SUBMITTED.name
CODECS = ("gzip", "snappy", "lz4", "zstd")
Files = Callable[[str, bytes | None, bytes], Awaitable[None]]


async def by_aiokafka(address: str, key: bytes | None, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait(TOPIC, value, key=key)


async def by_confluent(address: str, key: bytes | None, value: bytes) -> None:
    """librdkafka, which places keys by CRC-32."""
    producer = confluent_kafka.Producer({"bootstrap.servers": address})
    producer.produce(TOPIC, value, key=key)
    assert await asyncio.to_thread(producer.flush, 20) == 0


async def by_console_producer(address: str, key: bytes | None, value: bytes) -> None:
    line = base64.b64encode((key + b"|" if key else b"") + value + b"\n").decode()
    options = "--property parse.key=true --property key.separator=\\|" if key else ""
    producer = f"/opt/kafka/bin/kafka-console-producer.sh --bootstrap-server {address} --topic {TOPIC} {options}"
    container = DockerContainer(IMAGE, entrypoint="sh", network_mode="host")
    with container.with_command(["-c", f"echo {line} | base64 -d | {producer}"]) as running:
        code = (await asyncio.to_thread(running.get_wrapped_container().wait, timeout=60))["StatusCode"]
        assert code == 0, running.get_logs()


@pytest.fixture
async def flow(broker: Broker, tmp_path: Any) -> AsyncIterator[Flow]:
    async with flow_on(broker, tmp_path) as flow:
        await flow.start_all()
        yield flow


async def filed_everywhere(flow: Flow, files: Files, same: Submitted, own: dict[bool, Submitted]) -> None:
    """File one application that others file too, and two of its own, with and without a key."""
    for with_key in (True, False):
        for one in (same, own[with_key]):
            await files(flow.broker.address, one.key if with_key else None, one.value)


async def decided_are(flow: Flow, *events: dict[str, Any]) -> None:
    """Nothing is under way any more, and the store has these applications, each once."""
    for service in flow.services:
        await service.wait_until(lambda health: not any(health["lag"].values()) and not health["open"])
    await asyncio.to_thread(wait_for_sums, flow.folder / "scoring.db", expected_sums(events))


async def test_an_application_is_decided_once_whichever_client_files_it(flow: Flow):
    same, *own = map(submitted, EVENTS[:5])
    await filed_everywhere(flow, by_aiokafka, same, {True: own[0], False: own[1]})
    await filed_everywhere(flow, by_confluent, same, {True: own[2], False: own[3]})
    await decided_are(flow, *EVENTS[:5])


async def test_an_application_is_decided_once_on_whatever_partition_it_is_filed(flow: Flow):
    one = submitted(EVENTS[0])
    async with AIOKafkaProducer(bootstrap_servers=flow.broker.address) as producer:
        for partition in range(PARTITIONS):
            for key in (one.key, None, b"any"):
                await producer.send_and_wait(TOPIC, one.value, key=key, partition=partition)
    await decided_are(flow, EVENTS[0])


@pytest.mark.parametrize("container", [pytest.param("kafka", marks=ON_KAFKA)], indirect=True)
@pytest.mark.slow(reason="a Java client is started four times")
async def test_an_application_is_decided_once_if_the_console_producer_files_it(flow: Flow):
    same, *own = map(submitted, EVENTS[:3])
    assert flow.broker.name == "kafka"
    await filed_everywhere(flow, by_console_producer, same, {True: own[0], False: own[1]})
    await decided_are(flow, *EVENTS[:3])


async def test_an_application_is_decided_whichever_codec_its_client_compresses_with(flow: Flow):
    address, at = flow.broker.address, 0
    for codec in CODECS:
        filed = list(map(submitted, EVENTS[at : at + 6]))
        async with AIOKafkaProducer(bootstrap_servers=address, compression_type=codec, linger_ms=50) as producer:
            await asyncio.gather(*[await producer.send(TOPIC, one.value, key=one.key) for one in filed[:3]])
        librdkafka = confluent_kafka.Producer(
            {"bootstrap.servers": address, "compression.type": codec, "linger.ms": 50}
        )
        for one in filed[3:]:
            librdkafka.produce(TOPIC, one.value, key=one.key)
        assert await asyncio.to_thread(librdkafka.flush, 20) == 0
        at += len(filed)
    await decided_are(flow, *EVENTS[:at])
