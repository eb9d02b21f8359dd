"""Publishing: everything arrives, on the partition of its cause, however often the broker says no."""

import asyncio

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RequestTimedOutError,
    UnknownProducerId,
)

from runtime.publisher import Publisher
from tests.support.fakes_runtime import BrokerDownError, FakeProducer, MemoryLog, said


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Back-off without the wait: the pauses are tenacity's business."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: sleep(0))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


def values(log: MemoryLog, topic: str = "out", partition: int = 0) -> list[bytes | None]:
    return [record.value for record in log.records[topic, partition]]


async def test_messages_arrive_in_order_on_their_partition(log):
    publisher = Publisher(lambda: FakeProducer(log))
    for number in range(6):
        publisher.add([said(b"k", b"%d" % number)], number % 2)
    await publisher.flush()
    assert (values(log, partition=0), values(log, partition=1)) == ([b"0", b"2", b"4"], [b"1", b"3", b"5"])
    assert publisher.sent[()] == 6


async def test_what_the_broker_has_not_acknowledged_is_unsent(log):
    producer = FakeProducer(log)
    producer.gate.clear()
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v"), said(b"k", b"w")], 0)
    assert publisher.unsent == 2
    await publisher.hand_over()
    publisher.add([said(b"k", b"x")], 1)
    assert publisher.unsent == 3
    producer.gate.set()
    await publisher.flush()
    assert publisher.unsent == 0


async def test_what_was_discarded_is_not_unsent(log):
    publisher = Publisher(lambda: FakeProducer(log))
    publisher.add([said(b"k", b"v")], 0)
    await publisher.hand_over()
    publisher.add([said(b"k", b"w")], 0)
    publisher.discard()
    assert publisher.unsent == 0


async def test_a_full_batch_is_followed_by_the_next(log):
    producer = FakeProducer(log, capacity=3)
    publisher = Publisher(lambda: producer)
    for number in range(8):
        publisher.add([said(b"k", b"%d" % number)], 0)
    await publisher.flush()
    assert values(log) == [b"%d" % number for number in range(8)]


async def test_a_refused_batch_is_sent_until_it_is_stored(log):
    producer = FakeProducer(log)
    producer.errors = [BrokerDownError() for _ in range(5)]
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    assert (values(log), publisher.failing, publisher.sent[()]) == ([b"v"], False, 1)


async def test_an_unclear_answer_repeats_rather_than_loses(log):
    producer = FakeProducer(log)
    producer.stored_but_failed = [BrokerDownError()]
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    assert (values(log), publisher.sent[()]) == ([b"v", b"v"], 1)


async def test_only_what_failed_is_sent_again(log):
    producer = FakeProducer(log)
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"first")], 0)
    publisher.add([("other", b"k", b"second", [])], 0)
    producer.errors = [BrokerDownError()]
    await publisher.flush()
    assert (values(log), values(log, "other")) == ([b"first"], [b"second"])


async def test_health_hears_of_a_broker_that_says_no(log):
    seen = []

    class Watched(FakeProducer):
        async def send_batch(self, batch, topic, *, partition):
            seen.append(publisher.failing)
            return await super().send_batch(batch, topic, partition=partition)

    producer = Watched(log)
    producer.errors = [BrokerDownError(), BrokerDownError()]
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    assert (seen, publisher.failing) == ([False, True, True], False)


async def test_a_bug_of_ours_is_not_tried_for_ever(log):
    producer = FakeProducer(log)
    producer.errors = [TypeError("headers")]
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v")], 0)
    with pytest.raises(TypeError, match="headers"):
        await publisher.flush()


async def test_discarded_messages_are_never_sent(log):
    publisher = Publisher(lambda: FakeProducer(log))
    publisher.add([said(b"k", b"v")], 0)
    publisher.discard()
    await publisher.flush()
    assert values(log) == []


async def test_a_flush_cut_short_keeps_its_messages(log):
    producer = FakeProducer(log)
    producer.gate.clear()
    publisher = Publisher(lambda: producer)
    publisher.add([said(b"k", b"v")], 0)
    flush = asyncio.create_task(publisher.flush())
    await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    producer.gate.set()
    await publisher.flush()
    assert values(log) == [b"v"]


async def test_an_empty_publisher_asks_for_no_producer():
    def none():
        raise AssertionError("there is nothing to send")

    await Publisher(none).flush()


class Sequenced(FakeProducer):
    """An idempotent producer: once a batch is lost to a fatal error, the broker refuses all it sends."""

    def __init__(self, log: MemoryLog, *, dead: bool = False) -> None:
        super().__init__(log)
        self._dead = dead

    async def send_batch(self, batch, topic, *, partition):
        if self._dead:
            raise OutOfOrderSequenceNumber
        return await super().send_batch(batch, topic, partition=partition)


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced, KafkaError])
async def test_a_producer_that_an_error_has_ended_is_replaced(log, error):
    producers = [FakeProducer(log), FakeProducer(log)]
    producers[0].errors = [error()]
    renewed = []

    async def renew():
        renewed.append(producers.pop(0))

    publisher = Publisher(lambda: producers[0], renew)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    publisher.add([said(b"k", b"w")], 0)
    await publisher.flush()
    assert (values(log), len(renewed), publisher.failing) == ([b"v", b"w"], 1, False)


@pytest.mark.parametrize("error", [NotEnoughReplicasError, NotLeaderForPartitionError, RequestTimedOutError])
async def test_a_passing_error_is_tried_again_by_the_same_producer(log, error):
    producer = FakeProducer(log)
    producer.errors = [error()]

    async def renew():
        raise AssertionError("it is not broken")

    publisher = Publisher(lambda: producer, renew)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    assert values(log) == [b"v"]


async def test_a_replacement_that_does_not_start_is_tried_again(log):
    producers = [Sequenced(log, dead=True), FakeProducer(log)]
    refusals = [KafkaConnectionError(), KafkaConnectionError()]

    async def renew():
        if refusals:
            raise refusals.pop()
        producers.pop(0)

    publisher = Publisher(lambda: producers[0], renew)
    publisher.add([said(b"k", b"v")], 0)
    await publisher.flush()
    assert (values(log), refusals) == ([b"v"], [])
