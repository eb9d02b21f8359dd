"""The driver: plays simulated days into `applications.submitted`, open loop, and says how late it was.

Event time is mapped to wall time by the pace; an arrival's moment never depends on how the system copes. What cannot
be sent in time is sent late and counted as slip.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aiokafka.errors import KafkaError

from domain import load_domain
from paperless.population.arrivals import Arrival, SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.population.scenario import Scenario, simulated_days
from paperless.population.time_of_day import played_share
from paperless.traffic.manifest import DaySent, Status
from paperless.traffic.recording import Recording
from paperless.traffic.sender import Sender, Tally
from paperless.traffic.survey import LogError, survey
from runtime.broker import RestartableProducer, open_producer
from runtime.clock import Clock, SystemClock
from runtime.publisher import Publisher
from runtime.settings import KafkaAccess
from runtime.tracing import open_tracing

# Under pacing a record waits at most this long for company.
LINGER_S = 0.04
# A run that is to stop, and a display, do not wait for the end of a quiet night.
_NAP_S = 0.5
# The producer's own tasks get a turn this often while submissions are computed (about 1 ms of work).
_TURN = 50
_PROGRESS_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivePlan:
    """What to play: a scenario, a seed, and the pace in wall seconds per simulated day (None: as fast as it goes).

    `applications` replaces the scenario's volume by an exact total. `idempotent_producer` must be off on
    Tansu, which also does not know its log's end.
    """

    scenario: Scenario
    seed: int
    applications: int | None = None
    seconds_per_day: float | None = None
    idempotent_producer: bool = False

    @property
    def pace(self) -> str:
        return "max" if self.seconds_per_day is None else f"{self.seconds_per_day:g} s per day"

    def days(self) -> tuple[SimulatedDay, ...]:
        """Return the days to play, each with its exact total (the packaged domain)."""
        return simulated_days(self.scenario, load_domain(), seed=self.seed, applications=self.applications)


class Progress(NamedTuple):
    """What a display wants to know while it runs; `at` is event time, the rest seconds of wall time."""

    sent: int
    planned: int
    at: datetime | None
    elapsed_s: float
    slip_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveResult:
    """What was sent: only what the broker has acknowledged (of a run that ended early, the log may hold a chunk more).

    `value_bytes` are bytes of values; `slip_*` is how late records were handed to the producer against their moment (0
    at pace `max`); `cpu_s` is the CPU time of this process meanwhile; `stopped` when it ended before its plan.
    """

    days: tuple[DaySent, ...]
    value_bytes: int
    elapsed_s: float
    cpu_s: float
    slip_mean_s: float
    slip_max_s: float
    stopped: bool

    @property
    def sent(self) -> int:
        return sum(day.sent for day in self.days)

    @property
    def cpu_us_per_application(self) -> float:
        return self.cpu_s / self.sent * 1e6 if self.sent else 0.0


def _silent(_: Progress) -> None:
    return


async def drive(
    plan: DrivePlan,
    *,
    access: KafkaAccess,
    progress: Callable[[Progress], None] = _silent,
    clock: Clock | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    stop: asyncio.Event | None = None,
    recording: Recording | None = None,
) -> DriveResult:
    """Send the plan's applications and return when the broker has them all.

    Setting `stop` ends it early: what is in flight is still delivered and the result says how many were sent.
    Cancelling does the same and then raises. A broker that fails is tried until it answers.

    Args:
        plan: what to play and how fast.
        access: how the driver's user reaches the broker.
        progress: called every 0.1 s at most.
        clock: wall time.
        sleep: waits on the same clock.
        stop: ends the run early when set.
        recording: writes the manifest before the first record and again at the end, however it ends.

    Raises:
        LogError: the broker does not answer, or its topics are not as the registry wants them.
        ManifestError: the manifest cannot be written.

    """
    log = await survey(access, end_offsets_reliable=plan.idempotent_producer)
    days = plan.days()
    planned = tuple(DaySent(day=day.date, planned=day.applications) for day in days)
    manifest = recording.begin(log, plan.scenario, planned, seed=plan.seed, pace=plan.pace) if recording else None
    producer = RestartableProducer(
        lambda: open_producer(access, client_id="paperless-driver", idempotent=plan.idempotent_producer)
    )
    run = _Run(plan, days, progress=progress, clock=clock or SystemClock(), sleep=sleep, stop=stop or asyncio.Event())
    tracing = open_tracing("driver")
    status: Status = "failed"
    try:
        await _start(producer, access)
        publisher = Publisher(producer, producer.renew)
        await run.play(Sender(publisher, log.partitions, run.tally, run.clock, run.show, tracing=tracing))
        status = "stopped" if run.result().stopped else "sent"
    except asyncio.CancelledError:
        status = "stopped"
        raise
    finally:
        await producer.stop()
        tracing.stop()
        if manifest and recording:
            recording.end(manifest, status, run.result().days)
    return run.result()


class _Run:
    """One play of some days, with its counts."""

    def __init__(
        self,
        plan: DrivePlan,
        days: tuple[SimulatedDay, ...],
        *,
        progress: Callable[[Progress], None],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        stop: asyncio.Event,
    ) -> None:
        self.clock = clock
        self.tally = Tally({day.date: DaySent(day=day.date, planned=day.applications) for day in days})
        self._days, self._pace = days, plan.seconds_per_day
        self._progress, self._sleep, self._stop = progress, sleep, stop
        self._planned = sum(day.applications for day in days)
        self._started = self._shown = clock.now()
        self._cpu_started = time.process_time()

    async def play(self, sender: Sender) -> None:
        """Play all days; when it ends early, what is in flight is still waited for."""
        start: float | None = None
        try:
            for index, day in enumerate(self._days):
                ordered = arrivals(day)
                population = Population(day)
                # Building the tables is not the first record's lateness.
                start = self.clock.now() if start is None else start
                moments = start + index * (self._pace or 0.0)
                await self._play_day(day, population, ordered, moments, sender)
        finally:
            await sender.drain()
        self._progress(self._now())

    async def _play_day(
        self, day: SimulatedDay, population: Population, ordered: Iterator[Arrival], start: float, sender: Sender
    ) -> None:
        due: float | None = None
        for count, arrival in enumerate(ordered):
            if self._pace is not None:
                due = start + played_share(arrival.second) * self._pace
                if due > self.clock.now():
                    await self._wait_until(due, sender)
            if self._stop.is_set():
                return
            if sender.add(day.date, arrival.second, population.submission(arrival), due):
                await sender.hand_over()
            elif count % _TURN == 0:
                await asyncio.sleep(0)
        await sender.hand_over()

    async def _wait_until(self, due: float, sender: Sender) -> None:
        """Hand over what is due, and sleep at least once: without company records would travel in batches of one."""
        await sender.hand_over()
        left = LINGER_S
        while left > 0 and not self._stop.is_set():
            await self._sleep(min(max(left, LINGER_S), _NAP_S))
            self.show()
            left = due - self.clock.now()

    def show(self) -> None:
        """Report progress, unless it was reported a moment ago."""
        now = self.clock.now()
        if now - self._shown >= _PROGRESS_S:
            self._shown = now
            self._progress(self._now())

    def result(self) -> DriveResult:
        """What was sent until now."""
        tally = self.tally
        return DriveResult(
            days=tuple(tally.days.values()),
            value_bytes=tally.value_bytes,
            elapsed_s=self.clock.now() - self._started,
            cpu_s=time.process_time() - self._cpu_started,
            slip_mean_s=tally.slip_sum_s / tally.sent if tally.sent else 0.0,
            slip_max_s=tally.slip_max_s,
            stopped=tally.sent < self._planned,
        )

    def _now(self) -> Progress:
        tally = self.tally
        return Progress(tally.sent, self._planned, tally.at, self.clock.now() - self._started, tally.slip_s)


async def _start(producer: RestartableProducer, access: KafkaAccess) -> None:
    try:
        await producer.start()
    except KafkaError as error:
        raise LogError(
            f"broker {access.kafka_servers}: no producer ({error}); the embedded Tansu needs idempotent_producer=False"
        ) from error
