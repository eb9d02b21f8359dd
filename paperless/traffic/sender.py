"""Sends submissions in chunks and counts what the broker has acknowledged; one chunk in flight, one being filled."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from contracts.records import header_maker, partitions_of
from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.population.population import submitted_at
from paperless.traffic.manifest import DaySent
from runtime.clock import Clock
from runtime.messages import Message
from runtime.publisher import Publisher
from runtime.tracing import Tracing

SOURCE = "/simulation/driver"
# About 200 records for each of six partitions, 140 KB: one batch each.
CHUNK = 1_200
# A user who stops a run must not wait for a broker that is gone.
DRAIN_WITHIN_S = 10.0

_headers = header_maker(SOURCE, APPLICATIONS_SUBMITTED.event_type)


@dataclass(slots=True)
class Tally:
    """Counts of what is acknowledged; `slip_*` is how late records were handed to the producer, in seconds."""

    days: dict[date, DaySent]
    sent: int = 0
    value_bytes: int = 0
    at: datetime | None = None
    slip_s: float = 0.0
    slip_max_s: float = 0.0
    slip_sum_s: float = 0.0

    def acknowledge(self, day: date, seconds: Sequence[int], value_bytes: int) -> None:
        """Count the submissions of these seconds of a day, in their order."""
        row = self.days[day]
        self.at = submitted_at(day, seconds[-1])
        first = row.first_at or submitted_at(day, seconds[0])
        sent = row.sent + len(seconds)
        self.days[day] = row.model_copy(update={"sent": sent, "first_at": first, "last_at": self.at})
        self.sent += len(seconds)
        self.value_bytes += value_bytes

    def slipped(self, due: Iterable[float], now: float) -> None:
        late = [max(now - moment, 0.0) for moment in due]
        self.slip_s = late[0] if late else 0.0
        self.slip_max_s = max(self.slip_max_s, self.slip_s)
        self.slip_sum_s += sum(late)


class Sender:
    """Sends submissions in chunks by a publisher, which repeats what failed until the broker has it.

    Args:
        publisher: sends; nobody else adds to it.
        partitions: the partition count of the log.
        tally: counts what the broker has acknowledged, and how late it was handed over.
        clock: wall time.
        delivered: called after each chunk that the broker has acknowledged.
        tracing: starts the traces.

    """

    def __init__(
        self,
        publisher: Publisher,
        partitions: int,
        tally: Tally,
        clock: Clock,
        delivered: Callable[[], None],
        *,
        tracing: Tracing | None = None,
    ) -> None:
        self._publisher, self._tracing = publisher, tracing or Tracing()
        self._partitions, self._tally, self._clock, self._delivered = partitions, tally, clock, delivered
        self._day = date.min
        self._chunk: list[tuple[bytes, bytes]] = []
        self._seconds: list[int] = []
        self._due: list[float] = []

    def add(self, day: date, second: int, submission: tuple[bytes, bytes], due: float | None = None) -> bool:
        """Take a submission, and return whether it is time to hand over.

        A day's last submission must be handed over before the next day's first is added.

        Args:
            day: the simulated day.
            second: of the day, at which it is filed.
            submission: key and value of its record.
            due: the moment of the clock at which it should be sent.

        """
        self._day = day
        self._chunk.append(submission)
        self._seconds.append(second)
        if due is not None:
            self._due.append(due)
        return len(self._chunk) >= CHUNK

    async def hand_over(self) -> None:
        """Give what was added to the producer, after what was given before has been acknowledged."""
        if not self._chunk:
            return
        await self._publisher.flush()
        day, seconds, chunk, due = self._day, self._seconds, self._chunk, self._due
        self._seconds, self._chunk, self._due = [], [], []
        by_partition: defaultdict[int, list[Message]] = defaultdict(list)
        targets = partitions_of([key for key, _ in chunk], self._partitions)
        for (key, value), partition in zip(chunk, targets, strict=True):
            by_partition[partition].append(self._message(key, value))
        value_bytes = sum([len(value) for _, value in chunk])
        for partition, messages in by_partition.items():
            self._publisher.add(messages, partition)
        self._publisher.when_sent.append(lambda: self._acknowledge(day, seconds, value_bytes))
        self._tally.slipped(due, self._clock.now())
        await self._publisher.hand_over()
        await asyncio.sleep(0)

    def _message(self, key: bytes, value: bytes) -> Message:
        message = (APPLICATIONS_SUBMITTED.name, key, value, _headers(f"{key.decode()}/submitted"))
        return self._tracing.begin(message, self._publisher)

    def _acknowledge(self, day: date, seconds: Sequence[int], value_bytes: int) -> None:
        self._tally.acknowledge(day, seconds, value_bytes)
        self._delivered()

    async def drain(self) -> None:
        """Wait for what is in flight, for a bounded time; what was not handed over is forgotten."""
        try:
            async with asyncio.timeout(DRAIN_WITHIN_S):
                await self._publisher.flush()
        except TimeoutError:
            self._publisher.discard()
