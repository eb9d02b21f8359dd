"""Handing records to the producer with little delay: one batch in flight per partition, the next one gathers meanwhile.

At a low rate a record travels alone and at once; when the broker is slow, batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.traffic.load.supply import Ready
from runtime.publisher import Publisher

_TOPIC = APPLICATIONS_SUBMITTED.name
Acknowledge = Callable[[Sequence[int]], None]


class RenewableProducer(Protocol):
    """A producer that can be replaced by a new one (`runtime.broker.RestartableProducer`)."""

    def __call__(self) -> Any:
        """Return the running producer."""

    async def renew(self) -> None:
        """Replace it."""


class Lanes:
    """One lane per partition; a record is sent until the broker has it, then `acknowledge` gets its number."""

    def __init__(self, producer: RenewableProducer, partitions: int, acknowledge: Acknowledge) -> None:
        self._producer, self._renewing = producer, asyncio.Lock()
        self._lanes = [_Lane(self, partition, acknowledge) for partition in range(partitions)]
        self._tasks = [asyncio.create_task(lane.run()) for lane in self._lanes]

    def add(self, number: int, ready: Ready) -> None:
        """Queue a record; it leaves as soon as its lane is free."""
        self._lanes[ready.partition].add(number, ready)

    def producer(self) -> Any:
        """Return the running producer."""
        return self._producer()

    async def renew(self) -> None:
        """Replace the producer once for all lanes that lost it at the same time."""
        if self._renewing.locked():
            async with self._renewing:
                return
        async with self._renewing:
            await self._producer.renew()

    def check(self) -> None:
        """Raise what ended a lane: our own fault, since a broker's is tried again."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def idle(self) -> None:
        """Return when everything that was queued is acknowledged."""
        await asyncio.gather(*(lane.idle.wait() for lane in self._lanes))

    async def close(self) -> None:
        """Stop; what is not acknowledged is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Lane:
    def __init__(self, lanes: Lanes, partition: int, acknowledge: Acknowledge) -> None:
        self._lanes, self._partition, self._acknowledge = lanes, partition, acknowledge
        self._queue: deque[tuple[int, Ready]] = deque()
        self._filled, self.idle = asyncio.Event(), asyncio.Event()
        self.idle.set()

    def add(self, number: int, ready: Ready) -> None:
        self._queue.append((number, ready))
        self._filled.set()
        self.idle.clear()

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            taken, batch = self._fill()
            try:
                sent = await self._lanes.producer().send_batch(batch, _TOPIC, partition=self._partition)
                await sent
            except KafkaError:
                await self._insist([ready for _, ready in taken])
            self._acknowledge([number for number, _ in taken])
            if not self._queue:
                self.idle.set()

    def _fill(self) -> tuple[list[tuple[int, Ready]], Any]:
        """Return what fits into one batch, and the batch."""
        batch, taken, queue = self._lanes.producer().create_batch(), [], self._queue
        while queue:
            _, (_, key, value, headers) = queue[0]
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                break
            taken.append(queue.popleft())
        if not queue:
            self._filled.clear()
        batch.close()
        return taken, batch

    async def _insist(self, records: Sequence[Ready]) -> None:
        """An error is no proof of absence: send the same records again, for as long as it takes."""
        publisher = Publisher(self._lanes.producer, self._lanes.renew)
        publisher.add([(_TOPIC, ready.key, ready.value, ready.headers) for ready in records], self._partition)
        await publisher.flush()
