"""How applications are handed over: at their moments whatever the broker does, and until it has them."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from paperless.traffic.load.ceiling import driver_ceiling
from paperless.traffic.load.generator import Generator
from paperless.traffic.load.lanes import Lanes
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.supply import Ready, Supply

PARTITIONS = 2
# Records.
SMALL_BATCH = 3


class Batch:
    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def append(self, *, key: bytes, **_: object) -> object:
        if len(self.keys) == SMALL_BATCH:
            return None
        self.keys.append(key)
        return object()

    def close(self) -> None:
        """Nothing is added after it."""


class Broker:
    """A producer and its broker: `stalled` takes batches without answering, `errors` are raised first."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.errors: list[Exception] = []
        self.answers = asyncio.Event()
        self.answers.set()

    def __call__(self) -> "Broker":
        return self

    async def renew(self) -> None:
        """The same again."""

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        self.batches.append(batch.keys)
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> None:
        await self.answers.wait()
        if self.errors:
            raise self.errors.pop()


class Sending:
    def __init__(self) -> None:
        self.broker, self.recorder = Broker(), Recorder()
        self.lanes = Lanes(self.broker, PARTITIONS, lambda numbers: self.recorder.acknowledge(numbers, self.now()))
        supply = Supply(seed=1, applications=100, partitions=PARTITIONS)
        self.generator = Generator(supply, self.lanes, self.recorder, self.now)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def hand_over(self, number: int) -> None:
        """Hand over this many at once."""
        await self.generator.open_loop(self.now(), iter([0.0] * number))


@pytest.fixture
async def sending():
    one = Sending()
    yield one
    await one.lanes.close()


async def test_a_stalled_broker_does_not_slow_the_schedule(sending):
    sending.broker.answers.clear()
    await sending.hand_over(60)
    counts = sending.recorder.snapshot()
    assert (counts.sent, counts.acknowledged) == (60, 0)
    sending.broker.answers.set()
    await sending.lanes.idle()
    assert sending.recorder.snapshot().acknowledged == 60


async def test_what_waits_is_sent_in_order_and_in_batches_that_fit(sending):
    sending.broker.answers.clear()
    for number in range(8):
        sending.recorder.hand(b"%d" % number, 0.0, 0.0)
        sending.lanes.add(number, Ready(0, b"%d" % number, b"value", []))
        await asyncio.sleep(0.001)
    assert sending.broker.batches == [[b"0"]]
    sending.broker.answers.set()
    await sending.lanes.idle()
    assert sending.broker.batches == [[b"0"], [b"1", b"2", b"3"], [b"4", b"5", b"6"], [b"7"]]


async def test_what_the_broker_refused_is_sent_again_and_acknowledged_once(sending):
    sending.broker.errors = [KafkaConnectionError()]
    await sending.hand_over(1)
    await sending.lanes.idle()
    assert [len(batch) for batch in sending.broker.batches] == [1, 1]
    assert sending.broker.batches[0] == sending.broker.batches[1]
    assert sending.recorder.snapshot().acknowledged == 1


async def test_a_run_that_is_stopped_hands_over_nothing_more(sending):
    playing = asyncio.create_task(sending.generator.open_loop(sending.now(), iter([0.0, 3600.0])))
    await asyncio.sleep(0.01)
    sending.generator.stopped.set()
    async with asyncio.timeout(5):
        await playing
    assert sending.recorder.snapshot().sent == 1


async def test_a_closed_loop_sends_no_more_than_are_stored(sending):
    playing = asyncio.create_task(sending.generator.closed_loop(sending.now() + 60, in_flight=3))
    await asyncio.sleep(0.05)
    assert sending.recorder.snapshot().sent == 3
    sending.recorder.see(next(key for batch in sending.broker.batches for key in batch), 0, 0, sending.now())
    sending.recorder.store({0: 1}, sending.now())
    await asyncio.sleep(0.05)
    assert sending.recorder.snapshot().sent == 4
    sending.generator.stopped.set()
    await playing


async def test_an_application_of_an_open_loop_counts_from_when_it_was_due(sending):
    start = sending.now() - 1.0
    await sending.generator.open_loop(start, iter([0.25]))
    assert sending.recorder.intended[0] == start + 0.25
    assert sending.recorder.handed[0] - sending.recorder.intended[0] >= 0.75


async def test_our_own_fault_in_a_lane_is_not_silence(sending):
    sending.broker.errors = [ZeroDivisionError("ours")]
    await sending.hand_over(1)
    await asyncio.sleep(0.01)
    with pytest.raises(ZeroDivisionError, match="ours"):
        sending.lanes.check()


async def test_the_driver_states_what_it_can_do():
    found = await driver_ceiling(PARTITIONS)
    assert found.made_per_s > 100
    assert found.handed_per_s > 100
