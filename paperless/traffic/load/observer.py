"""Watches the system from outside: outcomes as any consumer sees them, and how far the store says it has come."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import APPLICATIONS_DECIDED
from paperless.traffic.load.figures import distribution
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.result import LoadError, Observation
from paperless.verification.scoring_client import HEALTH, Moved, ScoringApiError, ask_async, async_client, follow
from runtime.settings import KafkaAccess

# Who does not answer may be restarting.
_AGAIN_S = 0.05
# Kafka and kfake answer a waiting fetch at once. Tansu looks again after half of this, so an outcome is seen up to
# 10 ms late there (the stored cell is not); less would cost it more than the system's own fetches.
_FETCH_WAIT_MS = 20
_START_WITHIN_S = 15.0
_ANSWER_WITHIN_S = 5.0
# A broker that is gone does not answer a farewell.
_STOP_WITHIN_S = 3.0


class Observer:
    """Reads `applications.decided` from its end, without a group, and follows the store; an async context manager.

    Raises:
        LoadError: on entering, when the API does not answer.
        aiokafka.errors.KafkaError: on entering, when the broker does not answer.

    """

    def __init__(
        self, access: KafkaAccess, api_url: str, partitions: int, recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        self._access, self._api_url, self._partitions = access, api_url, partitions
        self._recorder, self._clock = recorder, clock
        self._consumer: Any = None
        self._client: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._answers = self._failed = 0
        self._unseen: list[float] = []
        self.cpu_s = 0.0

    async def __aenter__(self) -> Self:
        self._client = async_client(self._api_url, timeout_s=_ANSWER_WITHIN_S)
        self._consumer = AIOKafkaConsumer(
            **self._access.client_options(),
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        try:
            await self._begin()
        except BaseException:
            await self._close()
            raise
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._follow())]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _begin(self) -> None:
        try:
            self._recorder.store(await self._next_offsets(), self._clock())
        except ScoringApiError as error:
            raise LoadError(
                f"the scoring API at {self._api_url} does not say how far the store is ({error}); is it running?"
            ) from error
        await self._consumer.start()
        await self._go_to_end()

    async def _go_to_end(self) -> None:
        """Start where the log ends; the embedded broker tells that truly in a fetch only."""
        targets = [TopicPartition(APPLICATIONS_DECIDED.name, number) for number in range(self._partitions)]
        self._consumer.assign(targets)
        await self._consumer.seek_to_end(*targets)
        async with asyncio.timeout(_START_WITHIN_S):
            while any(self._consumer.highwater(target) is None for target in targets):
                await self._consumer.getmany(timeout_ms=100)
        for target in targets:
            self._consumer.seek(target, self._consumer.highwater(target))

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.wait({asyncio.create_task(self._consumer.stop())}, timeout=_STOP_WITHIN_S)
        await self._client.aclose()

    def check(self) -> None:
        """Raise what ended the watching: our own fault, or an answer that cannot be read."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _read(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200)
            now, began = self._clock(), time.thread_time()
            see = self._recorder.see
            for target, records in fetched.items():
                for record in records:
                    see(record.key, target.partition, record.offset, now)
            self.cpu_s += time.thread_time() - began

    async def _follow(self) -> None:
        while True:
            try:
                async for moved in follow(self._client):
                    self._note(moved)
            except ScoringApiError:
                # It may be restarting; what it does not say is seen later, and counted as late.
                self._failed += 1
            await asyncio.sleep(_AGAIN_S)

    def _note(self, moved: Moved) -> None:
        now, began = self._clock(), time.thread_time()
        self._answers += 1
        if self._recorder.unstored:
            self._unseen.append(moved.unseen_s)
        self._recorder.store(moved.next_offsets, now)
        self.cpu_s += time.thread_time() - began

    async def _next_offsets(self) -> Mapping[int, int]:
        return (await ask_async(self._client, HEALTH)).next_offsets

    def observation(self) -> Observation:
        """Return how finely was watched."""
        return Observation(polls=self._answers, failed=self._failed, gap=distribution(self._unseen))
