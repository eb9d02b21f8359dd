"""Sending records with little delay: each partition sends by itself, and what comes meanwhile gathers.

At a low rate a record travels alone and at once; when the broker is slow, batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.traffic.load.supply import Ready
from runtime.publisher import Publisher

# About one batch of the producer: what is acknowledged together was sent together.
MOST_TAKEN = 250
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
        self._lanes = [
            _Lane(Publisher(producer, producer.renew), partition, acknowledge) for partition in range(partitions)
        ]
        self._tasks = [asyncio.create_task(lane.run()) for lane in self._lanes]

    def add(self, number: int, ready: Ready) -> None:
        """Queue a record; it leaves as soon as its lane is free."""
        self._lanes[ready.partition].add(number, ready)

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
        for lane, task in zip(self._lanes, self._tasks, strict=True):
            lane.publisher.discard()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Lane:
    def __init__(self, publisher: Publisher, partition: int, acknowledge: Acknowledge) -> None:
        self.publisher, self._partition, self._acknowledge = publisher, partition, acknowledge
        self._queue: deque[tuple[int, Ready]] = deque()
        self._filled, self.idle = asyncio.Event(), asyncio.Event()
        self.idle.set()

    def add(self, number: int, ready: Ready) -> None:
        self._queue.append((number, ready))
        self._filled.set()
        self.idle.clear()

    async def run(self) -> None:
        queue = self._queue
        while True:
            await self._filled.wait()
            taken = [queue.popleft() for _ in range(min(len(queue), MOST_TAKEN))]
            self.publisher.add(
                [(APPLICATIONS_SUBMITTED.name, key, value, headers) for _, (_, key, value, headers) in taken],
                self._partition,
            )
            await self.publisher.flush()
            self._acknowledge([number for number, _ in taken])
            if not queue:
                self._filled.clear()
                self.idle.set()
