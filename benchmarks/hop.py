"""The kernel's bare hop against a hand-written aiokafka loop: decode, copy, publish, trailing commit.

    python -m benchmarks.hop --records 200000 --rounds 5

Both variants read the same log on one embedded broker, in turn, each in a process of its own; the ratio is taken round
by round, so it holds when the machine's speed drifts.
"""

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from pydantic_settings import SettingsConfigDict

from contracts.cloudevents import header_maker
from contracts.events import Event
from contracts.partition import partition_of
from runtime.broker import MAX_BATCH_BYTES, MAX_FETCH_BYTES, open_broker
from runtime.kernel import Kernel
from runtime.messages import Effects, Message, Record, State
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import WindowOptions
from runtime.parts import Parts
from runtime.settings import ServiceSettings
from simulation.local.broker import EmbeddedBroker
from simulation.local.ports import Ports

PARTITIONS = 6
SOURCE, TARGET = "hop.in", "hop.out"
COMMIT_S = 0.2


class Hop(Event):
    """The benchmark's record, about 200 bytes of JSON."""

    key: str
    number: int
    text: str


class HopSettings(ServiceSettings):
    """Settings of the benchmark's consumer."""

    model_config = SettingsConfigDict(env_prefix="HOP_", frozen=True, extra="forbid")
    idempotent_producer: bool = False
    end_offsets_reliable: bool = False
    session_timeout_ms: int = 2_000


headers = header_maker("/benchmarks/hop", "hop.v1")


async def fill(servers: str, records: int) -> None:
    """Create the topics and write the log."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (SOURCE, TARGET)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=MAX_BATCH_BYTES)
    await producer.start()
    by_partition: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for number in range(records):
        hop = Hop(key=f"record-{number:012}", number=number, text="x" * 130)
        key = hop.key.encode()
        by_partition[partition_of(key, PARTITIONS)].append((key, hop.model_dump_json().encode()))
    for partition, rows in by_partition.items():
        batch = producer.create_batch()
        for key, value in rows:
            if batch.append(key=key, value=value, timestamp=None, headers=headers(f"{key!r}")) is None:
                await producer.send_batch(batch, SOURCE, partition=partition)
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers(f"{key!r}"))
        await producer.send_batch(batch, SOURCE, partition=partition)
    await producer.stop()


class HopLogic:
    """Decodes and copies."""

    def __init__(self) -> None:
        self.seen = 0

    def on_record(self, record: Record, waiting: Mapping[bytes, State]) -> Effects:  # noqa: ARG002  `Logic`
        """Return the copy."""
        hop = Hop.model_validate_json(record.value or b"")
        self.seen += 1
        return Effects((Message(TARGET, record.key, record.value, headers(hop.key)),))

    def on_deadline(self, key: bytes, state: State) -> Effects:  # noqa: ARG002  `Logic`
        """Nothing stays open."""
        raise AssertionError


async def kernel(servers: str, records: int, group: str) -> dict[str, float]:
    """Hop with the kernel on FastStream."""
    settings = HopSettings(kafka_servers=servers, group_id=group)
    parts = Parts.of("hop", settings, KERNEL_METRICS, lambda: None)
    await parts.producer.start()
    logic = HopLogic()
    broker = open_broker(settings)
    hop = Kernel(
        logic,
        parts,
        topics=[SOURCE],
        window=WindowOptions(opens=SOURCE),
        dead_letter_topic=lambda topic: f"{topic}.dlq",
    )
    hop.attach(broker)
    await broker.start()
    await hop.start()
    result = await timed(lambda: logic.seen, records)
    await hop.drain()
    await broker.stop()
    await parts.producer.stop()
    return result


async def by_hand(servers: str, records: int, group: str) -> dict[str, float]:
    """Hop with a hand-written aiokafka loop that gives the same guarantee."""
    consumer = AIOKafkaConsumer(
        SOURCE,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=2_000,
        heartbeat_interval_ms=600,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=MAX_BATCH_BYTES, linger_ms=0)
    await consumer.start()
    await producer.start()
    seen = [0]
    positions: dict[TopicPartition, int] = {}

    async def loop() -> None:
        commit_at = time.monotonic()
        while True:
            for tp, rows in (await consumer.getmany(timeout_ms=20, max_records=4_000)).items():
                await copy(producer, tp.partition, rows)
                positions[tp] = rows[-1].offset + 1
                seen[0] += len(rows)
            if time.monotonic() - commit_at > COMMIT_S and positions:
                await consumer.commit(positions)
                commit_at = time.monotonic()

    task = asyncio.create_task(loop())
    result = await timed(lambda: seen[0], records)
    task.cancel()
    await consumer.commit(positions)
    await consumer.stop()
    await producer.stop()
    return result


async def copy(producer: Any, partition: int, rows: list[Any]) -> None:
    """Decode and publish one partition's rows in closed batches."""
    futures = []
    batch = producer.create_batch()
    for row in rows:
        hop = Hop.model_validate_json(row.value)
        made = headers(hop.key)
        if batch.append(key=row.key, value=row.value, timestamp=None, headers=made) is None:
            batch.close()
            futures.append(await producer.send_batch(batch, TARGET, partition=partition))
            batch = producer.create_batch()
            batch.append(key=row.key, value=row.value, timestamp=None, headers=made)
    batch.close()
    futures.append(await producer.send_batch(batch, TARGET, partition=partition))
    await asyncio.gather(*futures)


