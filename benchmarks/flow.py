"""The whole flow in one process and in virtual time: each service wired as its process wires it, one member each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.virtual_broker import Log, Producer, Subscriber
from benchmarks.virtual_time import VirtualClock, run_virtually
from benchmarks.workload import PARTITIONS
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.traffic.manifest import DaySent
from paperless.traffic.sender import CHUNK, Sender, Tally
from runtime.consumer import PartitionConsumer
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.subscription import ConsumerRecords
from runtime.tracing import Tracing
from services.intake import app as intake_app
from services.intake.settings import IntakeSettings
from services.scoring import app as scoring_app
from services.scoring.handlers import StoreWriter
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Store
from services.vneid_mock import app as mock_app
from services.vneid_mock.settings import VneidSettings

# The pace at which the driver hands its chunks over.
APPLICATIONS_PER_S = 15_000
# Nothing moved for so long: longer than the mock delays a reply and intake waits for one.
QUIET_S = 4.0


class Flow(NamedTuple):
    """The log, its requests counted, and by service the batches that it was handed, in their order."""

    log: Log
    batches: Mapping[str, Sequence[ConsumerRecords]]


def run_flow(day: SimulatedDay, store: Store, plan: str) -> Flow:
    """Send a day and wait until nothing moves; some 0.4 ms and 10 KB per application.

    Raises:
        RuntimeError: a service stopped.

    """
    log, batches = Log(PARTITIONS), dict[str, Sequence[ConsumerRecords]]()
    run_virtually(lambda: _flow(day, store, plan, log, batches))
    return Flow(log, batches)


def intake(clock: VirtualClock) -> PartitionConsumer:
    """Return intake as its process wires it."""
    return intake_app.build(IntakeSettings(), clock, Tracing()).kernel


def vneid_mock(clock: VirtualClock, seed: int, plan: str) -> PartitionConsumer:
    """Return the mock as its process wires it."""
    return mock_app.build(VneidSettings(seed=seed, plan=plan), clock, Tracing()).kernel


def scoring(clock: VirtualClock, store: Store) -> PartitionConsumer:
    """Return scoring's consumer as its process wires it."""
    settings = ScoringSettings()
    resources = ProcessResources.of("scoring", settings, scoring_app.METRICS, lambda: None, clock, tracing=Tracing())
    return StoreWriter(store, resources, identity=lambda: "benchmarks", partitions=settings.partitions)


async def attached(member: PartitionConsumer, subscriber: Subscriber, producer: Any) -> None:
    """Start a member with all partitions."""
    member.publisher = Publisher(lambda: producer)
    broker: Any = subscriber
    member.attach(broker)
    await member.start()
    await subscriber.assign()


async def _flow(
    day: SimulatedDay, store: Store, plan: str, log: Log, batches: dict[str, Sequence[ConsumerRecords]]
) -> None:
    clock = VirtualClock()
    members = {
        "intake": intake(clock),
        "mock": vneid_mock(clock, day.seed, plan),
        "scoring": scoring(clock, store),
    }
    async with contextlib.AsyncExitStack() as running:
        for name, member in members.items():
            subscriber = Subscriber(log, name, clock)
            await running.enter_async_context(_running(name, member, subscriber, Producer(log, name)))
            batches[name] = subscriber.batches
        await _send(day, log, clock)
        stored = -1
        while stored < log.size() or any(member.open_records() for member in members.values()):
            stored = log.size()
            await asyncio.sleep(QUIET_S)


@contextlib.asynccontextmanager
async def _running(
    name: str, member: PartitionConsumer, subscriber: Subscriber, producer: Producer
) -> AsyncIterator[None]:
    await attached(member, subscriber, producer)
    polling = asyncio.create_task(subscriber.poll_forever())
    try:
        yield
    finally:
        await member.drain()
        polling.cancel()
        await asyncio.wait({polling})
        if member.fatal:
            raise RuntimeError(f"{name} stopped: {member.fatal}")


async def _send(day: SimulatedDay, log: Log, clock: VirtualClock) -> None:
    producer = Producer(log, "driver")
    tally = Tally({day.date: DaySent(day=day.date, planned=day.applications)})
    sender = Sender(Publisher(lambda: producer), log.partitions, tally, clock, lambda: None)
    population = Population(day)
    for arrival in arrivals(day):
        if sender.add(day.date, arrival.second, population.submission(arrival)):
            await sender.hand_over()
            await asyncio.sleep(CHUNK / APPLICATIONS_PER_S)
    await sender.hand_over()
    await sender.drain()
