"""Publishing a batch: messages grouped by topic and partition, sent until the broker has them all."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from runtime.messages import Message
from runtime.metrics import Tally

log = structlog.get_logger(__name__)

Target = tuple[str, int]


class Publisher:
    """Collects messages and sends them in closed batches; at-least-once, in order per partition within one try.

    `flush` returns only when everything is stored by the broker: an error is not proof of absence, so what failed is
    sent again, with backoff and jitter, for as long as it takes. After an error that is not a passing one, `renew`
    replaces the producer first: an idempotent one has used up the sequence numbers of what failed, so the broker would
    refuse all it sends to that partition from then on.

    Args:
        producer: returns aiokafka's producer as it is now, or what has its `create_batch` and `send_batch`.
        renew: replaces it.
        sent: counts what the broker has acknowledged.

    """

    def __init__(
        self, producer: Callable[[], Any], renew: Callable[[], Awaitable[None]] | None = None, sent: Tally | None = None
    ) -> None:
        self._producer, self._renew = producer, renew
        self._producer_ended = False
        self._queued: defaultdict[Target, list[Message]] = defaultdict(list)
        self._sending: dict[Target, list[Message]] = {}
        self._flight: asyncio.Task[None] | None = None
        self.failing = False
        self.sent: Tally = defaultdict(float) if sent is None else sent
        # Called once, when all that is queued now is sent.
        self.when_sent: list[Callable[[], object]] = []

    def add(self, messages: Sequence[Message], partition: int) -> None:
        """Queue messages for one partition of their topics."""
        for topic in dict.fromkeys(map(itemgetter(0), messages)):
            self._queued[topic, partition] += [message for message in messages if message[0] == topic]

    @property
    def unsent(self) -> int:
        """How many messages the broker has not acknowledged: queued or on their way."""
        return sum(map(len, chain(self._queued.values(), self._sending.values() if self._flight else ())))

    def discard(self) -> None:
        """Forget what is queued or on its way (its cause will be handled again)."""
        self._queued, self.when_sent = defaultdict(list), []
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()

    async def flush(self) -> None:
        """Send all that is queued and wait until the broker has it."""
        await self.hand_over()
        await self._landed()

    async def hand_over(self) -> None:
        """Begin to send what is queued, once the broker has what was handed over before: order is kept."""
        if self._queued:
            await self._landed()
            self._sending, self._queued = self._queued, defaultdict(list)
            ending, self.when_sent = self.when_sent, []
            self._flight = asyncio.create_task(self._deliver(ending))

    async def _landed(self) -> None:
        if self._flight is not None:
            # Who waits may be cancelled; what is on its way goes on.
            await asyncio.shield(self._flight)
            self._flight = None

    async def _deliver(self, ending: Iterable[Callable[[], object]]) -> None:
        try:
            # Nearly always the only try; preparing for others costs several times as much.
            if self._producer_ended:
                await self._try_again()
            else:
                await self._send_all()
        except KafkaError as error:
            await self._try_again(error)
        self.failing = False
        for end in ending:
            end()

    async def _try_again(self, failure: KafkaError | None = None) -> None:
        """Send until the broker has it; `failure` is that of a first try, after which there is a wait already."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            before_sleep=self._warn,
        ):
            with attempt:
                if failure is not None:
                    first, failure = failure, None
                    raise first
                if self._producer_ended and self._renew:
                    await self._renew()
                self._producer_ended = False
                await self._send_all()

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.failing = True
        self._producer_ended = self._producer_ended or not getattr(error, "retriable", False)
        log.warning("publishing failed, trying again", attempt=state.attempt_number, error=repr(error))

    async def _send_all(self) -> None:
        sends = [self._send(target, messages) for target, messages in self._sending.items()]
        if len(sends) == 1:
            await sends[0]
            return
        results = await asyncio.gather(*sends, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
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
        await (asyncio.gather(*futures) if len(futures) > 1 else futures[0])
        self.sent[()] += len(messages)
        del self._sending[target]
