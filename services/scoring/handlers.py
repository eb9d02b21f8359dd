"""The consumer that writes the store: a batch in, one transaction, offsets inside it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from aiokafka import TopicPartition
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.errors import Reject
from contracts.records import application_of, partitions_of
from contracts.topics import APPLICATIONS_DECIDED
from domain import load_domain
from runtime.consumer import PartitionBatch, PartitionConsumer
from runtime.dead_letters import DeadLetterLimit, Refusals, dead_letter, limit_of
from runtime.errors import FatalError
from runtime.messages import Record
from runtime.resources import ProcessResources
from services.scoring.rollup.outcome import decode
from services.scoring.store.errors import StoreError, StoreRefusesError, StoreUnavailableError
from services.scoring.store.store import Applied, Positioned, Store

log = structlog.get_logger(__name__)
T = TypeVar("T")

# What is refused by the store has passed the contract, so few in a row say that the store is wrong.
REFUSED_BY_STORE_RUN = 20


class StoreWriter(PartitionConsumer):
    """Applies outcomes to the store and reads on from the store's offsets, which the same transaction moved.

    The group's committed offsets only show the lag to Kafka's tools. A batch that the store does not take is tried
    again until it does: outcomes are never skipped. One that it refuses for its value is found by halving the batch and
    becomes a dead letter. Dead letters are published before the offsets pass them.
    """

    after_loss = "put back a backup of the store that this log continues, or begin with an empty store"

    def __init__(
        self, store: Store, resources: ProcessResources, *, identity: Callable[[], str], partitions: int
    ) -> None:
        super().__init__(resources, [APPLICATIONS_DECIDED.name])
        self._store, self._identity, self._partitions_total = store, identity, partitions
        self._refusals = Refusals(self.clock.now, application_of)
        self._limit = limit_of(resources.settings)
        self._limit_of_store = DeadLetterLimit(max_run=REFUSED_BY_STORE_RUN)
        # Where the store stands as this member left it.
        self._stored_offsets: dict[int, int] = {}
        engine = store.url.partition(":")[0]
        self._transaction = {"db.system.name": engine, "db.operation.name": "apply", "db.collection.name": "outcome"}

    async def _start_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int | None]:
        self._stored_offsets = await self._stored(self._bind)
        return {tp: self._stored_offsets.get(tp.partition) for tp in partitions}

    def _bind(self) -> dict[int, int]:
        self._store.bind_log(self._identity())
        return self._store.offsets()

    async def _handle(self, batches: list[PartitionBatch]) -> None:
        refused: Counter[str] = Counter()
        positioned: list[Positioned] = []
        for batch in batches:
            self._decode_batch(batch, positioned, refused)
        await self.publisher.flush()
        records = (record for batch in batches for record in batch.records)
        with self._resources.tracing.together("apply outcome", records, self._transaction):
            applied = await self._apply(positioned, batches, refused)
        for batch in batches:
            batch.state.read_past(batch.records[-1])
        for name, amount in applied.counters.items():
            self._metrics.count("outcomes_total", amount, result=name)
        for reason, amount in refused.items():
            self._metrics.count("dead_letters_total", amount, topic=APPLICATIONS_DECIDED.name, reason=reason)

    def _decode_batch(self, batch: PartitionBatch, positioned: list[Positioned], refused: Counter[str]) -> None:
        domain, partitions = load_domain(), self._partitions_total
        key_partitions = partitions_of([record.key or b"" for record in batch.records], partitions)
        for record, key_partition in zip(batch.records, key_partitions, strict=True):
            try:
                outcome = decode(record, partitions, domain, key_partition=key_partition)
                positioned.append((batch.partition, record.offset, outcome))
            except Exception as error:  # noqa: BLE001  whatever it is, one record must not stop its partition
                self._refuse(record, error, refused, self._limit)
            else:
                self._limit.accept()

    def _refuse(self, record: Record, error: Exception, refused: Counter[str], limit: DeadLetterLimit) -> None:
        reject = self._refusals.refusal_of(record, error)
        limit.refuse()
        topic = APPLICATIONS_DECIDED.dead_letter("scoring")
        letter = dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail)
        self.publisher.add([letter], record.partition)
        refused[reject.reason] += 1

    async def _apply(
        self, positioned: list[Positioned], batches: list[PartitionBatch], refused: Counter[str]
    ) -> Applied:
        # Not the first record's offset: what lies between it and the last one of the batch before may be no record.
        starts = {batch.partition: self._stored_offsets.get(batch.partition, 0) for batch in batches}
        ends = {batch.partition: batch.records[-1].offset + 1 for batch in batches}
        skipped, counters = 0, Counter[str]()
        # What is still to be applied, its first part last. Only the very last one moves the offsets to the batch's end.
        parts: list[Sequence[Positioned]] = [positioned]
        while parts:
            part = parts.pop()
            try:
                applied = await self._stored(self._timed_apply, part, {} if parts else ends, starts)
            except StoreRefusesError as error:
                parts += await self._smaller(part, batches, error, refused)
            else:
                self._limit_of_store.accept(len(part))
                skipped += applied.skipped
                counters += applied.counters
        self._stored_offsets |= ends
        return Applied(skipped, counters)

    async def _smaller(
        self,
        part: Sequence[Positioned],
        batches: list[PartitionBatch],
        error: StoreRefusesError,
        refused: Counter[str],
    ) -> list[Sequence[Positioned]]:
        """Return what to apply instead of a part that the store refuses, first part last; a single one is refused."""
        if not part:
            raise FatalError(str(error)) from error
        if len(part) > 1:
            half = len(part) // 2
            return [part[half:], part[:half]]
        [(partition, offset, _)] = part
        [batch] = [batch for batch in batches if batch.partition == partition]
        [record] = [record for record in batch.records if record.offset == offset]
        self._refuse(record, Reject("store_refuses", str(error)), refused, self._limit_of_store)
        await self.publisher.flush()
        return [[]]

    def _timed_apply(self, *batch: Any) -> Applied:
        began = self.clock.now()
        applied = self._store.apply(*batch)
        self._metrics.observe("store_transaction_seconds", self.clock.now() - began)
        return applied

    async def _stored(self, work: Callable[..., T], *arguments: object) -> T:
        """Return what the store's method returns, tried until the store is available."""
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(StoreUnavailableError),
                wait=wait_random_exponential(multiplier=0.1, max=5.0),
                before_sleep=self._warn,
            ):
                with attempt:
                    # In a thread: a slow disk or network must not stop the heartbeats.
                    result = await asyncio.to_thread(work, *arguments)
        except StoreRefusesError:
            raise
        except StoreError as error:
            raise FatalError(str(error)) from error
        self.trouble = None
        return result

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.trouble = f"the store does not take records: {error}"
        log.warning("the store is not available, trying again", attempt=state.attempt_number, error=str(error))
