"""One partition's state: what was read, what is open, what may be committed. No client, no loop: it is told the time.

Partition n of every topic of a group belongs to one member, so this is all the state there is for its applications.
Pending records have two orders: by offset, for the commit, and by deadline, for patience.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf

from runtime.messages import Effects, HandlerResult, Message, Record, RecordHandler, State
from runtime.tracing import Traces

# Two fetches are told apart by when they came back, which is known to the millisecond.
FETCHES_APART_S = 0.005
# Deadlines of closed entries stay in the heap until it holds this many times what is open.
_HEAP_SLACK = 2
_HEAP_MINIMUM = 1024


class PendingRecords(Mapping[bytes, State]):
    """Open entries by key. As a mapping it shows their state; offsets and deadlines are its own business.

    Every operation is O(log n) or better, amortised. Deadlines are seconds of the caller's monotonic clock.
    """

    __slots__ = ("_deadlines", "_entries", "_offsets")

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[int, float, State]] = {}
        self._offsets: deque[tuple[int, bytes, float]] = deque()
        self._deadlines: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getitem__(self, key: bytes) -> State:
        return self._entries[key][2]

    def open(self, key: bytes, offset: int, deadline: float, state: State, now: float = 0.0) -> bool:
        """Open an entry; offsets must not decrease. Return False when the key is open: a duplicate moves nothing."""
        if key in self._entries:
            return False
        self._entries[key] = (offset, deadline, state)
        self._offsets.append((offset, key, now))
        heappush(self._deadlines, (deadline, key))
        return True

    def rearm(self, key: bytes, deadline: float, state: State) -> None:
        """Give an open entry a new deadline and state; its offset stays. A key that is not open is left alone."""
        entry = self._entries.get(key)
        if entry is None:
            return
        self._entries[key] = (entry[0], deadline, state)
        heappush(self._deadlines, (deadline, key))

    def close(self, key: bytes) -> None:
        """End an entry; a key that is not open is left alone."""
        self._entries.pop(key, None)

    def oldest_offset(self) -> int | None:
        """Return the offset of the oldest open entry, None when nothing is open."""
        offsets, entries = self._offsets, self._entries
        while offsets:
            offset, key, _ = offsets[0]
            entry = entries.get(key)
            if entry is not None and entry[0] == offset:
                return offset
            offsets.popleft()
        return None

    def oldest_since(self) -> float | None:
        """Return when the oldest open entry was opened, None when nothing is open."""
        return None if self.oldest_offset() is None else self._offsets[0][2]

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of an open entry, None when nothing is open."""
        self._drop_stale()
        return self._deadlines[0][0] if self._deadlines else None

    def expired(self, until: float, limit: int) -> list[bytes]:
        """Return up to `limit` keys whose deadline is at or before `until`, earliest first; they stay open."""
        keys: list[bytes] = []
        while len(keys) < limit:
            deadline = self.next_deadline()
            if deadline is None or deadline > until:
                break
            key = heappop(self._deadlines)[1]
            # Rearmed twice at one moment, an entry is in the heap twice with one deadline; it expires once.
            if not keys or keys[-1] != key:
                keys.append(key)
        return keys

    def _drop_stale(self) -> None:
        heap, entries = self._deadlines, self._entries
        if len(heap) > _HEAP_MINIMUM and len(heap) > _HEAP_SLACK * len(entries):
            heap[:] = [(entry[1], key) for key, entry in entries.items()]
            heapify(heap)
        while heap:
            deadline, key = heap[0]
            entry = entries.get(key)
            if entry is not None and entry[1] == deadline:
                return
            heappop(heap)


class RetryBudget:
    """How many askings-again silence may cause: a share of the requests, plus a small rate so that no one starves."""

    __slots__ = ("_burst", "_per_s", "_refilled_at", "_share", "_tokens")

    def __init__(self, *, share: float, per_s: float, burst: float) -> None:
        self._share, self._per_s, self._burst = share, per_s, burst
        self._tokens = burst
        self._refilled_at: float | None = None

    def earn(self, requests: int) -> None:
        """Count requests sent; each earns its share of a retry."""
        self._tokens = min(self._burst, self._tokens + self._share * requests)

    def spend(self, now: float) -> bool:
        """Take one retry; False means that the budget is used up and the deadline must stretch."""
        if self._refilled_at is not None:
            self._tokens = min(self._burst, self._tokens + self._per_s * (now - self._refilled_at))
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


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

    def read_past(self, record: Record) -> None:
        """Read on after this record, however it was handled."""
        self.next_offsets[record.topic] = record.offset + 1

    def apply(self, handled: HandlerResult, offset: int, now: float) -> tuple[Message, ...]:
        """Change what is pending as the handling of a record says, and return what it publishes."""
        if type(handled) is not Effects:
            return (handled,)
        publish, opened, rearmed, closed, _, _ = handled
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
