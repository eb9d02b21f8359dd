"""The consumer that writes the store: a batch in, one transaction, offsets inside it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

import structlog
from aiokafka import TopicPartition
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.errors import Reject
from contracts.topics import APPLICATIONS_DECIDED
from runtime.clock import Clock
from runtime.consumer import FatalError, PartitionConsumer
from runtime.dead_letters import DeadLetterLimit, TooManyDeadLettersError, dead_letter
from runtime.messages import Record
from runtime.metrics import Metrics
from runtime.outbox import Outbox
from runtime.settings import ServiceSettings
from services.scoring.decode import decode
from services.scoring.rollup import Decided
from services.scoring.store import Applied, Positioned, Store
from services.scoring.store_errors import StoreError, StoreUnavailableError

log = structlog.get_logger(__name__)


class StoreWriter(PartitionConsumer):
    """Applies outcomes to the store and reads on from the store's offsets, which the same transaction moved.

    The group's committed offsets only show the lag to Kafka's tools. A batch that the store does not take is tried
    again until it does: outcomes are never skipped. Dead letters are published before the offsets pass them.
    """

    def __init__(
        self,
        store: Store,
        *,
        identity: Callable[[], str],
        partitions: int,
        settings: ServiceSettings,
        outbox: Outbox,
        clock: Clock,
        metrics: Metrics,
        on_fatal: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            topics=[APPLICATIONS_DECIDED.name],
            settings=settings,
            outbox=outbox,
            clock=clock,
            metrics=metrics,
            on_fatal=on_fatal,
        )
        self._store, self._identity, self._partitions_total = store, identity, partitions
        self._limit = DeadLetterLimit()
        self.store_error: str | None = None

    async def _start_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            self._store.bind_log(self._identity())
            held = self._store.offsets()
        except StoreError as error:
            raise FatalError(str(error)) from error
        partitions = list(partitions)
        first = await self.consumer.beginning_offsets(partitions)
        starts = {tp: held.get(tp.partition, first[tp]) for tp in partitions}
        for tp, start in starts.items():
            if start < first[tp]:
                msg = f"{tp.topic}/{tp.partition}: store at {start}, log starts at {first[tp]}: outcomes are gone"
                raise FatalError(msg)
        return starts

    async def _handle(self, records: list[Record]) -> None:
        refused: Counter[str] = Counter()
        batch = []
        # Held by reference: partitions may be given away while the store is being tried.
        states = self.partitions
        try:
            for record in records:
                decided = self._decoded(record, refused)
                if decided is not None:
                    batch.append(decided)
        except TooManyDeadLettersError as error:
            raise FatalError(str(error)) from error
        await self.outbox.flush()
        ends = {record.partition: record.offset + 1 for record in records}
        applied = await self._apply(batch, ends)
        for record in records:
            states[record.partition].skip(record)
        for name, amount in applied.counters.items():
            self._metrics.count("outcomes_total", amount, result=name)
        for reason, amount in refused.items():
            self._metrics.count("dead_letters_total", amount, topic=APPLICATIONS_DECIDED.name, reason=reason)

    def _decoded(self, record: Record, refused: Counter[str]) -> Positioned | None:
        try:
            decided = self._decode(record)
        except Reject as reject:
            self._limit.refuse()
            topic = APPLICATIONS_DECIDED.dead_letter("scoring")
            self.outbox.add(
                dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail), record.partition
            )
            refused[reject.reason] += 1
            return None
        self._limit.accept()
        return Positioned(record.partition, record.offset, decided)

    def _decode(self, record: Record) -> Decided:
        try:
            return decode(record, self._partitions_total)
        except Reject:
            raise
        except Exception as error:
            log.exception("our own bug on one record", place=f"{record.topic}/{record.partition}/{record.offset}")
            raise Reject("handler_error", repr(error)) from error

    async def _apply(self, batch: list[Positioned], ends: dict[int, int]) -> Applied:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            before_sleep=self._warn,
        ):
            with attempt:
                # In a thread: a slow disk must not stop the heartbeats.
                applied = await asyncio.to_thread(self._store.apply, batch, ends)
        self.store_error = None
        return applied

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.store_error = str(error)
        log.warning("the store did not take a batch, trying again", attempt=state.attempt_number, error=str(error))

    def unready_reasons(self) -> list[str]:
        """Return why outcomes are not stored; empty when they are."""
        reasons = super().unready_reasons()
        return [*reasons, f"the store does not take records: {self.store_error}"] if self.store_error else reasons
