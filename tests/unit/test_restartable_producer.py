"""A producer that can be replaced, and clients that find a cluster again of which they know no living broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaConnectionError

from runtime.broker import RestartableProducer, keep_bootstrapped
from tests.support.fakes_runtime import FakeClient


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0)


class Startable:
    def __init__(self, *, refuses: bool = False, hangs: bool = False) -> None:
        self._refuses, self._hangs = refuses, hangs
        self.running = self.stopped = False
        self.release = asyncio.Event()
        self.client = FakeClient()

    async def start(self) -> None:
        if self._refuses:
            raise KafkaConnectionError
        self.running = True

    async def stop(self) -> None:
        self.stopped = True
        if self._hangs:
            await self.release.wait()


async def test_a_replacement_that_did_not_start_is_put_away_for_the_next():
    made = [Startable(), Startable(refuses=True), Startable()]
    first, refusing, second = made
    late = RestartableProducer(lambda: made.pop(0))
    await late.start()
    with pytest.raises(KafkaConnectionError):
        await late.renew()
    await late.renew()
    assert [one.stopped for one in (first, refusing, second)] == [True, True, False]
    assert (late(), second.running) == (second, True)


async def test_an_old_producer_that_hangs_is_left_behind():
    made = [Startable(hangs=True), Startable()]
    hanging, second = made
    late = RestartableProducer(lambda: made.pop(0))
    await late.start()
    await late.renew(within_s=0.01)
    assert (late(), second.running) == (second, True)
    hanging.release.set()


@asynccontextmanager
async def kept(client: FakeClient) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_bootstrapped(client, every_s=0))
    yield
    task.cancel()


async def test_a_client_whose_brokers_are_gone_asks_the_bootstrap_servers():
    client = FakeClient(known_answer=False)
    async with kept(client):
        await until(lambda: client.known_answer)
    assert client.bootstraps == 1


async def test_bootstrap_servers_that_do_not_answer_are_asked_again():
    client = FakeClient(known_answer=False, refusals=3)
    async with kept(client):
        await until(lambda: client.known_answer)
    assert client.bootstraps == 4


async def test_a_client_whose_brokers_answer_stays_with_them():
    client = FakeClient()
    async with kept(client):
        await until(lambda: client.asked >= 5)
    assert client.bootstraps == 0


async def test_a_producer_is_kept_bootstrapped_until_it_stops():
    producer = Startable()
    late = RestartableProducer(lambda: producer, checked_every_s=0)
    await late.start()
    producer.client.known_answer = False
    await until(lambda: producer.client.known_answer)
    await late.stop()
    asked = producer.client.asked
    for _ in range(10):
        await asyncio.sleep(0)
    assert (producer.client.bootstraps, producer.client.asked) == (1, asked)
