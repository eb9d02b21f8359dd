"""The consumer that writes the store: a batch in, one transaction, offsets inside it."""

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog
from aiokafka import TopicPartition
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.topics import APPLICATIONS_DECIDED
from domain import domain
from runtime.consumer import PartitionConsumer, Run
from runtime.dead_letters import DeadLetterLimit, TooManyDeadLettersError, dead_letter, refusal_of
from runtime.errors import FatalError
from runtime.messages import Record
from runtime.parts import Parts
from services.scoring.decode import decode
from services.scoring.store import Applied, Positioned, Store
from services.scoring.store_errors import StoreError, StoreUnavailableError

log = structlog.get_logger(__name__)


class StoreWriter(PartitionConsumer):
    """Applies outcomes to the store and reads on from the store's offsets, which the same transaction moved.

    The group's committed offsets only show the lag to Kafka's tools. A batch that the store does not take is tried
    again until it does: outcomes are never skipped. Dead letters are published before the offsets pass them.
    """

    def __init__(self, store: Store, parts: Parts, *, identity: Callable[[], str], partitions: int) -> None:
        super().__init__(parts, [APPLICATIONS_DECIDED.name])
        self._store, self._identity, self._partitions_total = store, identity, partitions
        self._limit = DeadLetterLimit()

    async def _start_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int | None]:
        try:
            self._store.bind_log(self._identity())
            held = self._store.offsets()
        except StoreError as error:
            raise FatalError(str(error)) from error
        return {tp: held.get(tp.partition) for tp in partitions}

    async def _handle(self, runs: list[Run]) -> None:
        refused: Counter[str] = Counter()
        batch: list[Positioned] = []
        try:
            for run in runs:
                self._decode_run(run, batch, refused)
        except TooManyDeadLettersError as error:
            raise FatalError(str(error)) from error
        await self.outbox.flush()
        applied = await self._apply(batch, {run.partition: run.records[-1].offset + 1 for run in runs})
        for run in runs:
            run.state.skip(run.records[-1])
        for name, amount in applied.counters.items():
            self._metrics.count("outcomes_total", amount, result=name)
        for reason, amount in refused.items():
            self._metrics.count("dead_letters_total", amount, topic=APPLICATIONS_DECIDED.name, reason=reason)

    def _decode_run(self, run: Run, batch: list[Positioned], refused: Counter[str]) -> None:
        facts, partitions = domain(), self._partitions_total
        for record in run.records:
            try:
                batch.append(Positioned(run.partition, record.offset, decode(record, partitions, facts)))
            except Exception as error:  # noqa: BLE001  whatever it is, one record must not stop its partition
                self._refuse(record, error, refused)
            else:
                self._limit.accept()

    def _refuse(self, record: Record, error: Exception, refused: Counter[str]) -> None:
        reject = refusal_of(record, error)
        self._limit.refuse()
        topic = APPLICATIONS_DECIDED.dead_letter("scoring")
        letter = dead_letter(record, topic=topic, reason=reject.reason, detail=reject.detail)
        self.outbox.add([letter], record.partition)
        refused[reject.reason] += 1

    async def _apply(self, batch: list[Positioned], ends: dict[int, int]) -> Applied:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            before_sleep=self._warn,
        ):
            with attempt:
                # In a thread: a slow disk must not stop the heartbeats.
                applied = await asyncio.to_thread(self._store.apply, batch, ends)
        self.trouble = None
        return applied

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.trouble = f"the store does not take records: {error}"
        log.warning("the store did not take a batch, trying again", attempt=state.attempt_number, error=str(error))
