"""What each stage of the flow costs by itself: CPU µs per record, in one process, without broker and network.

A stage is a whole process (its kernel, handlers, publisher and store; only the client library is missing), fed with the
batches that it was handed in a run of the whole flow. `kernel` is a handler that only copies. The stages run in turn,
round by round, so a drift of the machine's speed hits them all; the first round is left out.
"""

import cProfile
import logging
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import structlog
import typer
from rich.table import Table

from benchmarks import flow
from benchmarks.oracle import oracle_of
from benchmarks.rounds import Spread
from benchmarks.virtual_broker import Log, Producer, Subscriber
from benchmarks.virtual_time import VirtualClock, run_virtually
from benchmarks.workload import PARTITIONS, PLAN, SEED, day_of, submitted
from contracts.records import header_maker, partitions_of
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED
from paperless.cli.output import make_console, write_json
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.traffic.manifest import versions
from paperless.traffic.sender import CHUNK
from runtime.consumer import PartitionConsumer
from runtime.garbage_collector import tune_garbage_collector
from runtime.messages import Effects, Record, State
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings
from runtime.subscription import ConsumerRecords
from runtime.tracing import Tracing
from services.scoring.store.store import Store

Meter = AbstractContextManager[Any]

_headers = header_maker("/benchmarks", "copied.v1")


class Stage(NamedTuple):
    """One process; `run` handles so many records (driver and oracle: applications), what is measured under a meter."""

    name: str
    records: int
    run: Callable[[Meter], None]


class CpuMeter:
    """CPU time of this thread in nanoseconds, added up over every use as a context manager."""

    def __init__(self) -> None:
        self.ns = 0

    def __enter__(self) -> Self:
        self._began = time.thread_time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.ns += time.thread_time_ns() - self._began


class CopyHandler:
    """Does nothing but copy: what is measured is the kernel."""

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:  # noqa: ARG002  `RecordHandler`
        """Return the copy."""
        return Effects((("copied", record.key, record.value, _headers("copied")),))

    def on_deadline(self, key: bytes, state: State) -> Effects:  # noqa: ARG002  `RecordHandler`
        """Nothing stays open."""
        raise AssertionError


class InstantProducer(Producer):
    """Stands for a broker that has every batch at once, and keeps none."""

    async def _stored(self, batch: Any, topic: str, partition: int) -> None:  # noqa: ARG002  as the producer's
        batch._build()  # noqa: SLF001  what aiokafka's own sender does with it


def stages_of(applications: int, plan: str, folder: Path) -> Iterator[Stage]:
    """Yield the stages over a day in the order of the flow; `folder` is for stores."""
    day = day_of(applications)
    with _store(folder) as store:
        log, batches = flow.run_flow(day, store, plan)
    yield _driver(day)
    yield _service("kernel", batches["scoring"], _copying)
    yield _service("intake", batches["intake"], flow.intake)
    yield _service("mock", batches["mock"], lambda clock: flow.vneid_mock(clock, SEED, plan))
    yield _scoring(batches["scoring"], folder)
    yield _oracle(list(log.of_topic(APPLICATIONS_SUBMITTED.name)), plan)


def _store(folder: Path) -> Store:
    return Store(f"sqlite:///{tempfile.mkdtemp(dir=folder)}/scoring.db")


def _driver(day: SimulatedDay) -> Stage:
    population = Population(day)

    def run(meter: Meter) -> None:
        with meter:
            ordered = arrivals(day)
            while chunk := [submitted(population.submission(arrival)) for arrival in islice(ordered, CHUNK)]:
                partitions_of([key or b"" for _, key, _, _ in chunk], PARTITIONS)

    return Stage("driver", day.applications, run)


def _service(
    name: str, batches: Sequence[ConsumerRecords], member: Callable[[VirtualClock], PartitionConsumer]
) -> Stage:
    def run(meter: Meter) -> None:
        run_virtually(lambda: _feed(member(VirtualClock()), batches, meter))

    return Stage(name, _size(batches), run)


def _scoring(batches: Sequence[ConsumerRecords], folder: Path) -> Stage:
    def run(meter: Meter) -> None:
        with _store(folder) as store:
            run_virtually(lambda: _feed(flow.scoring(VirtualClock(), store), batches, meter))

    return Stage("scoring", _size(batches), run)


