"""A group member that reads raw batches: assignment, stale batches, the ticker, the lock and what health asks.

What is done with a batch is left to a subclass (the kernel, or a service with a store of its own).
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker

from runtime.broker import subscribe
from runtime.clock import Clock
from runtime.messages import Record
from runtime.metrics import Metrics
from runtime.outbox import Outbox
from runtime.partition_state import PartitionState, WindowOptions
from runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

TICK_S = 0.05
COMMIT_INTERVAL_S = 0.2
# A batch taken just before a rebalance reaches the handler within this time.
TAKEN_BATCH_GRACE_S = 0.01
REVOKE_TIMEOUT_S = 8.0
DRAIN_TIMEOUT_S = 8.0
BUSY_LIMIT_S = 30.0
AFTER_LOSS = "send these records again, or reset the group's offset to accept the loss"
POLL_LIMIT_S = 15.0


class FatalError(RuntimeError):
    """Going on would lose or repeat records silently; the process must stop and say why (exit code 78)."""


class PartitionConsumer(ConsumerRebalanceListener, ABC):  # type: ignore[misc]  # aiokafka is untyped
    """Reads topics as one member of a group and keeps a `PartitionState` per partition number.

    One lock serialises batch, rebalance hooks, ticker and drain. Nothing escapes `_on_batch`: FastStream would skip the
    batch and the next commit would pass it.
    """

    def __init__(
        self,
        *,
        topics: Sequence[str],
        settings: ServiceSettings,
        outbox: Outbox,
        clock: Clock,
        metrics: Metrics,
        window: WindowOptions | None = None,
        on_fatal: Callable[[], None] = lambda: None,
    ) -> None:
        self.topics = tuple(topics)
        self.outbox = outbox
        self.partitions: dict[int, PartitionState] = {}
        self.fatal: str | None = None
        self._settings, self._clock, self._metrics, self._window = settings, clock, metrics, window
        self._on_fatal = on_fatal
        self._lock = asyncio.Lock()
        self._assigned = asyncio.Event()
        self._gaps: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._next_commit_at = 0.0
        self._busy_since: float | None = None
        self._draining = False
        self._ticker: asyncio.Task[None] | None = None
        self._subscriber: Any = None

    @abstractmethod
    async def _handle(self, records: list[Record]) -> None:
        """Handle records of assigned partitions, in offset order, none read before; raise only `FatalError`."""

    async def _tick(self) -> None:
        """Do what is due; called under the lock."""

    async def _start_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where to start reading: the group's committed offsets, the log's start where it never committed.

        Raises:
            FatalError: a committed offset lies below the log's start, so records were deleted unread.

        """
        partitions = list(partitions)
        first = await self.consumer.beginning_offsets(partitions)
        starts = {}
        for tp in partitions:
            committed = await self.consumer.committed(tp)
            if committed is not None and committed < first[tp]:
                msg = f"{tp.topic}/{tp.partition}: committed offset {committed} is below the log's start {first[tp]}"
                raise FatalError(f"{msg}; {AFTER_LOSS}")
            starts[tp] = first[tp] if committed is None else committed
        return starts

    @property
    def consumer(self) -> Any:
        """The aiokafka consumer, None while the broker is not started."""
        return self._subscriber.consumer

    def attach(self, broker: KafkaBroker) -> None:
        """Subscribe on an unstarted broker."""
        self._subscriber = subscribe(
            broker, *self.topics, settings=self._settings, listener=self, max_records=self._settings.max_records
        )
        self._subscriber(self._on_batch)

    async def start(self) -> None:
        """Start the ticker; call when the broker has started."""
        self._ticker = asyncio.create_task(self._tick_forever())

    async def drain(self) -> None:
        """Stop taking records, finish and publish what was taken, commit; the consumer is still alive here."""
        self._draining = True
        self._assigned.set()
        if self._ticker:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S), self._lock:
                if self.fatal is None:
                    # A tick cut short has closed entries whose messages are still here.
                    await self.outbox.flush()
                    await self._commit()
        except TimeoutError:
            log.warning("stopping without a last commit; its records are read again")

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit and forget: the next owner reads on from the commit."""
        if not revoked and not self.partitions:
            return
        await asyncio.sleep(TAKEN_BATCH_GRACE_S)
        self._assigned.clear()
        try:
            async with asyncio.timeout(REVOKE_TIMEOUT_S), self._lock:
                # A drain that ran out of time has left a batch unpublished; it must not be committed now.
                if self.fatal is None and not self._draining:
                    await self._commit()
        except TimeoutError:
            log.warning("giving partitions away without a last commit; their records are read again")
        self.partitions = {}
        self._gaps, self._committed = {}, {}

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Seek to the start offsets and begin with empty windows."""
        async with self._lock:
            try:
                starts = await self._start_offsets(assigned)
                for tp, offset in starts.items():
                    self.consumer.seek(tp, offset)
            except FatalError as error:
                self._stop_for(str(error))
                return
            except Exception as error:  # noqa: BLE001  aiokafka would log and forget it, and nothing would be read
                self._stop_for(f"start offsets are not known: {error!r}")
                return
            self._pause(set(self.consumer.paused()), resume=True)
            by_partition: dict[int, dict[str, int]] = {}
            for tp, offset in starts.items():
                by_partition.setdefault(tp.partition, {})[tp.topic] = offset
            self.partitions = {
                number: PartitionState(offsets, self._window) for number, offsets in by_partition.items()
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
            self._busy_since = self._clock.now()
            try:
                fresh = self._fresh(records)
                if fresh:
                    await self._handle(fresh)
            except FatalError as error:
                self._stop_for(str(error))
            except Exception as error:
                log.exception("the batch failed and is not committed")
                self._stop_for(f"unexpected error: {error!r}")
            finally:
                self._metrics.observe("batch_seconds", self._clock.now() - self._busy_since)
                self._busy_since = None

    def _fresh(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that continue what was read; drop repeats and batches from before a rebalance."""
        fresh: list[Record] = []
        for (topic, number), run in groupby(records, key=lambda record: (record.topic, record.partition)):
            state = self.partitions.get(number)
            if state is None or topic not in state.next_offsets:
                continue
            batch = list(run)
            self._metrics.count("records_consumed_total", len(batch), topic=topic)
            expected = state.next_offsets[topic]
            if batch[0].offset < expected:
                kept = [record for record in batch if record.offset >= expected]
                self._metrics.count("records_redelivered_total", len(batch) - len(kept), topic=topic)
                batch = kept
            if batch and self._continues(TopicPartition(topic, number), expected, batch[0].offset):
                fresh += batch
        return fresh

    def _continues(self, tp: TopicPartition, expected: int, offset: int) -> bool:
        if offset == expected:
            return True
        if self._gaps.get(tp) == expected:
            msg = f"{tp.topic}/{tp.partition}: offsets {expected} to {offset - 1} are gone from the log, unread"
            raise FatalError(f"{msg}; {AFTER_LOSS}")
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
                    if self._clock.now() >= self._next_commit_at:
                        self._next_commit_at = self._clock.now() + COMMIT_INTERVAL_S
                        await self._commit()
                        self._measure()
                except FatalError as error:
                    self._stop_for(str(error))
                except Exception as error:
                    log.exception("a deadline failed and its record is not committed")
                    self._stop_for(f"unexpected error: {error!r}")

    async def _commit(self) -> None:
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

    def _stop_for(self, reason: str) -> None:
        self.fatal = reason
        # A batch that waits for an assignment would hold up the stop.
        self._assigned.set()
        self.outbox.discard()
        log.critical("stopping", reason=reason)
        self._on_fatal()

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
        if self.consumer is None or tp not in self.consumer.assignment():
            return None
        mark: int | None = self.consumer.highwater(tp)
        return mark

    def polled_at(self, topic: str, number: int) -> float | None:
        """Return the monotonic time of a partition's last fetch, None before the first."""
        tp = TopicPartition(topic, number)
        if self.consumer is None or tp not in self.consumer.assignment():
            return None
        polled_ms: int | None = self.consumer.last_poll_timestamp(tp)
        return None if polled_ms is None else self._clock.now() - (self._clock.wall_ms() - polled_ms) / 1000

    def open_records(self) -> int:
        """Return how many records are open in all windows."""
        return sum(len(state.window) for state in self.partitions.values())

    def _measure(self) -> None:
        self._metrics.gauge("window_open_records", self.open_records())
        for topic, lag in self.lag().items():
            self._metrics.gauge("consumer_lag_records", lag, topic=topic)
        self._metrics.gauge("partitions_paused", len(self.consumer.paused()) if self.consumer else 0)

    def unready_reasons(self) -> list[str]:
        """Return why this member does not do its work; empty when it does."""
        now = self._clock.now()
        reasons = []
        if self.fatal is not None:
            reasons.append(f"stopped: {self.fatal}")
        if not self.partitions:
            reasons.append("no partition is assigned")
        if self._busy_since is not None and now - self._busy_since > BUSY_LIMIT_S:
            reasons.append(f"one batch is being handled for {now - self._busy_since:.0f} s")
        if self._ticker is None or self._ticker.done():
            reasons.append("the ticker is not running")
        if self.outbox.failing:
            reasons.append("the broker does not take records")
        return reasons + self._silent_partitions(now)

    def _silent_partitions(self, now: float) -> list[str]:
        if self.consumer is None or not self.partitions:
            return []
        paused = self.consumer.paused()
        reasons = []
        for number, state in self.partitions.items():
            for topic in state.next_offsets:
                polled = self.polled_at(topic, number)
                if polled is not None and now - polled > POLL_LIMIT_S and TopicPartition(topic, number) not in paused:
                    reasons.append(f"{topic}/{number} was not fetched for {now - polled:.0f} s")
        return reasons
