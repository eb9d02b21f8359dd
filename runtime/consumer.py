"""A group member that reads raw batches: assignment, stale batches, the ticker, the lock and what health asks.

What is done with a batch is left to a subclass (the kernel, or a service with a store of its own).
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker

from runtime.broker_contact import BrokerContact, given_up, is_member
from runtime.errors import FatalError
from runtime.log_positions import LogPositions, readable_end
from runtime.messages import Record
from runtime.partition_state import PartitionState, PendingOptions
from runtime.resources import ProcessResources
from runtime.subscription import ConsumerRecords, subscribe

log = structlog.get_logger(__name__)

TICK_S = 0.05
COMMIT_INTERVAL_S = 0.2
# A batch taken just before a rebalance reaches the handler within this time.
TAKEN_BATCH_GRACE_S = 0.01
# How long who stops, or gives partitions away, waits for the batch in hand and for the broker.
LAST_COMMIT_TIMEOUT_S = 8.0
# A commit must be over before who gives partitions away stops waiting for it.
COMMIT_TIMEOUT_S = 5.0
# A commit that the client has tried again over a new connection may arrive once more, and take back those after it.
COMMIT_AGAIN_AFTER_S = 10.0
# The client's position and the log's start are known at once, but for moments after a seek, or without a broker.
MARKERS_PASSED_WITHIN_S = 1.0


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
        # Why another process has to go on from what is committed.
        self.broken: str | None = None
        # What keeps a subclass from doing its work for now; health shows it.
        self.trouble: str | None = None
        self.busy_since: float | None = None
        # When a batch was handled, or nothing was left to handle.
        self.progressed_at = self.clock.now()
        self.ticker: asyncio.Task[None] | None = None
        self.contact = BrokerContact(held_back_s=resources.settings.fetch_max_wait_ms / 1000)
        self._resources, self._metrics, self._pending = resources, resources.metrics, pending
        self._lock = asyncio.Lock()
        self._assigned = asyncio.Event()
        self._positions = LogPositions(
            lambda: self.consumer,
            end_reliable=resources.settings.end_offsets_reliable,
            after_loss=self.after_loss,
        )
        self._gaps: dict[TopicPartition, int] = {}
        # Records that the client has handed out and that are not handled yet.
        self._in_hand = False
        self._committed: dict[TopicPartition, int] = {}
        self._next_commit_at = self._commit_again_at = 0.0
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

    @property
    def consumer(self) -> Any:
        """The aiokafka consumer, None while the broker is not started."""
        return self._subscriber.consumer

    def attach(self, broker: KafkaBroker) -> None:
        """Subscribe on an unstarted broker."""
        self._subscriber = subscribe(
            broker,
            *self.topics,
            settings=self._resources.settings,
            listener=self,
            taken=self._take,
        )
        self._subscriber(self._on_batch)

    def _next_offsets(self) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, number): offset
            for number, state in self.partitions.items()
            for topic, offset in state.next_offsets.items()
        }

    def _take(self, in_hand: bool) -> None:  # noqa: FBT001  a callback's one argument
        self._in_hand = in_hand

    async def start(self) -> None:
        """Start the ticker; call when the broker has started."""
        self.ticker = asyncio.create_task(self._tick_forever())
        client = self.consumer._client  # noqa: SLF001  a consumer, unlike a producer, has no other name for it
        self.contact.start(client)

    async def drain(self) -> None:
        """Stop taking records, finish and publish what was taken, commit; the consumer is still alive here."""
        self._draining = True
        self._assigned.set()
        for task in filter(None, (self.ticker, self.contact.task)):
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
                starts = await self._positions.starts(assigned, self._start_offsets)
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
            self.progressed_at = self.clock.now()
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
        # Whoever waits for the lock is busy, too: what holds it may wait for a broker.
        self.busy_since = self.clock.now()
        try:
            async with self._lock:
                if not self._draining and self.fatal is None:
                    await self._handle_records(records)
        finally:
            self._in_hand, self.busy_since = False, None

    async def _handle_records(self, records: ConsumerRecords) -> None:
        began = self.clock.now()
        try:
            await self._pass_gaps(records)
            batches = list(self._unread(records))
            if batches:
                with self._resources.tracing.batch(chain.from_iterable(records.values())):
                    await self._handle(batches)
        except Exception as error:  # noqa: BLE001  FastStream would log and forget it, and go on
            self._stop_on(error, "the batch failed and is not committed")
        finally:
            self.progressed_at = self.clock.now()
            self._metrics.observe("batch_seconds", self.progressed_at - began)

    async def _pass_gaps(self, records: ConsumerRecords) -> None:
        """Read on after offsets that no record has; a gap that was seen twice is one of the log, not of a fetch.

        Raises:
            FatalError: there were records, which the log has deleted.

        """
        for tp, batch in records.items():
            state, offset = self.partitions.get(tp.partition), batch[0].offset
            expected = state and state.next_offsets.get(tp.topic)
            if state is None or expected is None or expected != self._gaps.get(tp) or offset <= expected:
                continue
            if await self._positions.check_gap(tp, expected, offset, self._start_offsets):
                state.next_offsets[tp.topic] = offset

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
        """Tell whether an offset is the expected one; after a gap, ask for the expected one again."""
        if offset == expected:
            self._gaps.pop(tp, None)
            return True
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
                        await self._pass_markers()
                        await self._commit()
                        self._end_with_client()
                except Exception as error:  # noqa: BLE001  without its ticker the member would stand still
                    self._stop_on(error, "a deadline, publishing or a commit failed; nothing of it is committed")

    def _end_with_client(self) -> None:
        """Let the process end and be started again where its client has given up."""
        error = given_up(self.consumer)
        if error is not None and self.broken is None:
            self.broken = f"the Kafka client has given up, and only another process can go on: {error!r}"
            log.error("stopping", reason=self.broken)
            self._resources.on_fatal()

    async def _pass_markers(self) -> None:
        """Read on after offsets at the log's end that no record has: the client has passed them and handed out nothing.

        Without, lag would stay, and what is committed would end before them.
        """
        behind = self._behind()
        if not behind:
            self.progressed_at = self.clock.now()
        for tp, state in behind.items():
            with contextlib.suppress(IllegalStateError, TimeoutError):
                async with asyncio.timeout(MARKERS_PASSED_WITHIN_S):
                    await self._pass_markers_of(tp, state)

    async def _pass_markers_of(self, tp: TopicPartition, state: PartitionState) -> None:
        expected = state.next_offsets[tp.topic]
        position = await self.consumer.position(tp)
        if self._in_hand or tp in self._gaps or position <= expected:
            return
        # The client also passes what was deleted: it begins again where the log does.
        if await self._positions.check_gap(tp, expected, position, self._start_offsets):
            state.next_offsets[tp.topic] = position

    def _behind(self) -> dict[TopicPartition, PartitionState]:
        """Return the partitions that are read and have something left, as far as the last fetch saw."""
        if self.consumer is None:
            return {}
        read = self.consumer.assignment() - self.consumer.paused()
        return {
            tp: self.partitions[tp.partition]
            for tp, offset in self._next_offsets().items()
            # Before the first fetch nobody knows that there is nothing.
            if tp in read and ((end := readable_end(self.consumer, tp)) is None or offset < end)
        }

    async def _commit(self) -> None:
        """Commit what is handled, and not before the broker has all that it caused."""
        await self.publisher.flush()
        offsets = {
            TopicPartition(topic, number): offset
            for number, state in self.partitions.items()
            for topic, offset in state.commits().items()
        }
        if (
            not offsets
            or (offsets == self._committed and self.clock.now() < self._commit_again_at)
            or not is_member(self.consumer)
        ):
            return
        self._commit_again_at = self.clock.now() + COMMIT_AGAIN_AFTER_S
        try:
            # The client would try for ever, with whatever generation it has by then: after a rebalance the broker,
            # which checks only that, would move back the offsets of partitions that are another member's.
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self.consumer.commit(offsets)
        except (IllegalStateError, CommitFailedError):
            # No longer ours: the next owner reads these records again.
            self._metrics.count("commits_total", result="not_ours")
        except (KafkaError, TimeoutError) as error:
            # What became of it is not known.
            self._committed = {}
            self._metrics.count("commits_total", result="failed")
            log.warning("commit failed, trying again", error=repr(error))
        else:
            self._committed = offsets
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
