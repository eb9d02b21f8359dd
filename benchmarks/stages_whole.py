"""Whole services as stages: their kernel, handlers, publisher, store, fed with batches; only the network is missing."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from pydantic import SecretStr

from benchmarks.gates_broker import Log, Subscribing, VirtualClock, run_virtually
from benchmarks.played import DECIDED, KEY, PARTITIONS, Fetched, Played, Script
from benchmarks.stages import Meter, Stage, Stored
from contracts.records import header_maker
from runtime.broker import ConsumerRecords
from runtime.consumer import PartitionConsumer
from runtime.messages import Effects, Record, State
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings
from runtime.tracing import Tracing
from services.intake import app as intake_app
from services.intake.settings import IntakeSettings
from services.scoring import app as scoring_app
from services.scoring.handlers import StoreWriter
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Store
from services.vneid_mock import app as mock_app
from services.vneid_mock.settings import VneidSettings

_headers = header_maker("/benchmarks", "copied.v1")


class Copies:
    """A handler that does nothing but copy: what is measured is the kernel."""

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:  # noqa: ARG002  `RecordHandler`
        """Return the copy."""
        return Effects((("copied", record.key, record.value, _headers("copied")),))

    def on_deadline(self, key: bytes, state: State) -> Effects:  # noqa: ARG002  `RecordHandler`
        """Nothing stays open."""
        raise AssertionError


def whole_stages(played: Played, folder: Path) -> Iterable[Stage]:
    """Return one stage for the bare kernel and one for each service; `folder` is for stores."""
    decided = _batches(_by_partition(played.fetches[DECIDED]))
    yield _stage("kernel.copy", decided, _copying)
    yield _stage("intake.batches", _batches(_fetches(played.intake)), _intake)
    yield _stage("mock.batches", _batches(_fetches(played.mock)), lambda clock: _mock(played, clock))

    def scoring(meter: Meter) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place, Store(f"sqlite:///{place}/scoring.db") as store:
            run_virtually(lambda: _feed(_scoring(store, VirtualClock()), decided, meter))

    yield Stage("scoring.batches", _size(decided), scoring, piece=False)


def _fetches(scripts: Sequence[Script]) -> list[list[Fetched]]:
    return [[step for step in script.steps if isinstance(step, Fetched)] for script in scripts]


def _by_partition(fetches: Sequence[Fetched]) -> list[list[Fetched]]:
    return [[one for one in fetches if one.partition == number] for number in range(PARTITIONS)]


def _batches(by_partition: Sequence[Sequence[Fetched]]) -> list[ConsumerRecords]:
    """Return what the client hands over: one fetch of every partition at a time."""
    return [
        {TopicPartition(one.topic, one.partition): one.records for one in some if one is not None}
        for some in zip_longest(*by_partition)
    ]


def _size(batches: Sequence[ConsumerRecords]) -> int:
    return sum(len(records) for batch in batches for records in batch.values())


def _stage(name: str, batches: Sequence[ConsumerRecords], member: Callable[[VirtualClock], PartitionConsumer]) -> Stage:
    def run(meter: Meter) -> None:
        run_virtually(lambda: _feed(member(VirtualClock()), batches, meter))

    return Stage(name, _size(batches), run, piece=False)


async def _feed(member: PartitionConsumer, batches: Sequence[ConsumerRecords], meter: Meter) -> None:
    """Hand batches to a member as FastStream does, and wait until all is published and committed."""
    broker: Any = Subscribing(Log(PARTITIONS), "benchmarks", VirtualClock())
    producer = Stored()
    member.publisher = Publisher(lambda: producer)
    member.attach(broker)
    await member.start()
    await broker.assign()
    for batch in batches:
        with meter:
            await broker.handle(batch)
    with meter:
        await member.drain()
    if member.fatal:
        raise RuntimeError(member.fatal)


def _copying(clock: VirtualClock) -> StreamProcessor:
    resources = ProcessResources.of(
        "benchmarks", ServiceSettings(), KERNEL_METRICS, lambda: None, clock, tracing=Tracing()
    )
    return StreamProcessor(
        Copies(),
        resources,
        topics=[DECIDED],
        pending=PendingOptions(opens=DECIDED),
        dead_letter_topic=lambda topic: topic,
    )


def _intake(clock: VirtualClock) -> StreamProcessor:
    return intake_app.build(IntakeSettings(signing_key=SecretStr(KEY.decode())), clock, Tracing()).kernel


def _mock(played: Played, clock: VirtualClock) -> StreamProcessor:
    settings = VneidSettings(seed=played.day.seed, plan=played.plan.name)
    return mock_app.build(settings, clock, Tracing()).kernel


def _scoring(store: Store, clock: VirtualClock) -> StoreWriter:
    settings = ScoringSettings()
    resources = ProcessResources.of("scoring", settings, scoring_app.METRICS, lambda: None, clock, tracing=Tracing())
    return StoreWriter(store, resources, identity=lambda: "benchmarks", partitions=settings.partitions)
