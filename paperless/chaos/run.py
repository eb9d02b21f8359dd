"""Load and faults together: applications at the moments of a schedule, a plan carried out, and samples of it all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from paperless.chaos.injector import Event, FaultInjector
from paperless.chaos.plan import Fault
from paperless.chaos.port import FaultPort
from paperless.chaos.recovery import Sample, stands_still_s, steady_backlog
from paperless.chaos.result import Timeline, timeline_of
from paperless.chaos.sampler import Sampler
from paperless.chaos.schedule import arrivals, steady_rate
from paperless.traffic.load.generator import Generator
from paperless.traffic.load.lanes import Lanes
from paperless.traffic.load.observer import Observer
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.supply import AHEAD, SLICE, Supply, population_seed
from paperless.traffic.survey import LogError, LogSurvey
from runtime.broker import RestartableProducer, open_producer
from runtime.settings import KafkaAccess

_POLL_S: Final = 0.1
_STOP_WITHIN_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is done to a system: applications evenly over some seconds, and a plan of faults."""

    seed: int
    applications: int
    seconds: float
    plan: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUnderTest:
    """The system that has to stand it.

    `health_urls` are those of its consumers, `other_urls` of its other parts, by name; within `within_s`
    seconds something has to move, or its recovery is not waited for any longer.
    """

    kafka: KafkaAccess
    idempotent_producer: bool
    health_urls: Mapping[str, str]
    other_urls: Mapping[str, str]
    api_url: str
    log: LogSurvey
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told while it goes on."""

    event: Callable[[Event], None] = lambda _: None
    sample: Callable[[Sample], None] = lambda _: None


async def run(experiment: Experiment, system: SystemUnderTest, port: FaultPort, listener: Listener) -> Timeline:
    """Return the figures once all is sent, every fault over, and everything recovered or patience at its end.

    Cancelled, it ends every fault before it raises.

    Raises:
        ChaosError: a fault cannot be carried out.
        LogError: the broker does not answer at the beginning.

    """
    recorder, partitions = Recorder(), system.log.partitions
    supply = await _supply(experiment, system.log)
    observer = Observer(system.kafka, system.api_url, partitions, recorder, time.monotonic)
    async with _producer(system) as producer, observer:
        lanes = Lanes(producer, partitions, lambda numbers: recorder.acknowledge(numbers, time.monotonic()))
        try:
            load = _Load(recorder, Generator(supply, lanes, recorder, time.monotonic), (lanes.check, observer.check))
            return await _Going(experiment, system, port, listener, load).on()
        finally:
            await lanes.close()


class _Load(NamedTuple):
    recorder: Recorder
    generator: Generator
    checks: tuple[Callable[[], None], ...]


class _Going:
    """A run that goes on."""

    def __init__(
        self,
        experiment: Experiment,
        system: SystemUnderTest,
        port: FaultPort,
        listener: Listener,
        load: _Load,
    ) -> None:
        self._experiment, self._system, self._port = experiment, system, port
        self._load = load
        self._start = time.monotonic()
        self._injector = FaultInjector(experiment.plan, port, self._now, listener.event)
        self._sampler = Sampler(
            self._consumers,
            system.other_urls,
            system.log.partitions,
            recorder=load.recorder,
            clock=self._now,
            show=listener.sample,
        )

    def _now(self) -> float:
        return time.monotonic() - self._start

    def _consumers(self) -> Mapping[str, str]:
        return {**self._system.health_urls, **self._port.joined}

    async def on(self) -> Timeline:
        """Send, inject faults and watch, until all is over."""
        experiment = self._experiment
        schedule = arrivals(experiment.applications, experiment.seconds, experiment.plan)
        sampling = asyncio.create_task(self._sampler.take_all())
        doing = [
            asyncio.create_task(self._load.generator.open_loop(self._start, schedule)),
            asyncio.create_task(self._injector.inject()),
        ]
        try:
            await self._until(lambda: all(task.done() for task in doing), [sampling, *doing])
            await self._until(lambda: self._over() or self._gives_up(), [sampling, *doing])
        finally:
            for task in (sampling, *doing):
                task.cancel()
            await asyncio.gather(sampling, *doing, return_exceptions=True)
        return self._figures()

    async def _until(self, condition: Callable[[], bool], tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Wait for a condition; raises what ended a task or a check."""
        while not condition():
            await asyncio.sleep(_POLL_S)
            for check in self._load.checks:
                check()
            for task in tasks:
                if task.done():
                    task.result()

    @property
    def _rate(self) -> float:
        return steady_rate(self._experiment.applications, self._experiment.seconds, self._experiment.plan)

    def _over(self) -> bool:
        """Whether all is stored, the backlog steady and every part ready, after the last fault has ended."""
        samples, plan = self._sampler.samples, self._experiment.plan
        if not samples or samples[-1].stored < self._experiment.applications:
            return False
        steady = steady_backlog(samples, min((fault.begins_s for fault in plan), default=0.0), self._rate)
        last, ended = samples[-1], max((each.ended_s for each in self._injector.occurred), default=0.0)
        return last.at_s >= ended and not last.unready and last.backlog is not None and last.backlog <= steady

    def _gives_up(self) -> bool:
        return stands_still_s(self._sampler.samples) > self._system.within_s

    def _figures(self) -> Timeline:
        experiment = self._experiment
        return timeline_of(
            experiment.plan,
            self._injector.occurred,
            self._sampler.samples,
            applications=experiment.applications,
            rate=self._rate,
        )


async def _supply(experiment: Experiment, log: LogSurvey) -> Supply:
    """Make applications ahead: what is made meanwhile, the load's moments wait for."""
    seed = population_seed(experiment.seed, sum(log.start_offsets.values()), 0)
    supply = Supply(seed=seed, applications=experiment.applications, partitions=log.partitions)
    for _ in range(0, min(experiment.applications, AHEAD), SLICE):
        supply.make(SLICE)
        await asyncio.sleep(0)
    return supply


@asynccontextmanager
async def _producer(system: SystemUnderTest) -> AsyncIterator[RestartableProducer]:
    producer = RestartableProducer(
        lambda: open_producer(system.kafka, client_id="paperless-chaos", idempotent=system.idempotent_producer)
    )
    try:
        await producer.start()
    except KafkaError as error:
        raise LogError(
            f"broker {system.kafka.kafka_servers}: {error or type(error).__name__}; is it running?"
        ) from error
    try:
        yield producer
    finally:
        await asyncio.wait({asyncio.create_task(producer.stop())}, timeout=_STOP_WITHIN_S)
