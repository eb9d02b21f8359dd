"""The consumer that writes the store: a batch in, one transaction, offsets inside it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from aiokafka import TopicPartition
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.records import partitions_of
from contracts.topics import APPLICATIONS_DECIDED
from domain import load_domain
from runtime.consumer import PartitionBatch, PartitionConsumer
from runtime.dead_letters import DeadLetterLimit, Refusals, dead_letter
from runtime.errors import FatalError
from runtime.messages import Record
from runtime.resources import ProcessResources
from services.scoring.rollup.outcome import decode
from services.scoring.store.errors import StoreError, StoreUnavailableError
from services.scoring.store.store import Applied, Positioned, Store

log = structlog.get_logger(__name__)
T = TypeVar("T")


class StoreWriter(PartitionConsumer):
    """Applies outcomes to the store and reads on from the store's offsets, which the same transaction moved.

    The group's committed offsets only show the lag to Kafka's tools. A batch that the store does not take is tried
    again until it does: outcomes are never skipped. Dead letters are published before the offsets pass them.
    """

    after_loss = "put back a backup of the store that this log continues, or begin with an empty store"

    def __init__(
        self, store: Store, resources: ProcessResources, *, identity: Callable[[], str], partitions: int
    ) -> None:
        super().__init__(resources, [APPLICATIONS_DECIDED.name])
        self._store, self._identity, self._partitions_total = store, identity, partitions
        self._limit, self._refusals = DeadLetterLimit(), Refusals(self.clock.now)
        engine = store.url.partition(":")[0]
        self._transaction = {"db.system.name": engine, "db.operation.name": "apply", "db.collection.name": "outcome"}

    async def _start_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int | None]:
        offsets = await self._stored(self._bind)
        return {tp: offsets.get(tp.partition) for tp in partitions}

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
            applied = await self._apply(positioned, batches)
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
                self._refuse(record, error, refused)
            else:
                self._limit.accept()

    def _refuse(self, record: Record, error: Exception, refused: Counter[str]) -> None:
        reject = self._refusals.refusal_of(record, error)
        self._limit.refuse()
        topic = APPLICATIONS_DECIDED.dead_letter("scoring")
        letter = dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail)
        self.publisher.add([letter], record.partition)
        refused[reject.reason] += 1

    async def _apply(self, positioned: list[Positioned], batches: list[PartitionBatch]) -> Applied:
        starts = {batch.partition: batch.records[0].offset for batch in batches}
        ends = {batch.partition: batch.records[-1].offset + 1 for batch in batches}
        return await self._stored(self._timed_apply, positioned, ends, starts)

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
        except StoreError as error:
            raise FatalError(str(error)) from error
        self.trouble = None
        return result

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.trouble = f"the store does not take records: {error}"
        log.warning("the store is not available, trying again", attempt=state.attempt_number, error=str(error))
