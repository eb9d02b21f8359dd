"""What a fetch costs the embedded broker: by the batches in a partition's log, and by the partitions with news.

Each fetch asks for the newest record of each partition: what a consumer does that keeps up.
"""

import asyncio
import time

from aiokafka import AIOKafkaProducer
from aiokafka.protocol.fetch import FetchRequest
from rich.table import Table

from benchmarks.log import embedded_broker
from contracts.topics import APPLICATIONS_SUBMITTED, DEFAULT_PARTITIONS
from paperless.cli.output import make_console
from paperless.operations.topics import ensure_topics
from runtime.settings import KafkaAccess

TOPIC = APPLICATIONS_SUBMITTED.name
LENGTHS = (100, 1_000, 4_000)
FETCHES = 100
VALUE = b"x" * 500


async def measure(lengths: tuple[int, ...] = LENGTHS) -> dict[int, list[float]]:
    """Return the wall time of a fetch in ms, by batches per partition; each for 1, 2 … partitions with news."""
    costs: dict[int, list[float]] = {}
    async with embedded_broker() as servers:
        await ensure_topics(KafkaAccess(kafka_servers=servers))
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            appended = 0
            for length in lengths:
                await _append(producer, length - appended)
                appended = length
                costs[length] = [await _fetch_ms(producer, length, some + 1) for some in range(DEFAULT_PARTITIONS)]
    return costs


async def _append(producer: AIOKafkaProducer, batches: int) -> None:
    """Append batches of one record to every partition."""
    for _ in range(batches):
        await asyncio.gather(
            *(producer.send_and_wait(TOPIC, VALUE, partition=number) for number in range(DEFAULT_PARTITIONS))
        )


async def _fetch_ms(producer: AIOKafkaProducer, length: int, partitions: int) -> float:
    newest = [(number, length - 1, 1 << 20) for number in range(partitions)]
    (node,) = producer.client.cluster.brokers()
    began = time.perf_counter()
    for _ in range(FETCHES):
        await producer.client.send(node.nodeId, FetchRequest(25, 1, 1 << 20, 0, [(TOPIC, newest)]))
    return (time.perf_counter() - began) / FETCHES * 1e3


def command() -> None:
    """Time a fetch from the embedded broker: a row for each length of the log, a column for partitions with news."""
    table = Table("batches per partition", *(str(number + 1) for number in range(DEFAULT_PARTITIONS)))
    for length, costs in asyncio.run(measure()).items():
        table.add_row(f"{length:,}", *(f"{ms:.1f}" for ms in costs))
    console = make_console()
    console.print("Embedded broker: ms per fetch, by partitions with a new record")
    console.print(table)
