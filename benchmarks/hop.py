"""The bare hop: the kernel beside hand-written loops and beside frameworks, on one log and one broker per round."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from benchmarks import compiled
from benchmarks.errors import VariantError
from benchmarks.log import create_topics, embedded_broker, read, write
from benchmarks.peers.copying import SOURCE, TARGET, encoded, headers, hop_of
from benchmarks.peers.job import Job, Measurement
from benchmarks.rounds import turns
from benchmarks.variants import PEERS_PYTHON, Variant, run
from benchmarks.workload import PARTITIONS, ByPartition, by_partition

KERNEL = "kernel"
RECORDS = 200_000
CHECK_WITHIN_S = 60.0
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(KERNEL),
        Variant("by_hand_aiokafka"),
        Variant("by_hand_confluent"),
        Variant("faststream_batch", share=0.5),
        Variant("quix", share=0.25, python=PEERS_PYTHON),
        Variant("faststream_naive", share=0.02),
        Variant("faust", share=0.02, python=PEERS_PYTHON),
        Variant("kafka_streams", compiled=compiled.kafka_streams),
        Variant("franz_go", compiled=compiled.franz_go),
    )
}

Tell = Callable[[str], None]


@cache
def log_of(records: int) -> ByPartition:
    """Return the log that is copied."""
    hops = map(hop_of, range(records))
    return by_partition((SOURCE, hop.key.encode(), encoded(hop), headers(hop.key)) for hop in hops)


async def measure(
    names: Sequence[str], *, records: int, rounds: int, tell: Tell = print
) -> Mapping[str, list[Measurement]]:
    """Run some variants in turn, each round on a fresh broker, and return each one's rounds.

    Raises:
        VariantError: a variant is not installed, failed, or did not copy what it read.

    """
    measurements: defaultdict[str, list[Measurement]] = defaultdict(list)
    for turn, order in turns(names, rounds):
        async with embedded_broker() as servers:
            await create_topics(servers, [SOURCE, *[target_of(name) for name in order]])
            await write(servers, log_of(records))
            for name in order:
                measured = await copy(name, servers, records)
                await check(name, servers, records)
                measurements[name].append(measured)
                tell(f"round {turn + 1}, {name}: {measured.per_s:,.0f} records/s, {measured.cpu_us:.2f} µs CPU")
    return measurements


def target_of(name: str) -> str:
    """Return the topic that a variant writes."""
    return f"{TARGET}.{name}"


async def copy(name: str, servers: str, records: int) -> Measurement:
    """Let one variant copy its share of the log."""
    variant = VARIANTS[name]
    job = Job(
        servers=servers,
        source=SOURCE,
        target=target_of(name),
        group=f"hop-{name}",
        records=variant.records(records),
        partitions=PARTITIONS,
    )
    return await run(variant, job)


async def check(name: str, servers: str, records: int) -> None:
    """Raise `VariantError` unless a variant's topic begins, by partition, with the records of the log."""
    wanted = VARIANTS[name].records(records)
    try:
        copies = await asyncio.wait_for(read(servers, target_of(name), wanted), CHECK_WITHIN_S)
    except TimeoutError as error:
        raise VariantError(f"{name}: it says that it copied {wanted} records, and its topic has fewer") from error
    pairs = {partition: [(row.key, row.value) for row in rows] for partition, rows in copies.items()}
    check_copies(name, log_of(records), pairs)


def check_copies(name: str, log: ByPartition, copies: Mapping[int, Sequence[tuple[bytes, bytes]]]) -> None:
    """Raise `VariantError` where a partition's copies, key and value, are not the first records of the log's."""
    for partition, rows in copies.items():
        source = [(key, value) for _, key, value, _ in log.get(partition, ())[: len(rows)]]
        if list(rows) != source:
            raise VariantError(f"{name}: partition {partition} has other records than the log, or in another order")
