"""What a variant is told and how it measures itself. Standard library only: a peer has an environment of its own."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, TypedDict

from runtime.garbage_collector import tune_garbage_collector

# A first join takes the embedded broker half a session, and libraries' defaults are 10 to 45 s. Nothing that is
# measured depends on it.
SESSION_MS, HEARTBEAT_MS = 2_000, 600


class Subscription(TypedDict):
    """Options that aiokafka's consumer and FastStream's subscriber have alike."""

    group_id: str
    auto_offset_reset: Literal["earliest"]
    session_timeout_ms: int
    heartbeat_interval_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a variant.

    Attributes:
        servers: the broker, host:port.
        source: the topic to read; the log is written before the variant starts.
        target: the topic to write.
        group: a consumer group that nobody used before.
        records: after how many published records to stop.
        partitions: of either topic.

    """

    servers: str
    source: str
    target: str
    group: str
    records: int
    partitions: int

    @property
    def subscription(self) -> Subscription:
        """How to read the source from its beginning, as a member of the group."""
        return {
            "group_id": self.group,
            "auto_offset_reset": "earliest",
            "session_timeout_ms": SESSION_MS,
            "heartbeat_interval_ms": HEARTBEAT_MS,
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_command_line(arguments: Sequence[str] = sys.argv) -> "Job":
        return Job(**json.loads(arguments[1]))


class Startable(Protocol):
    """What FastStream's broker is to the meter."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run, from the first record read to the last one published. `cpu_us` is per record, all threads."""

    per_s: float
    cpu_us: float


class Meter:
    """Reads wall time and CPU of this process when the first record is read and when the last one is published."""

    # Of what a watcher sees: a run lasts seconds.
    EVERY_S = 0.01

    def __init__(self, records: int, now: Callable[[], tuple[float, float]] = _now) -> None:
        self.finished = False
        self._records, self._now = records, now
        self._begin: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    def begin(self) -> None:
        """Take note that a record is read; only the first one counts."""
        if self._begin is None:
            self._begin = self._now()

    def reached(self, published: int) -> None:
        """Take note of how many records the broker has by now."""
        if not self.finished and published >= self._records:
            self.finished, self._end = True, self._now()

    async def watch(self, published: Callable[[], int]) -> None:
        """Look until the last record is published."""
        tune_garbage_collector()
        while not self.finished:
            await asyncio.sleep(self.EVERY_S)
            self.reached(published())

    async def run(self, broker: Startable, published: Callable[[], int]) -> None:
        """Start a broker whose subscriber is ready, watch until the last record is published, stop it, and report."""
        await broker.start()
        try:
            await self.watch(published)
        finally:
            await broker.stop()
        self.report()

    def measurement(self) -> Measurement:
        """Return what was measured; `ValueError` where nothing was read."""
        if self._begin is None or not self.finished:
            raise ValueError("the run is not over: nothing was read, or not all of it was published")
        wall, cpu = (end - begin for begin, end in zip(self._begin, self._end, strict=True))
        return Measurement(self._records / wall, cpu / self._records * 1e6)

    def report(self) -> None:
        """Print the measurement for whoever started this process."""
        print(json.dumps(asdict(self.measurement())), flush=True)
