"""Sends submissions in chunks and counts what the broker has acknowledged; one chunk in flight, one being filled."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from contracts.cloudevents import header_maker
from contracts.partition import partition_of
from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.population.population import Submission, submitted_at
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

    def acknowledge(self, day: date, submissions: list[Submission]) -> None:
        row = self.days[day]
        self.at = submitted_at(day, submissions[-1].second)
        first = row.first_at or submitted_at(day, submissions[0].second)
        sent = row.sent + len(submissions)
        self.days[day] = row.model_copy(update={"sent": sent, "first_at": first, "last_at": self.at})
        self.sent += len(submissions)
        self.value_bytes += sum([len(submission.value) for submission in submissions])

    def slipped(self, due: Iterable[float], now: float) -> None:
        late = [max(now - moment, 0.0) for moment in due]
        self.slip_s = late[0] if late else 0.0
        self.slip_max_s = max(self.slip_max_s, self.slip_s)
        self.slip_sum_s += sum(late)


@dataclass(slots=True)
class _Chunk:
    day: date
    submissions: list[Submission] = field(default_factory=list)
    due: list[float] = field(default_factory=list)


class Sender:
    """Order within a partition is kept within one try; a failed send is repeated until the broker has it.

    `delivered` is called after each chunk that the broker has acknowledged; `tracing` starts the traces.
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
        self._filling: _Chunk | None = None
        self._flight: tuple[_Chunk, asyncio.Task[None]] | None = None

    def add(self, day: date, submission: Submission, due: float | None = None) -> bool:
        """Take a submission, with the moment at which it should have been sent; true when it is time to hand over."""
        if self._filling is None:
            self._filling = _Chunk(day)
        self._filling.submissions.append(submission)
        if due is not None:
            self._filling.due.append(due)
        return len(self._filling.submissions) >= CHUNK

    async def hand_over(self) -> None:
        """Give what was added to the producer, after what was given before has been acknowledged."""
        if self._filling is None:
            return
        await self._settle()
        chunk, self._filling = self._filling, None
        by_partition: defaultdict[int, list[Message]] = defaultdict(list)
        for submission in chunk.submissions:
            by_partition[partition_of(submission.key, self._partitions)].append(self._message(submission))
        for partition, messages in by_partition.items():
            self._publisher.add(messages, partition)
        self._tally.slipped(chunk.due, self._clock.now())
        self._flight = chunk, asyncio.create_task(self._publisher.flush())
        await asyncio.sleep(0)

    def _message(self, submission: Submission) -> Message:
        headers = _headers(f"{submission.application_id}/submitted")
        message = (APPLICATIONS_SUBMITTED.name, submission.key, submission.value, headers)
        return self._tracing.begin(message, self._publisher)

    async def drain(self) -> None:
        """Wait for what is in flight, for a bounded time; what was not handed over is forgotten."""
        if self._flight is None:
            return
        _, task = self._flight
        done, _ = await asyncio.wait({task}, timeout=DRAIN_WITHIN_S)
        if done:
            await self._settle()
        else:
            task.cancel()

    async def _settle(self) -> None:
        if self._flight is None:
            return
        chunk, task = self._flight
        # `wait`, because awaiting the task itself would cancel it together with us.
        await asyncio.wait({task})
        self._flight = None
        task.result()
        self._tally.acknowledge(chunk.day, chunk.submissions)
        self._delivered()
