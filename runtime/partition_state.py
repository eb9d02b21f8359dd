"""One partition's state: what was read, what is open, what may be committed. No client, no loop: it is told the time.

Partition n of every topic of a group belongs to one member, so this is all the state there is for its applications.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from runtime.messages import Effects, HandlerResult, Message, Record, RecordHandler
from runtime.pending import PendingRecords, RetryBudget
from runtime.tracing import Traces

# Two fetches are told apart by when they came back, which is known to the millisecond.
FETCHES_APART_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOptions:
    """Bounds of what is pending, and its patience.

    Attributes:
        opens: the topic whose records open entries; its committed offset trails the oldest open one.
        answered_on: the topic that closes them; a deadline waits until it was read up to what was there when the
            deadline passed. None: deadlines fire on time (a schedule, not patience).
        max_open: open entries per partition; beyond it the opening topic is paused.
        max_span: records between committed and next offset of the opening topic; beyond it, paused too.
        retry_share: retries on silence as a share of opened entries.
        stretch_s: how much longer a deadline waits when the retry budget is used up.

    """

    opens: str
    answered_on: str | None = None
    max_open: int = 5_000
    max_span: int = 200_000
    retry_share: float = 0.1
    retries_per_s: float = 20.0
    retry_burst: float = 500.0
    stretch_s: float = 2.0


class PartitionState:
    """Next offset per topic, the pending records, and the barrier that keeps a late reader from presuming silence."""

    def __init__(self, starts: Mapping[str, int], options: PendingOptions | None) -> None:
        self.next_offsets = dict(starts)
        self.pending = PendingRecords()
        self.traces: Traces = {}
        self._options = options
        self._fetched_at = -inf
        self._barrier: tuple[float, int] | None = None
        self._budget = (
            RetryBudget(share=options.retry_share, per_s=options.retries_per_s, burst=options.retry_burst)
            if options
            else None
        )

    def take(self, record: Record, handler: RecordHandler, now: float) -> tuple[Message, ...]:
        """Handle one record and return what it publishes. An exception of the handler leaves the state unchanged."""
        messages = self.apply(handler.on_record(record, self.pending), record.offset, now)
        self.read_past(record)
        return messages

    def read_past(self, record: Record) -> None:
        """Read on after this record, however it was handled."""
        self.next_offsets[record.topic] = record.offset + 1

    def apply(self, handled: HandlerResult, offset: int, now: float) -> tuple[Message, ...]:
        """Change what is pending as the handling of a record says, and return what it publishes."""
        if type(handled) is not Effects:
            return (handled,)
        publish, opened, rearmed, closed, _ = handled
        if closed is not None:
            self.pending.close(closed)
        if rearmed is not None:
            self.pending.rearm(rearmed.key, now + rearmed.patience_s, rearmed.state)
        if opened is not None:
            key, patience_s, state = opened
            if self.pending.open(key, offset, now + patience_s, state, now) and self._budget:
                self._budget.earn(1)
        return publish

    def due(self, *, now: float, polled_at: float | None, highwater: int | None, limit: int) -> list[bytes]:
        """Return keys whose deadline passed and whose silence is certain.

        The mark of the first fetch that came back after the deadline may be older than the deadline; that of the next
        one is not, as it was sent later.

        Args:
            now: the monotonic time.
            polled_at: the monotonic time of the last fetch of the answering topic's partition, None before the first.
            highwater: the high-water mark that fetch saw.
            limit: how many keys at most.

        """
        if self._options is None:
            return []
        if self._options.answered_on is None:
            return self.pending.expired(now, limit)
        if self._barrier is None and polled_at is not None and highwater is not None:
            self._set_barrier(now, polled_at, highwater)
        if self._barrier is None:
            return []
        until, mark = self._barrier
        if self.next_offsets[self._options.answered_on] < mark:
            return []
        keys = self.pending.expired(until, limit)
        if len(keys) < limit:
            self._barrier = None
        return keys

    def _set_barrier(self, now: float, polled_at: float, highwater: int) -> None:
        deadline = self.pending.next_deadline()
        if deadline is None or deadline > now or polled_at <= deadline:
            return
        before = self._fetched_at
        if before > deadline and polled_at >= before + FETCHES_APART_S:
            self._barrier = (min(before, now), highwater)
        if self._barrier is not None or before <= deadline:
            self._fetched_at = polled_at

    def fire(self, key: bytes, handler: RecordHandler, now: float) -> tuple[Message, ...]:
        """Let one deadline pass and return what it publishes; without retry budget the deadline stretches instead."""
        state = self.pending[key]
        effects = handler.on_deadline(key, state)
        if effects.retry and self._options and self._budget and not self._budget.spend(now):
            self.pending.rearm(key, now + self._options.stretch_s, state)
            return ()
        return self.apply(effects, 0, now)

    def commits(self) -> dict[str, int]:
        """Return the offset to commit per topic: the opening topic trails its oldest open entry."""
        oldest = self.pending.oldest_offset()
        trailing = {self._options.opens: oldest} if self._options and oldest is not None else {}
        return self.next_offsets | trailing

    def is_full(self, share: float = 1.0) -> bool:
        """Tell whether `share` of a bound is reached: too many open entries, or too long a span behind the commit."""
        if self._options is None:
            return False
        oldest = self.pending.oldest_offset()
        span = 0 if oldest is None else self.next_offsets[self._options.opens] - oldest
        return len(self.pending) >= share * self._options.max_open or span >= share * self._options.max_span
