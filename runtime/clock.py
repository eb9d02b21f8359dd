"""Wall time as an argument: deadlines, metrics and record timestamps take it from a clock, never from the system."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time of a process."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back; only differences have a meaning."""

    def wall_ms(self) -> int:
        """Return milliseconds since the Unix epoch, as Kafka's record timestamps count them."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000
