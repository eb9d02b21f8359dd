"""A producer that keeps what it is sent, and a clock that only sleeping moves."""

import asyncio
from typing import Any

from aiokafka.errors import KafkaConnectionError


class Batch:
    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def append(self, *, key: bytes, value: bytes, timestamp: int | None, headers: list[Any]) -> object:
        self.keys.append(key)
        return object()

    def close(self) -> None:
        """Nothing is added after it."""


class Broker:
    """Keeps batches; fails the first sends, or holds them until released."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.stored: list[tuple[int, bytes]] = []
        self.batches = 0
        self.open = asyncio.Event()
        self.open.set()

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        await self.open.wait()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.failures:
            self.failures -= 1
            answer.set_exception(KafkaConnectionError())
        else:
            self.stored += [(partition, key) for key in batch.keys]
            self.batches += 1
            answer.set_result(None)
        return answer


class SleepClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return int(self.seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)