async def timed(seen: Callable[[], int], records: int) -> dict[str, float]:
    """Return records per second from the first record to the last, and this process's CPU µs per record meanwhile."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    while not seen():  # noqa: ASYNC110  the hop under test must not wait for its watcher
        await asyncio.sleep(0.002)
    first, started, cpu = seen(), time.monotonic(), time.process_time()
    while seen() < records:  # noqa: ASYNC110  as above
        await asyncio.sleep(0.005)
    counted = records - first
    return {
        "records_per_s": counted / (time.monotonic() - started),
        "cpu_us_per_record": (time.process_time() - cpu) / counted * 1e6,
    }


def run_variant(name: str, servers: str, records: int, group: str) -> dict[str, float]:
    """Run one variant to the end; called in a process of its own."""
    variants = {"kernel": kernel, "aiokafka": by_hand}
    return asyncio.run(variants[name](servers, records, group))


def measure(servers: str, records: int, rounds: int) -> dict[str, Any]:
    """Run both variants in turn, the first round uncounted."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for turn in range(rounds + 1):
        for name in ("kernel", "aiokafka"):
            with get_context("spawn").Pool(1) as pool:
                one = pool.apply(run_variant, (name, servers, records, f"{name}-{turn}"))
            if turn:
                found[name].append(one)
                print(f"{name:9} {one['records_per_s']:9,.0f}/s {one['cpu_us_per_record']:6.2f} µs CPU")
    pairs = list(zip(found["kernel"], found["aiokafka"], strict=True))
    ratios = sorted(ours["records_per_s"] / theirs["records_per_s"] for ours, theirs in pairs)
    return {
        "hop_vs_aiokafka": statistics.median(ratios),
        "spread": [ratios[0], ratios[-1]],
        "cpu_ratio": statistics.median(
            ours["cpu_us_per_record"] / theirs["cpu_us_per_record"] for ours, theirs in pairs
        ),
        **{name: {key: statistics.median(one[key] for one in runs) for key in runs[0]} for name, runs in found.items()},
    }


async def main() -> None:
    """Start a broker, fill it, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedBroker(Ports({}).take("broker"), Path(folder) / "broker.log")
        await broker.start()
        try:
            await fill(broker.address, given.records)
            result = await asyncio.to_thread(measure, broker.address, given.records, given.rounds)
        finally:
            await broker.stop()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
