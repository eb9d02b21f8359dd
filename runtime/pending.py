"""The pending records of one partition: ordered by offset for the commit and by deadline for patience."""

from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush

from runtime.messages import State

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
