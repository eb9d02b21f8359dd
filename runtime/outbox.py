"""Publishing a batch: messages grouped by topic and partition, sent until the broker has them all."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import structlog
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from runtime.messages import Message

log = structlog.get_logger(__name__)

Target = tuple[str, int]


class BatchProducer(Protocol):
    """The part of aiokafka's producer that the outbox uses."""

    def create_batch(self) -> Any:
        """Return an empty batch builder."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Queue a closed batch; the future ends when the broker has it."""


class Outbox:
    """Collects messages and sends them in closed batches; at-least-once, in order per partition within one try.

    `flush` returns only when everything is stored by the broker: an error is not proof of absence, so what failed is
    sent again, with backoff and jitter, for as long as it takes. After an error that is not a passing one, `renew`
    replaces the producer first: an idempotent one has used up the sequence numbers of what failed, so the broker would
    refuse all it sends to that partition from then on.
    """

    def __init__(
        self, producer: Callable[[], BatchProducer], renew: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._producer, self._renew = producer, renew
        self._ended = False
        self._pending: defaultdict[Target, list[Message]] = defaultdict(list)
        self.failing = False
        self.sent = 0
        # Called once, when all that is queued now is sent.
        self.when_sent: list[Callable[[], object]] = []

    def add(self, messages: Iterable[Message], partition: int) -> None:
        """Queue messages for one partition of their topics."""
        topic, bucket = "", []
        for message in messages:
            if message.topic != topic:
                topic = message.topic
                bucket = self._pending[topic, partition]
            bucket.append(message)

    def discard(self) -> None:
        """Forget what is queued (its cause will be handled again)."""
        self._pending.clear()
        self.when_sent.clear()

    async def flush(self) -> None:
        """Send all that is queued and wait until the broker has it."""
        if not self._pending:
            return
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            before_sleep=self._warn,
        ):
            with attempt:
                if self._ended and self._renew:
                    await self._renew()
                self._ended = False
                await self._send_pending()
        self.failing = False
        while self.when_sent:
            self.when_sent.pop()()

    def _warn(self, state: RetryCallState) -> None:
        self.failing = True
        error = state.outcome.exception() if state.outcome else None
        self._ended = self._ended or not getattr(error, "retriable", False)
        log.warning("publishing failed, trying again", attempt=state.attempt_number, error=repr(error))

    async def _send_pending(self) -> None:
        targets = list(self._pending.items())
        results = await asyncio.gather(
            *[self._send(target, messages) for target, messages in targets], return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        for (target, messages), result in zip(targets, results, strict=True):
            if not isinstance(result, BaseException):
                self.sent += len(messages)
                del self._pending[target]
        if errors:
            raise errors[0]

    async def _send(self, target: Target, messages: list[Message]) -> None:
        topic, partition = target
        producer = self._producer()
        futures = []
        batch = producer.create_batch()
        for _, key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                batch.close()
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        batch.close()
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*futures)
