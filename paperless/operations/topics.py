"""Creating or checking the topics of the registry on a broker."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from contracts.topics import ALL, DEFAULT_PARTITIONS, LOG_IDENTITY, dead_letter_topics
from runtime.dead_letters import MAX_DEAD_LETTER_BYTES
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess

DAY_MS = 24 * 60 * 60 * 1000
KNOWN_WITHIN_S = 10.0


class TopicsError(RuntimeError):
    """The broker cannot be reached, or its topics are not those of the registry; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What became of each topic (`created`, `present`), and the identity of the log."""

    topics: Mapping[str, str]
    partitions: int
    log_identity: str


def wanted(partitions: int, replication: int, min_insync: int | None = None) -> list[NewTopic]:
    """Return the registry's topics as they are to be created: deleted by age, never compacted.

    `min_insync` replicas must have a record before it is acknowledged; None leaves it to the broker's default.
    """
    topics = [_new(topic.name, partitions, replication, topic.retention_days) for topic in ALL]
    topics += [_new(name, partitions, replication, source.retention_days) for name, source in dead_letter_topics()]
    topics.append(NewTopic(LOG_IDENTITY, 1, replication, topic_configs={"retention.ms": "-1"}))
    if min_insync is not None:
        for topic in topics:
            topic.topic_configs["min.insync.replicas"] = str(min_insync)
    return topics


def _new(name: str, partitions: int, replication: int, days: int) -> NewTopic:
    configs = {
        "cleanup.policy": "delete",
        "retention.ms": str(days * DAY_MS),
        # Retention goes by it: a client whose clock, or whose simulation, is a year back would lose what it files.
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_DEAD_LETTER_BYTES + 64 * 1024),
    }
    return NewTopic(name, partitions, replication, topic_configs=configs)


async def ensure_topics(
    access: KafkaAccess,
    *,
    partitions: int = DEFAULT_PARTITIONS,
    replication: int = 1,
    min_insync: int | None = None,
) -> TopicReport:
    """Create what is missing, check what is there, and give the log its identity once.

    Raises:
        TopicsError: the broker is not reachable, or a topic has another partition count.

    """
    admin = AIOKafkaAdminClient(**access.client_options(), request_timeout_ms=10_000)
    try:
        await admin.start()
    except KafkaConnectionError as error:
        await admin.close()
        msg = (
            f"no Kafka broker answers at {access.kafka_servers}: {error}; start one, name another with --kafka"
            " HOST:PORT, or correct the credentials"
        )
        raise TopicsError(msg) from error
    try:
        outcome = await _create(admin, wanted(partitions, replication, min_insync))
        await _check(admin, list(outcome), partitions)
    finally:
        await admin.close()
    return TopicReport(outcome, partitions, await _identity(access, new=outcome[LOG_IDENTITY] == "created"))


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> dict[str, str]:
    present = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in present]
    outcome = {topic.name: "present" for topic in topics}
    if missing:
        response = await admin.create_topics(missing)
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                msg = f"topic {name} could not be created: {error.__name__}; check the broker's limits and rights"
                raise TopicsError(msg)
            outcome[name] = "present" if code else "created"
    return outcome


async def _check(admin: AIOKafkaAdminClient, names: list[str], partitions: int) -> None:
    for topic in await _described(admin, names):
        count, name = len(topic["partitions"]), topic["topic"]
        expected = 1 if name == LOG_IDENTITY else partitions
        if count != expected:
            msg = (
                f"topic {name} has {count} partitions, expected are {expected}: the count is fixed for a log's life; "
                f"pass --partitions {count}, or use a broker of its own"
            )
            raise TopicsError(msg)


async def _described(admin: AIOKafkaAdminClient, names: list[str]) -> list[dict[str, Any]]:
    """Return the topics as the broker describes them; what its controller has just created it knows a moment later."""
    deadline = time.monotonic() + KNOWN_WITHIN_S
    while True:
        topics: list[dict[str, Any]] = await admin.describe_topics(names)
        hidden = {topic["topic"]: for_code(topic["error_code"]).__name__ for topic in topics if not topic["partitions"]}
        if not hidden:
            return topics
        if time.monotonic() > deadline:
            listed = ", ".join(f"{name} ({error})" for name, error in hidden.items())
            raise TopicsError(
                f"topics created, but not described: {listed}; check the user's rights, then run this again"
            )
        await asyncio.sleep(0.1)


async def _identity(access: KafkaAccess, *, new: bool) -> str:
    # Empty though it was there: its creator died before writing, so no record belongs to another identity.
    if not new and (known := await read_log_identity(access, LOG_IDENTITY)) is not None:
        return known
    identity = f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(6)}"
    producer = AIOKafkaProducer(**access.client_options(), acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(LOG_IDENTITY, identity.encode(), partition=0)
    finally:
        await producer.stop()
    return identity
