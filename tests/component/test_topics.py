"""Creating and checking the registry's topics on a broker."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.topics import ALL, APPLICATIONS_DECIDED, LOG_IDENTITY, dead_letter_topics
from paperless.local.ports import Ports
from paperless.operations.topics import TopicsError, ensure_topics, wanted
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess
from tests.support.brokers import Broker

NAMES = {topic.name for topic in ALL} | {name for name, _ in dead_letter_topics()} | {LOG_IDENTITY}


async def create(broker: Broker, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics(list(topics))
    finally:
        await admin.close()


async def partition_counts(broker: Broker) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        return {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics(list(NAMES))}
    finally:
        await admin.close()


async def test_an_empty_broker_gets_every_topic(broker):
    report = await ensure_topics(broker.access)
    assert report.topics == dict.fromkeys(NAMES, "created")
    assert await partition_counts(broker) == {name: 1 if name == LOG_IDENTITY else 6 for name in NAMES}
    assert await read_log_identity(broker.access, LOG_IDENTITY) == report.log_identity


async def test_asking_again_changes_nothing(broker):
    first = await ensure_topics(broker.access, partitions=3)
    again = await ensure_topics(broker.access, partitions=3)
    assert again.topics == dict.fromkeys(NAMES, "present")
    assert again.log_identity == first.log_identity


async def test_what_is_missing_is_added_to_what_is_there(broker):
    await create(broker, NewTopic(APPLICATIONS_DECIDED.name, 2, 1))
    report = await ensure_topics(broker.access, partitions=2)
    assert report.topics[APPLICATIONS_DECIDED.name] == "present"
    assert report.topics[LOG_IDENTITY] == "created"


async def test_another_partition_count_is_refused_with_advice(broker):
    await create(broker, NewTopic(APPLICATIONS_DECIDED.name, 2, 1))
    with pytest.raises(TopicsError, match=r"applications\.decided has 2 partitions, expected are 6.*--partitions 2"):
        await ensure_topics(broker.access)


async def test_a_log_whose_creator_died_gets_its_identity(broker):
    await create(broker, NewTopic(LOG_IDENTITY, 1, 1))
    report = await ensure_topics(broker.access)
    assert report.topics[LOG_IDENTITY] == "present"
    assert await read_log_identity(broker.access, LOG_IDENTITY) == report.log_identity


async def test_two_logs_never_share_an_identity(broker, embedded):
    found = {(await ensure_topics(one.access)).log_identity for one in (broker, embedded)}
    assert len(found) == 2


async def test_a_value_of_900_kb_fits_as_the_topics_are_made(broker):
    await ensure_topics(broker.access)
    async with AIOKafkaProducer(bootstrap_servers=broker.address, max_request_size=1_000_000) as producer:
        sent = await producer.send_and_wait(APPLICATIONS_DECIDED.name, b"x" * 900_000, partition=0)
    assert sent.offset == 0


async def test_a_broker_that_does_not_answer_is_named():
    address = f"127.0.0.1:{Ports().take('broker')}"
    with pytest.raises(TopicsError, match=rf"no Kafka broker answers at {address}.*--kafka HOST:PORT"):
        await ensure_topics(KafkaAccess(kafka_servers=address))


def test_decided_topics_go_by_age_and_dead_letters_live_as_long():
    topics = {topic.name: topic for topic in wanted(6, 1)}
    for name, source in dead_letter_topics():
        configs = topics[name].topic_configs
        assert configs["cleanup.policy"] == "delete"
        assert configs["retention.ms"] == topics[source.name].topic_configs["retention.ms"]
    assert topics[LOG_IDENTITY].topic_configs["retention.ms"] == "-1"
