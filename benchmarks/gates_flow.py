"""What the whole flow asks of broker and store: counted on a run in one process, in virtual time.

Driver, intake, mock and scoring are the real ones, wired as their processes are; one member each.
"""

import asyncio
import contextlib
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from benchmarks.gates_broker import Log, Producer, Subscribing, VirtualClock, run_virtually
from benchmarks.played import PARTITIONS, day_of
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.traffic.manifest import DaySent
from paperless.traffic.sender import CHUNK, Sender, Tally
from runtime.consumer import PartitionConsumer
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.tracing import Tracing
from services.intake import app as intake_app
from services.intake.settings import IntakeSettings
from services.scoring import app as scoring_app
from services.scoring.handlers import StoreWriter
from services.scoring.settings import ScoringSettings
from services.scoring.store.sqlite import SqliteSession
from services.scoring.store.store import Store
from services.vneid_mock import app as mock_app
from services.vneid_mock.settings import VneidSettings

# The pace at which the driver hands its chunks over.
APPLICATIONS_PER_S = 15_000
# Nothing moved for so long: longer than the mock delays a reply and intake waits for one.
QUIET_S = 4.0
_TABLE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM|SELECT .*? FROM)\s+\(?(\w+)", re.DOTALL)


class CountedStore(Store):
    """A store that tells of every statement; one that is given many rows counts once a row."""

    def watch(self, tell: Callable[[str], None]) -> None:
        """Begin to tell."""
        if isinstance(self._session, SqliteSession):
            self._session.connection.set_trace_callback(tell)

    def changes(self) -> int:
        """Return how many rows were inserted, updated or deleted since the start."""
        return self._session.connection.total_changes if isinstance(self._session, SqliteSession) else 0

    def outcomes(self) -> int:
        """Return how many applications have an outcome."""
        return sum(fingerprint.applications for fingerprint in self.snapshot().fingerprints.values())


def kind_of(statement: str) -> str:
    """Return what a statement does, and with which table: its values do not matter."""
    verb = statement.split(None, 1)[0].lower()
    found = _TABLE.match(statement)
    return f"{verb}_{found[1]}" if found else verb


def flow_counts(applications: int, *, plan: str = "mild", seed: int = 1) -> dict[str, float]:
    """Return counts per 1,000 applications, and bytes per record of each topic.

    Raises:
        RuntimeError: the run did not end with every application in the store once.

    """
    log, statements = Log(PARTITIONS), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, CountedStore(f"sqlite:///{Path(folder) / 'scoring.db'}") as store:
        before = store.changes()
        store.watch(lambda statement: statements.update([kind_of(statement)]))
        run_virtually(lambda: _flow(day_of(applications, seed), log, store, plan))
        rows, asked = store.changes() - before, dict(statements)
        if store.outcomes() != applications:
            raise RuntimeError(f"the store has {store.outcomes()} outcomes of {applications} applications")
    counts = {**log.requests, **{f"sql.{kind}": count for kind, count in asked.items()}}
    counts |= {"sql.statements": sum(asked.values()), "sql.rows_changed": rows}
    counts |= {f"records.{topic}": len(list(log.of_topic(topic))) for topic in log.topics()}
    per_1000 = {name: count / applications * 1000 for name, count in sorted(counts.items())}
    return per_1000 | _bytes_per_record(log)


def _bytes_per_record(log: Log) -> dict[str, float]:
    found: dict[str, float] = {}
    for topic in log.topics():
        records = list(log.of_topic(topic))
        values = sum(len(record.value or b"") for record in records)
        headers = sum(len(name) + len(value) for record in records for name, value in record.headers)
        found[f"bytes.{topic}.value"] = values / len(records)
        found[f"bytes.{topic}.headers"] = headers / len(records)
    return found


async def _flow(day: SimulatedDay, log: Log, store: Store, plan: str) -> None:
    clock = VirtualClock()
    members = {
        "intake": intake_app.build(IntakeSettings(), clock, Tracing()).kernel,
        "mock": mock_app.build(VneidSettings(seed=day.seed, plan=plan), clock, Tracing()).kernel,
        "scoring": _scoring(store, clock),
    }
    async with contextlib.AsyncExitStack() as running:
        for name, member in members.items():
            await running.enter_async_context(_running(name, member, log, clock))
        await _send(day, log, clock)
        stored = -1
        while stored < log.size() or any(member.open_records() for member in members.values()):
            stored = log.size()
            await asyncio.sleep(QUIET_S)


def _scoring(store: Store, clock: VirtualClock) -> StoreWriter:
    settings = ScoringSettings()
    resources = ProcessResources.of("scoring", settings, scoring_app.METRICS, lambda: None, clock, tracing=Tracing())
    return StoreWriter(store, resources, identity=lambda: "benchmarks", partitions=settings.partitions)


@contextlib.asynccontextmanager
async def _running(name: str, member: PartitionConsumer, log: Log, clock: VirtualClock) -> AsyncIterator[None]:
    broker: Any = Subscribing(log, name, clock)
    producer = Producer(log, name)
    member.publisher = Publisher(lambda: producer)
    member.attach(broker)
    await member.start()
    await broker.assign()
    polling = asyncio.create_task(broker.poll_forever())
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
        if sender.add(day.date, population.submission(arrival)):
            await sender.hand_over()
            await asyncio.sleep(CHUNK / APPLICATIONS_PER_S)
    await sender.hand_over()
    await sender.drain()
