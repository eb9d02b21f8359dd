"""A group member that reads raw batches: assignment, stale batches, the ticker, the lock and what health asks.

What is done with a batch is left to a subclass (the kernel, or a service with a store of its own).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Never

import structlog
from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, KafkaTimeoutError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from tenacity import retry, retry_if_exception_type, wait_random_exponential

from runtime.broker import KNOWN_BROKERS_CHECKED_S, keep_bootstrapped
from runtime.errors import FatalError
from runtime.messages import Record
from runtime.partition_state import PartitionState, PendingOptions
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

# One fetch of one partition; a backlog of one topic must not keep the other's records waiting for long.
MAX_FETCH_BYTES = 1024 * 1024
# Answers to a member that joins are held back until the others have joined too, so this must be the shorter one; and
# long enough for the last commit before partitions are given away (`LAST_COMMIT_TIMEOUT_S`).
REBALANCE_TIMEOUT_MS = 10_000
# Only how often an idle member turns round; records end the wait at once.
POLL_TIMEOUT_MS = 1_000
# At a thousand records a second, batches of two or three would take all the processor time there is, and what waits
# for a processor waits longer than this.
BATCHES_APART_S = 0.008
TICK_S = 0.05
COMMIT_INTERVAL_S = 0.2
# A batch taken just before a rebalance reaches the handler within this time.
TAKEN_BATCH_GRACE_S = 0.01
# How long who stops, or gives partitions away, waits for the batch in hand and for the broker.
LAST_COMMIT_TIMEOUT_S = 8.0


# What one poll hands over: some records of each partition that has any, in offset order.
ConsumerRecords = Mapping[TopicPartition, Sequence[Record]]


class PartitionBatch(NamedTuple):
    """Records of one partition of a topic, in offset order; the first one is the next that its `state` expects."""

    state: PartitionState
    topic: str
    partition: int
    records: Sequence[Record]


class PartitionConsumer(ConsumerRebalanceListener, ABC):  # type: ignore[misc]  # aiokafka is untyped
    """Reads topics as one member of a group and keeps a `PartitionState` per partition number.

    One lock serialises batch, rebalance hooks, ticker and drain. Nothing escapes `_on_batch`: FastStream would skip the
    batch and the next commit would pass it.
    """

    # What to do when the owner of the offsets (here the group) and the log do not fit.
    after_loss = "send these records again, or reset the group's offset to accept the loss"

    def __init__(
        self, resources: ProcessResources, topics: Sequence[str], pending: PendingOptions | None = None
    ) -> None:
        self.topics = tuple(topics)
        self.publisher = resources.publisher
        self.clock = resources.clock
        self.partitions: dict[int, PartitionState] = {}
        self.fatal: str | None = None
        # What keeps a subclass from doing its work for now; health shows it.
        self.trouble: str | None = None
        self.busy_since: float | None = None
        self.ticker: asyncio.Task[None] | None = None
        self._bootstrapped: asyncio.Task[Never] | None = None
        self._resources, self._metrics, self._pending = resources, resources.metrics, pending
        self._lock = asyncio.Lock()
        self._assigned = asyncio.Event()
        self._gaps: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._next_commit_at = 0.0
        self._draining = False
        self._subscriber: Any = None
        for topic in self.topics:
            # A series that is there from the start is seen to stand still.
            self._metrics.count("records_consumed_total", 0, topic=topic)
            self._metrics.count("records_redelivered_total", 0, topic=topic)

    @abstractmethod
    async def _handle(self, batches: list[PartitionBatch]) -> None:
        """Handle records of assigned partitions, none handled before; raise only `FatalError`."""

    async def _tick(self) -> None:
        """Do what is due; called under the lock."""

    async def _start_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return where the owner of the offsets (here the group) left off, None where it never was."""
        return {tp: await self.consumer.committed(tp) for tp in partitions}

    # That the client gave up waiting, for a broker that is cut off or has only begun to serve, is no answer.
    @retry(
        retry=retry_if_exception_type(KafkaTimeoutError),
        wait=wait_random_exponential(multiplier=0.1, max=5.0),
        before_sleep=lambda state: log.warning(
            "no broker says where the log begins and ends, asking again", attempt=state.attempt_number
        ),
    )
    async def _checked_starts(self, assigned: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where to start reading; the log's start where nobody ever read.

        Raises:
            FatalError: an offset lies outside the log: records were deleted unread, or this is another log.

        """
        partitions = list(assigned)
        first = await self.consumer.beginning_offsets(partitions)
        reliable = self._resources.settings.end_offsets_reliable
        end = await self.consumer.end_offsets(partitions) if reliable else {}
        starts = {}
        for tp, stored in (await self._start_offsets(partitions)).items():
            starts[tp] = first[tp] if stored is None else stored
            if not first[tp] <= starts[tp] <= end.get(tp, starts[tp]):
                place, log_is = f"{tp.topic}/{tp.partition}", f"{first[tp]} to {end.get(tp, 'its end')}"
                raise FatalError(f"{place}: offset {stored} is outside the log, which is {log_is}; {self.after_loss}")
        return starts

    @property
    def consumer(self) -> Any:
        """The aiokafka consumer, None while the broker is not started."""
        return self._subscriber.consumer

    def attach(self, broker: KafkaBroker) -> None:
        """Subscribe on an unstarted broker."""
        self._subscriber = subscribe(broker, *self.topics, settings=self._resources.settings, listener=self)
        self._subscriber(self._on_batch)

    async def start(self) -> None:
        """Start the ticker; call when the broker has started."""
        self.ticker = asyncio.create_task(self._tick_forever())
        client = self.consumer._client  # noqa: SLF001  a consumer, unlike a producer, has no other name for it
        self._bootstrapped = asyncio.create_task(keep_bootstrapped(client, KNOWN_BROKERS_CHECKED_S))

    async def drain(self) -> None:
        """Stop taking records, finish and publish what was taken, commit; the consumer is still alive here."""
        self._draining = True
        self._assigned.set()
        for task in filter(None, (self.ticker, self._bootstrapped)):
            task.cancel()
            await asyncio.wait({task})
        await self._last_commit("stopping", draining=True)
        # The producer ends next; who went on trying would make another one.
        self.publisher.discard()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit and forget: the next owner reads on from the commit."""
        if not revoked and not self.partitions:
            return
        await asyncio.sleep(TAKEN_BATCH_GRACE_S)
        self._assigned.clear()
        await self._last_commit("giving partitions away", draining=False)
        self.partitions, self._gaps, self._committed = {}, {}, {}

    async def _last_commit(self, before: str, *, draining: bool) -> None:
        try:
            async with asyncio.timeout(LAST_COMMIT_TIMEOUT_S), self._lock:
                # A drain that ran out of time has left a batch unpublished; only the drain itself may commit then.
                if self.fatal is None and self._draining == draining:
                    await self._commit()
        except TimeoutError:
            log.warning("no last commit, records are read again", before=before)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Seek to the start offsets and begin with nothing pending."""
        async with self._lock:
            try:
                starts = await self._checked_starts(assigned)
                for tp, offset in starts.items():
                    self.consumer.seek(tp, offset)
            except Exception as error:  # noqa: BLE001  aiokafka would log and forget it, and nothing would be read
                self._stop_on(error, "start offsets are not known")
                return
            self._pause(set(self.consumer.paused()), resume=True)
            by_partition: dict[int, dict[str, int]] = {}
            for tp, offset in starts.items():
                by_partition.setdefault(tp.partition, {})[tp.topic] = offset
            self.partitions = {
                number: PartitionState(offsets, self._pending) for number, offsets in by_partition.items()
            }
            self._metrics.count("rebalances_total")
            log.info(
                "assigned",
                partitions=sorted(self.partitions),
                starts={f"{t.topic}/{t.partition}": o for t, o in starts.items()},
            )
        self._assigned.set()

    # `Any`: FastStream builds a model of a handler's annotations, and a protocol has none.
    async def _on_batch(self, records: Any) -> None:
        await self._assigned.wait()
        async with self._lock:
            if self._draining or self.fatal is not None:
                return
            self.busy_since = self.clock.now()
            try:
                batches = list(self._unread(records))
                if batches:
                    with self._resources.tracing.batch(chain.from_iterable(records.values())):
                        await self._handle(batches)
            except Exception as error:  # noqa: BLE001  FastStream would log and forget it, and go on
                self._stop_on(error, "the batch failed and is not committed")
            finally:
                self._metrics.observe("batch_seconds", self.clock.now() - self.busy_since)
                self.busy_since = None

    def _unread(self, records: ConsumerRecords) -> Iterator[PartitionBatch]:
        """Yield what follows on what was read; drop repeats, and what was fetched before a rebalance or after a gap."""
        for tp, batch in records.items():
            topic, number = tp
            state = self.partitions.get(number)
            if state is None or topic not in state.next_offsets:
                continue
            self._metrics.count("records_consumed_total", len(batch), topic=topic)
            expected = state.next_offsets[topic]
            unread = batch if batch[0].offset >= expected else [record for record in batch if record.offset >= expected]
            if len(unread) < len(batch):
                self._metrics.count("records_redelivered_total", len(batch) - len(unread), topic=topic)
            if unread and self._is_next(tp, expected, unread[0].offset):
                delay_s = (self.clock.wall_ms() - unread[-1].timestamp) / 1000
                self._metrics.observe("record_delay_seconds", max(0.0, delay_s), topic=topic)
                yield PartitionBatch(state, topic, number, unread)

    def _is_next(self, tp: TopicPartition, expected: int, offset: int) -> bool:
        """Tell whether an offset is the expected one; of a gap, ask for the expected one, and stop if it is gone."""
        if offset == expected:
            return True
        if self._gaps.get(tp) == expected:
            gone = f"{tp.topic}/{tp.partition}: offsets {expected} to {offset - 1}"
            raise FatalError(f"{gone} are gone from the log, unread; {self.after_loss}")
        self._gaps[tp] = expected
        self.consumer.seek(tp, expected)
        return False

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            async with self._lock:
                # Under the lock: a batch that failed while this waited for it must not be committed.
                if self.fatal is not None:
                    continue
                try:
                    await self._tick()
                    if self.clock.now() >= self._next_commit_at:
                        self._next_commit_at = self.clock.now() + COMMIT_INTERVAL_S
                        await self._commit()
                except Exception as error:  # noqa: BLE001  without its ticker the member would stand still
                    self._stop_on(error, "a deadline, publishing or a commit failed; nothing of it is committed")

    async def _commit(self) -> None:
        """Commit what is handled, and not before the broker has all that it caused."""
        await self.publisher.flush()
        offsets = {
            TopicPartition(topic, number): offset
            for number, state in self.partitions.items()
            for topic, offset in state.commits().items()
        }
        changed = {tp: offset for tp, offset in offsets.items() if self._committed.get(tp) != offset}
        if not changed:
            return
        try:
            await self.consumer.commit(changed)
        except (IllegalStateError, CommitFailedError):
            # No longer ours: the next owner reads these records again.
            self._metrics.count("commits_total", result="not_ours")
        except KafkaError as error:
            self._metrics.count("commits_total", result="failed")
            log.warning("commit failed, trying again", error=repr(error))
        else:
            self._committed |= changed
            self._metrics.count("commits_total", result="ok")

    def _pause(self, partitions: set[TopicPartition], *, resume: bool = False) -> None:
        if partitions:
            (self.consumer.resume if resume else self.consumer.pause)(*partitions)

    def _stop_on(self, error: Exception, consequence: str) -> None:
        self.fatal = str(error) if isinstance(error, FatalError) else f"{consequence}: {error!r}"
        # A batch that waits for an assignment would hold up the stop.
        self._assigned.set()
        self.publisher.discard()
        log.critical("stopping", reason=self.fatal, exc_info=None if isinstance(error, FatalError) else error)
        self._resources.on_fatal()

    def lag(self) -> dict[str, int]:
        """Return, per topic, how many records of our partitions are not handled; -1 when it is not known yet."""
        lags = dict.fromkeys(self.topics, 0)
        for number, state in self.partitions.items():
            for topic, offset in state.next_offsets.items():
                mark = self.highwater(topic, number)
                known = mark is not None and lags[topic] >= 0
                lags[topic] = lags[topic] + max(0, (mark or 0) - offset) if known else -1
        return lags

    def highwater(self, topic: str, number: int) -> int | None:
        """Return the high-water mark that the last fetch of a partition saw."""
        tp = TopicPartition(topic, number)
        return self.consumer.highwater(tp) if self.consumer and tp in self.consumer.assignment() else None

    def polled_at(self, topic: str, number: int) -> float | None:
        """Return the monotonic time of a partition's last fetch, None before the first."""
        tp = TopicPartition(topic, number)
        if self.consumer is None or tp not in self.consumer.assignment():
            return None
        polled_ms: int | None = self.consumer.last_poll_timestamp(tp)
        return None if polled_ms is None else self.clock.now() - (self.clock.wall_ms() - polled_ms) / 1000

    def open_records(self) -> int:
        """Return how many records are pending in all partitions."""
        return sum(len(state.pending) for state in self.partitions.values())


def subscribe(
    broker: KafkaBroker,
    *topics: str,
    settings: ServiceSettings,
    listener: ConsumerRebalanceListener,
) -> Any:
    """Subscribe to topics as one group member that gets raw `ConsumerRecords`; commits and offsets are the caller's.

    Range assignment gives partition n of every topic to the same member.
    """

    async def parse(records: ConsumerRecords) -> KafkaMessage:
        # FastStream looks into the raw message for a topic to log.
        return KafkaMessage(body=records, raw_message=next(iter(records.values())), consumer=subscriber.consumer)

    subscriber: Any = broker.subscriber(
        *topics,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        batch=True,
        max_records=settings.max_records,
        no_reply=True,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
        listener=listener,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(1_000, settings.session_timeout_ms // 3),
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=300_000,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        parser=parse,
        decoder=_records,
    )

    earliest = 0.0

    async def get_msg(consumer: Any) -> ConsumerRecords:
        nonlocal earliest
        now = asyncio.get_running_loop().time
        if (early := earliest - now()) > 0:
            await asyncio.sleep(early)
        # FastStream's own sleeps after an empty poll, and a record that comes then waits for the sleep's end.
        records: ConsumerRecords = await consumer.getmany(timeout_ms=POLL_TIMEOUT_MS, max_records=settings.max_records)
        earliest = now() + BATCHES_APART_S
        return records

    subscriber.get_msg = get_msg
    return subscriber


async def _records(message: KafkaMessage) -> Any:
    return message.body
