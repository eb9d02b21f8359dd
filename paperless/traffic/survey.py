"""A look at the log before anything is sent: partitions, the ends of `applications.submitted`, the log's identity."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.topics import ALL, APPLICATIONS_SUBMITTED, LOG_IDENTITY
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess

# A fetch at the end of a partition answers within the broker's wait; this is for a broker that is busy.
_WITHIN_S = 15.0


class LogError(RuntimeError):
    """The log cannot be driven as it is: broker not reachable, topic missing, partition counts that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSurvey:
    """What the log looks like: `start_offsets` are the next offsets of `applications.submitted` by partition.

    `identity` is the log's id, None where the topic `log.identity` is absent or empty.
    """

    partitions: int
    start_offsets: Mapping[int, int]
    identity: str | None


async def survey(access: KafkaAccess, *, end_offsets_reliable: bool = False) -> LogSurvey:
    """Return the state of the log.

    Args:
        access: how to reach the broker; its user may describe the main topics and read the log's identity.
        end_offsets_reliable: the broker knows its log's end, so nothing of what citizens filed is fetched to find it.

    Raises:
        LogError: the broker does not answer, or the main topics are missing or differ in their partition counts.

    """
    try:
        counts = await _partition_counts(access)
        partitions = _common(counts)
        ends = await _read_ends(access, partitions, reliable=end_offsets_reliable)
        async with asyncio.timeout(_WITHIN_S):
            identity = await read_log_identity(access, LOG_IDENTITY) if LOG_IDENTITY in counts else None
        return LogSurvey(partitions=partitions, start_offsets=ends, identity=identity)
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogError(
            f"broker {access.kafka_servers}: no answer ({error or type(error).__name__}); start it, or correct address"
            " and credentials"
        ) from error


async def _partition_counts(access: KafkaAccess) -> dict[str, int]:
    admin = AIOKafkaAdminClient(**access.client_options(), request_timeout_ms=10_000)
    try:
        await admin.start()
        names = [name for name in await admin.list_topics() if name == LOG_IDENTITY or name in _MAIN]
        described = await admin.describe_topics(names) if names else []
        return {topic["topic"]: len(topic["partitions"]) for topic in described}
    finally:
        await admin.close()


_MAIN = tuple(topic.name for topic in ALL)


def _common(counts: Mapping[str, int]) -> int:
    missing = [name for name in _MAIN if not counts.get(name)]
    if missing:
        raise LogError(f"topics {', '.join(missing)}: missing; create them with `paperless topics`")
    main = {name: counts[name] for name in _MAIN}
    if len(set(main.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in main.items())
        raise LogError(
            f"partitions differ ({listed}): an application must keep its partition number;"
            " recreate the topics with one count"
        )
    return main[APPLICATIONS_SUBMITTED.name]


async def _read_ends(access: KafkaAccess, partitions: int, *, reliable: bool) -> dict[int, int]:
    consumer = AIOKafkaConsumer(
        **access.client_options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        return await _ends(consumer, partitions, reliable=reliable)
    finally:
        await consumer.stop()


async def _ends(consumer: AIOKafkaConsumer, partitions: int, *, reliable: bool) -> dict[int, int]:
    """Return the log's ends; `end_offsets` of the embedded broker stays too low, there a fetch tells them."""
    targets = [TopicPartition(APPLICATIONS_SUBMITTED.name, partition) for partition in range(partitions)]
    if reliable:
        return {target.partition: offset for target, offset in (await consumer.end_offsets(targets)).items()}
    consumer.assign(targets)
    await consumer.seek_to_end(*targets)
    async with asyncio.timeout(_WITHIN_S):
        while any(consumer.highwater(target) is None for target in targets):
            await consumer.getmany(timeout_ms=100)
    return {target.partition: consumer.highwater(target) for target in targets}