def _oracle(submissions: Sequence[Record], plan: str) -> Stage:
    oracle = oracle_of(plan)

    def run(meter: Meter) -> None:
        with meter:
            keys = partitions_of([record.key or b"" for record in submissions], PARTITIONS)
            for record, key_partition in zip(submissions, keys, strict=True):
                oracle.outcome(record, key_partition=key_partition)

    return Stage("oracle", len(submissions), run)


def _size(batches: Sequence[ConsumerRecords]) -> int:
    return sum(len(records) for batch in batches for records in batch.values())


async def _feed(member: PartitionConsumer, batches: Sequence[ConsumerRecords], meter: Meter) -> None:
    """Hand batches to a member as FastStream does, and wait until all is published and committed."""
    log = Log(PARTITIONS)
    subscriber = Subscriber(log, "benchmarks", VirtualClock())
    await flow.attached(member, subscriber, InstantProducer(log, "benchmarks"))
    for batch in batches:
        with meter:
            await subscriber.handle(batch)
    with meter:
        await member.drain()
    if member.fatal:
        raise RuntimeError(member.fatal)


def _copying(clock: VirtualClock) -> StreamProcessor:
    settings, topic = ServiceSettings(), APPLICATIONS_DECIDED.name
    resources = ProcessResources.of("benchmarks", settings, KERNEL_METRICS, lambda: None, clock, tracing=Tracing())
    pending = PendingOptions(opens=topic)
    return StreamProcessor(CopyHandler(), resources, topics=[topic], pending=pending, dead_letter_topic=str)


def measure(stages: Sequence[Stage], rounds: int) -> dict[str, list[float]]:
    """Return the CPU µs per record of each stage, by round."""
    costs: dict[str, list[float]] = {stage.name: [] for stage in stages}
    for turn in range(rounds + 1):
        for stage in stages:
            meter = CpuMeter()
            stage.run(meter)
            if turn:
                costs[stage.name].append(meter.ns / stage.records / 1000)
    return costs


def summary(stages: Sequence[Stage], costs: Mapping[str, Sequence[float]], applications: int) -> dict[str, Any]:
    """Return median and spread per record, and the median per application."""
    rows = {}
    for stage in stages:
        cost = Spread.of(costs[stage.name])
        rows[stage.name] = {
            "records": stage.records,
            "us_per_record": round(cost.median, 3),
            "spread": [round(cost.low, 3), round(cost.high, 3)],
            "us_per_application": round(cost.median * stage.records / applications, 3),
        }
    return rows


def table_of(rows: Mapping[str, Any]) -> Table:
    """Return the summary as a table."""
    table = Table("stage")
    for name in ("records", "µs/record", "spread", "µs/application"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        low, high = row["spread"]
        cost, each = f"{row['us_per_record']:.2f}", f"{row['us_per_application']:.2f}"
        table.add_row(name, f"{row['records']:,}", cost, f"{low:.2f} … {high:.2f}", each)
    return table


def profile(stage: Stage) -> None:
    """Print where one stage spends its own time, after a run that warms the caches."""
    stage.run(CpuMeter())
    profiler = cProfile.Profile()
    stage.run(profiler)
    print(f"{stage.name}: {stage.records:,} records")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(30)


def command(
    *,
    applications: Annotated[int, typer.Option(help="Of the day that is played.", min=1)] = 20_000,
    rounds: Annotated[int, typer.Option(help="After the one that warms up.", min=1)] = 5,
    plan: Annotated[str, typer.Option(help="Fault plan of the mock.")] = PLAN,
    profiled: Annotated[str | None, typer.Option("--profile", metavar="STAGE", help="Say where its time goes.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the costs to this file.")] = None,
) -> None:
    """Measure the CPU of each process by itself, without broker and network; or profile one of them.

    Example: `python -m benchmarks stages --profile intake`
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        stages = list(stages_of(applications, plan, Path(folder)))
        tune_garbage_collector()
        if profiled:
            names = [stage.name for stage in stages]
            if profiled not in names:
                raise typer.BadParameter(f"no stage {profiled}; there are {', '.join(names)}")
            profile(stages[names.index(profiled)])
            return
        rows = summary(stages, measure(stages, rounds), applications)
    make_console().print(table_of(rows))
    head = {"applications": applications, "plan": plan, "rounds": rounds, "versions": versions()}
    write_json(json, {**head, "stages": rows})
