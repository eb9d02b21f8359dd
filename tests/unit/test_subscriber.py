"""How a member asks for batches."""

import asyncio
from itertools import pairwise
from typing import Any

from aiokafka import TopicPartition
from faststream.kafka import KafkaBroker

from runtime.settings import ServiceSettings
from runtime.subscription import BATCHES_APART_S, subscribe
from tests.support.fakes_runtime import stored

PLACE = TopicPartition("opens", 0)


class Backlog:
    """A consumer that has a record for everyone who asks, and remembers when."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Any]]:
        self.asked.append(asyncio.get_running_loop().time())
        return {PLACE: [stored(len(self.asked), b"q")]}


async def test_batches_keep_apart_and_none_is_left_out():
    subscriber = subscribe(KafkaBroker(), PLACE.topic, settings=ServiceSettings(), listener=None)
    backlog = Backlog()
    found = [record.offset for _ in range(4) for record in (await subscriber.get_msg(backlog))[PLACE]]
    assert found == [1, 2, 3, 4]
    asked = backlog.asked
    # A loop's timer may be early by its clock's resolution.
    assert all(later - one > 0.9 * BATCHES_APART_S for one, later in pairwise(asked))


async def test_who_comes_late_does_not_wait():
    subscriber = subscribe(KafkaBroker(), PLACE.topic, settings=ServiceSettings(), listener=None)
    backlog, loop = Backlog(), asyncio.get_running_loop()
    await subscriber.get_msg(backlog)
    await asyncio.sleep(2 * BATCHES_APART_S)
    came, turns = loop.time(), list[int]()
    loop.call_soon(turns.append, 1)
    await subscriber.get_msg(backlog)
    # Not even one turn of the loop has passed.
    assert (turns, backlog.asked[-1] >= came) == ([], True)
