"""The kernel: raw batch in, decide, batch out on the same partition, trailing commit.

Delivery is at least once; the logic's output must be idempotent for its consumers. What is open is in the window, and
the committed offset of the opening topic trails the oldest open record, so a crash re-reads and the log is all state.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from aiokafka import TopicPartition

from contracts.errors import Reject
from runtime.clock import Clock
from runtime.consumer import FatalError, PartitionConsumer
from runtime.dead_letters import DeadLetterLimit, TooManyDeadLettersError, dead_letter
from runtime.messages import Logic, Message, Record
from runtime.metrics import Metrics
from runtime.outbox import Outbox
from runtime.partition_state import PartitionState, WindowOptions
from runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

# A bug that depends on nothing but the record fails every time; the second try is for the one that does not.
HANDLER_TRIES = 2
DEADLINES_PER_TICK = 2_000
# Resume below this share of the bound, so that a partition does not flap between paused and not.
RESUME_SHARE = 0.8


class Kernel(PartitionConsumer):
    """Runs a service's `Logic` over its topics.

    Args:
        logic: the service's pure part.
        dead_letter_topic: names the dead-letter topic of a source topic.

    The others are those of `PartitionConsumer`; `window` is required here.

    """

    def __init__(
        self,
        logic: Logic,
        *,
        topics: Sequence[str],
        window: WindowOptions,
        dead_letter_topic: Callable[[str], str],
        settings: ServiceSettings,
        outbox: Outbox,
        clock: Clock,
        metrics: Metrics,
        on_fatal: Callable[[], None] = lambda: None,
        limit: DeadLetterLimit | None = None,
    ) -> None:
        super().__init__(
            topics=topics,
            settings=settings,
            outbox=outbox,
            clock=clock,
            metrics=metrics,
            window=window,
            on_fatal=on_fatal,
        )
        self._logic, self._options = logic, window
        self._dead_letter_topic = dead_letter_topic
        self._limit = limit or DeadLetterLimit()

    async def _handle(self, records: list[Record]) -> None:
        now = self._clock.now()
        refused: Counter[tuple[str, str]] = Counter()
        try:
            for record in records:
                self._take(record, now, refused)
        except TooManyDeadLettersError as error:
            raise FatalError(str(error)) from error
        await self._publish()
        for (topic, reason), count in refused.items():
            self._metrics.count("dead_letters_total", count, topic=topic, reason=reason)
        self._pause_full()

    def _take(self, record: Record, now: float, refused: Counter[tuple[str, str]]) -> None:
        state = self.partitions[record.partition]
        try:
            messages = self._tried(record, state, now)
        except Reject as reject:
            self._limit.refuse()
            topic = self._dead_letter_topic(record.topic)
            letter = dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail)
            self.outbox.add(letter, record.partition)
            state.skip(record)
            refused[record.topic, reject.reason] += 1
            return
        self._limit.accept()
        for message in messages:
            self.outbox.add(message, record.partition)

    def _tried(self, record: Record, state: PartitionState, now: float) -> tuple[Message, ...]:
        for left in reversed(range(HANDLER_TRIES)):
            try:
                return state.take(record, self._logic, now)
            except Reject:
                raise
            except Exception as error:
                if not left:
                    place = f"{record.topic}/{record.partition}/{record.offset}"
                    log.exception("our own bug on one record", place=place)
                    raise Reject("handler_error", repr(error)) from error
        raise AssertionError

    async def _publish(self) -> None:
        sent = self.outbox.sent
        await self.outbox.flush()
        if self.outbox.sent > sent:
            self._metrics.count("records_published_total", self.outbox.sent - sent)

    async def _tick(self) -> None:
        """Let the deadlines pass whose time has come, publish, and resume what has room again."""
        now = self._clock.now()
        fired = 0
        for number, state in self.partitions.items():
            topic = self._options.answered_on
            keys = state.due(
                now=now,
                polled_at=self.polled_at(topic, number) if topic else None,
                highwater=self.highwater(topic, number) if topic else None,
                limit=DEADLINES_PER_TICK,
            )
            for key in keys:
                for message in state.fire(key, self._logic, now):
                    self.outbox.add(message, number)
            fired += len(keys)
        if fired:
            self._metrics.count("deadlines_passed_total", fired)
            await self._publish()
        self._pause_full()

    def _pause_full(self) -> None:
        if self.consumer is None:
            return
        paused = self.consumer.paused()
        assigned = self.consumer.assignment()
        full, room = set(), set()
        for number, state in self.partitions.items():
            tp = TopicPartition(self._options.opens, number)
            if tp not in assigned:
                continue
            if tp not in paused and state.is_full():
                full.add(tp)
            elif tp in paused and not state.is_full(RESUME_SHARE):
                room.add(tp)
        self._pause(full)
        self._pause(room, resume=True)
