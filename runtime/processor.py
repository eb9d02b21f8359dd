"""The kernel: raw batch in, decide, batch out on the same partition, trailing commit.

Delivery is at least once; the handler's output must be idempotent for its consumers. What is open is pending, and
the committed offset of the opening topic trails the oldest open record, so a crash re-reads and the log is all state.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from aiokafka import TopicPartition

from contracts.errors import Reject
from runtime.consumer import PartitionBatch, PartitionConsumer
from runtime.dead_letters import DeadLetterLimit, Refusals, dead_letter, limit_of
from runtime.messages import Effects, Message, Record, RecordHandler
from runtime.partition_state import PartitionState, PendingOptions
from runtime.resources import ProcessResources
from runtime.unreadable import UnreadableRecord, parted

DEADLINES_PER_TICK = 2_000
# Resume below this share of the bound, so that a partition does not flap between paused and not.
RESUME_SHARE = 0.8


class StreamProcessor(PartitionConsumer):
    """Runs a service's `RecordHandler` over its topics.

    Args:
        handler: the service's pure part.
        resources: what the process works with.
        topics: what it consumes.
        pending: bounds and patience of what is pending.
        dead_letter_topic: names the dead-letter topic of a source topic.
        limit: stops the line when too many records are refused.
        before_batch: told of the records of one partition before the handler gets the first of them, for what is
            cheaper to find out of many at once.
        name_of: names a refused record in the log, see `Refusals`.

    """

    def __init__(
        self,
        handler: RecordHandler,
        resources: ProcessResources,
        *,
        topics: Sequence[str],
        pending: PendingOptions,
        dead_letter_topic: Callable[[str], str],
        limit: DeadLetterLimit | None = None,
        before_batch: Callable[[Sequence[Record]], None] = lambda _: None,
        name_of: Callable[[bytes | None, bytes | None], str | None] = lambda *_: None,
    ) -> None:
        super().__init__(resources, topics, pending)
        self._handler, self._options = handler, pending
        self._dead_letter_topic, self._before_batch = dead_letter_topic, before_batch
        self._limit, self._refusals = limit or limit_of(resources.settings), Refusals(self.clock.now, name_of)

    async def _handle(self, batches: list[PartitionBatch]) -> None:
        now = self.clock.now()
        refused: Counter[tuple[str, str]] = Counter()
        for batch in batches:
            for readable, records in parted(batch.records):
                handle = self._handle_batch if readable else self._set_aside
                handle(batch._replace(records=records), now, refused)
        # The next batch is decided while this one is on its way, and no commit overtakes it.
        await self.publisher.hand_over()
        for (topic, reason), count in refused.items():
            self._metrics.count("dead_letters_total", count, topic=topic, reason=reason)
        self._pause_full()

    def _handle_batch(self, batch: PartitionBatch, now: float, refused: Counter[tuple[str, str]]) -> None:
        """Handle the records of one partition; the loop is the hot path of every service.

        `refused` counts dead letters by source topic and reason.
        """
        self._before_batch(batch.records)
        state = batch.state
        on_record, apply, pending = self._handler_of(state).on_record, state.apply, state.pending
        messages: list[Message] = []
        accepted = 0
        for record in batch.records:
            try:
                handled = on_record(record, pending)
                if type(handled) is Effects:
                    if handled.partition is None:
                        messages += apply(handled, record.offset, now)
                    else:
                        self.publisher.add(apply(handled, record.offset, now), handled.partition)
                else:
                    messages.append(handled)
            except Exception as error:  # noqa: BLE001  whatever it is, one record must not stop its partition
                self._limit.accept(accepted)
                accepted = 0
                messages += self._retry_or_dead_letter(batch, record, now, error, refused)
            else:
                accepted += 1
        self._limit.accept(accepted)
        state.read_past(batch.records[-1])
        self.publisher.add(messages, batch.partition)

    def _set_aside(self, batch: PartitionBatch, now: float, refused: Counter[tuple[str, str]]) -> None:
        """Make dead letters of records that cannot be unpacked; no handler sees them."""
        for record in batch.records:
            letters = self._retry_or_dead_letter(batch, record, now, cast("UnreadableRecord", record).refusal, refused)
            self.publisher.add(letters, batch.partition)
        batch.state.read_past(batch.records[-1])

    def _handler_of(self, state: PartitionState) -> RecordHandler:
        return self._resources.tracing.around(self._handler, state.traces, self.publisher)

    def _retry_or_dead_letter(
        self, batch: PartitionBatch, record: Record, now: float, error: Exception, refused: Counter[tuple[str, str]]
    ) -> tuple[Message, ...]:
        """Return what a record publishes at the second try, or its dead letter."""
        # A bug that depends on nothing but the record fails every time; the second try is for the one that does not.
        if not isinstance(error, Reject):
            try:
                return self._second_try(batch, record, now)
            except Exception as second_error:  # noqa: BLE001  as in `_handle_batch`
                error = second_error
        reject = self._refusals.refusal_of(record, error)
        self._limit.refuse()
        refused[batch.topic, reject.reason] += 1
        topic = self._dead_letter_topic(batch.topic)
        return (dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail),)

    def _second_try(self, batch: PartitionBatch, record: Record, now: float) -> tuple[Message, ...]:
        handled = self._handler_of(batch.state).on_record(record, batch.state.pending)
        messages = batch.state.apply(handled, record.offset, now)
        if type(handled) is Effects and handled.partition is not None:
            self.publisher.add(messages, handled.partition)
            return ()
        return messages

    async def _tick(self) -> None:
        """Let the deadlines pass whose time has come, publish, and resume what has room again."""
        now = self.clock.now()
        fired = 0
        for number, state in self.partitions.items():
            topic = self._options.answered_on
            keys = state.due(
                now=now,
                polled_at=self.polled_at(topic, number) if topic else None,
                highwater=self.highwater(topic, number) if topic else None,
                limit=DEADLINES_PER_TICK,
            )
            handler = self._handler_of(state)
            for key in keys:
                self.publisher.add(state.fire(key, handler, now), number)
            fired += len(keys)
        if fired:
            self._metrics.count("deadlines_passed_total", fired)
        await self.publisher.hand_over()
        self._pause_full()

    def _pause_full(self) -> None:
        if self.consumer is None:
            return
        paused = self.consumer.paused()
        opening = {TopicPartition(self._options.opens, number): state for number, state in self.partitions.items()}
        ours = opening.keys() & self.consumer.assignment()
        self._pause({tp for tp in ours - paused if opening[tp].is_full()})
        self._pause({tp for tp in ours & paused if not opening[tp].is_full(RESUME_SHARE)}, resume=True)
