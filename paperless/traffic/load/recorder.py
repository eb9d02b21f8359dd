"""What happened to each application, as moments of one clock, and the figures that follow; pure.

While a run goes on a moment is one entry of an array, about 0.1 µs; histograms and series are computed afterwards.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from math import isnan, nan
from typing import NamedTuple


class Snapshot(NamedTuple):
    """Counts so far."""

    sent: int
    acknowledged: int
    decided: int
    stored: int


class Recorder:
    """Moments in seconds of one monotonic clock, by the number of the application; NaN where it has not come yet.

    `intended`: when it should have been sent; `handed`: when the producer got it; `appended`: when the broker said that
    it is durable; `decided`: when the observer saw its first outcome; `stored`: when the store was seen to hold it.
    """

    def __init__(self) -> None:
        self.intended, self.handed = array("d"), array("d")
        self.appended, self.decided, self.stored = array("d"), array("d"), array("d")
        # Further outcomes of an application (overruled, or delivered again), and outcomes of others.
        self.seen_again = self.foreign = 0
        # Latencies of what was stored since a display last asked.
        self.fresh: list[float] = []
        self._number: dict[bytes, int] = {}
        self._acknowledged = self._decided = self._stored = 0
        self._waiting: dict[int, deque[tuple[int, int]]] = {}
        self._positions: dict[int, tuple[list[int], list[float]]] = {}

    def hand(self, key: bytes, intended: float, now: float) -> int:
        """Note that an application was given to the producer; return its number."""
        number = len(self.intended)
        self._number[key] = number
        self.intended.append(intended)
        self.handed.append(now)
        for moments in (self.appended, self.decided, self.stored):
            moments.append(nan)
        return number

    def acknowledge(self, numbers: Iterable[int], now: float) -> None:
        """Note that the broker has these."""
        for number in numbers:
            self.appended[number] = now
            self._acknowledged += 1

    def see(self, key: bytes, partition: int, offset: int, now: float) -> None:
        """Note an outcome; offsets of a partition come in rising order."""
        number = self._number.get(key)
        if number is None:
            self.foreign += 1
        elif isnan(self.decided[number]):
            self.decided[number] = now
            self._decided += 1
            self._await_store(number, partition, offset)
        else:
            self.seen_again += 1

    def _await_store(self, number: int, partition: int, offset: int) -> None:
        """The store may have had it before the observer saw it: then the moment lies in the past."""
        offsets, moments = self._positions.get(partition, ((), ()))
        if offsets and offset < offsets[-1]:
            self._store(number, moments[bisect_right(offsets, offset)])
        else:
            self._waiting.setdefault(partition, deque()).append((offset, number))

    def store(self, next_offsets: Mapping[int, int], now: float) -> None:
        """Note how far the store says it has come: the next offset by partition."""
        for partition, position in next_offsets.items():
            offsets, moments = self._positions.setdefault(partition, ([], []))
            if not offsets or position > offsets[-1]:
                offsets.append(position)
                moments.append(now)
            waiting = self._waiting.get(partition)
            while waiting and waiting[0][0] < position:
                self._store(waiting.popleft()[1], now)

    def _store(self, number: int, moment: float) -> None:
        self.stored[number] = moment
        self._stored += 1
        self.fresh.append(moment - self.intended[number])

    @property
    def backlog(self) -> int:
        """Applications sent and without an outcome."""
        return len(self.intended) - self._decided

    @property
    def unstored(self) -> int:
        """Applications sent and not known to be stored."""
        return len(self.intended) - self._stored

    def snapshot(self) -> Snapshot:
        """Return the counts so far."""
        return Snapshot(len(self.intended), self._acknowledged, self._decided, self._stored)
