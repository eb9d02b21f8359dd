"""A day's flow played once in memory, so that each of its parts can be measured by itself on real inputs.

Handlers, partition states, client and formats are the real ones; broker, network and waiting are left out. What a stage
publishes is written into aiokafka's batches and read back as its consumer would read it.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from contracts.records import header_maker, partition_of
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    DEFAULT_PARTITIONS,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
)
from domain import load_domain
from paperless.population.arrivals import Arrival, SimulatedDay, arrivals
from paperless.population.population import Population, Submission
from paperless.population.scenario import load_scenario, simulated_days
from paperless.traffic.sender import SOURCE
from runtime.messages import Message
from runtime.partition_state import PartitionState, PendingOptions
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.vneid_mock.control import PlanState
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.handlers import VneidHandlers
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry

SUBMITTED, DECIDED = APPLICATIONS_SUBMITTED.name, APPLICATIONS_DECIDED.name
REQUESTED, PROVIDED = DOCUMENTS_REQUESTED.name, DOCUMENTS_PROVIDED.name
PARTITIONS, ATTEMPTS = DEFAULT_PARTITIONS, 3
KEY = b"a signing key of the benchmarks"
# Records of one partition in one fetch.
BATCH = 500
PENDING = PendingOptions(opens=SUBMITTED, answered_on=PROVIDED)
SCHEDULE = PendingOptions(opens=REQUESTED)
submitted_headers = header_maker(SOURCE, APPLICATIONS_SUBMITTED.event_type)


class Fetched(NamedTuple):
    """What one fetch of one partition brings: the bytes as the broker sends them, and their records."""

    topic: str
    partition: int
    offset: int
    data: bytes
    records: list[ConsumerRecord]

    def parse(self) -> list[ConsumerRecord]:
        """Return the records of the bytes, by the client's own code, check sums included."""
        place, check_crcs = TopicPartition(self.topic, self.partition), True
        return list(
            PartitionRecords(
                place,
                MemoryRecords(self.data),
                [],
                self.offset,
                None,
                None,
                check_crcs,
                READ_UNCOMMITTED,
            )
        )


@dataclass(frozen=True, slots=True)
class Silences:
    """Deadlines that pass at one moment."""

    keys: tuple[bytes, ...]


@dataclass(slots=True)
class Script:
    """What one partition of a service sees, in order."""

    partition: int
    steps: list[Fetched | Silences] = field(default_factory=list)


class Played(NamedTuple):
    """A day and what its stages read and write; scripts are by partition."""

    day: SimulatedDay
    arrivals: list[Arrival]
    submissions: list[Submission]
    plan: FaultPlan
    intake: list[Script]
    mock: list[Script]
    messages: dict[str, list[Message]]
    fetches: dict[str, list[Fetched]]

    def records(self, topic: str) -> list[ConsumerRecord]:
        """Return all records of a topic."""
        return [record for fetched in self.fetches[topic] for record in fetched.records]


@cache
def book() -> RuleBook:
    """Return the rule book of all stages: as in a service that has run for a while, its caches are warm."""
    return RuleBook.of(load_domain(), 3)


def intake_handlers() -> IntakeHandlers:
    """Return intake's handlers as the service wires them."""
    return IntakeHandlers(RuleBook.of(load_domain(), ATTEMPTS), key=KEY, partitions=PARTITIONS, patience_s=1.5)


def mock_handlers(plan: FaultPlan, seed: int) -> VneidHandlers:
    """Return the mock's handlers as the service wires them."""
    return VneidHandlers(Registry.of(load_domain()), PlanState(plan, seed), partitions=PARTITIONS)


def intake_state() -> PartitionState:
    """Return what intake keeps of one partition, at the log's start."""
    return PartitionState({SUBMITTED: 0, PROVIDED: 0}, PENDING)


def mock_state() -> PartitionState:
    """Return what the mock keeps of one partition, at the log's start."""
    return PartitionState({REQUESTED: 0}, SCHEDULE)


def day_of(applications: int, seed: int) -> SimulatedDay:
    """Return the national working day with this many applications."""
    domain = load_domain()
    return simulated_days(load_scenario("national-day", domain), domain, seed=seed, applications=applications)[0]


def play(applications: int, *, plan: str = "mild", seed: int = 1) -> Played:
    """Play a national working day through driver, intake and mock; about 0.2 ms and 10 KB per application."""
    day = day_of(applications, seed)
    ordered = list(arrivals(day))
    population = Population(day)
    submissions = [population.submission(arrival) for arrival in ordered]
    played = Played(day, ordered, submissions, load_plan(plan), [], [], defaultdict(list), defaultdict(list))
    by_partition: list[list[Message]] = [[] for _ in range(PARTITIONS)]
    for one in submissions:
        headers = submitted_headers(f"{one.application_id}/submitted")
        message = (SUBMITTED, one.key, one.value, headers)
        by_partition[partition_of(one.key, PARTITIONS)].append(message)
    intake, mock = intake_handlers(), mock_handlers(played.plan, seed)
    for number, messages in enumerate(by_partition):
        _Partition(played, number, intake, mock).play(messages)
    return played


class _Partition:
    """One partition's log, and the two services that read it in turn."""

    def __init__(self, played: Played, number: int, intake: IntakeHandlers, mock: VneidHandlers) -> None:
        self._played, self._number = played, number
        self._handlers, self._mock_handlers = intake, mock
        self._intake, self._mock = intake_state(), mock_state()
        self._intake_script, self._mock_script = Script(number), Script(number)
        self._now = 0.0
        self._ends: defaultdict[str, int] = defaultdict(int)
        self._requests: list[Message] = []
        self._decided: list[Message] = []
        played.intake.append(self._intake_script)
        played.mock.append(self._mock_script)

    def play(self, submissions: Sequence[Message]) -> None:
        """Play all submissions, then everything that follows, until nothing is open."""
        for start in range(0, len(submissions), BATCH):
            self._to_intake(submissions[start : start + BATCH])
            self._ask()
        while self._requests or self._intake.pending:
            self._ask()
            self._pass_deadlines()
        self._append(self._decided)

    def _ask(self) -> None:
        """Let the mock answer what is asked for; delayed replies come at once, as no time passes here."""
        requests, self._requests = self._requests, []
        replies: list[Message] = []
        for fetched in self._append(requests):
            self._mock_script.steps.append(fetched)
            for record in fetched.records:
                replies += self._mock.take(record, self._mock_handlers, 0.0)
        while self._mock.pending:
            keys = tuple(self._mock.pending)
            self._mock_script.steps.append(Silences(keys))
            for key in keys:
                replies += self._mock.fire(key, self._mock_handlers, 0.0)
        self._to_intake(replies)

    def _pass_deadlines(self) -> None:
        """Let all deadlines of intake pass, once every reply is in."""
        if self._requests or not self._intake.pending:
            return
        keys = tuple(self._intake.pending)
        self._intake_script.steps.append(Silences(keys))
        for key in keys:
            # Far enough apart, so that the retry budget has refilled.
            self._now += 1.0
            self._out(self._intake.fire(key, self._handlers, self._now))

    def _to_intake(self, messages: Sequence[Message]) -> None:
        for fetched in self._append(messages):
            self._intake_script.steps.append(fetched)
            for record in fetched.records:
                self._out(self._intake.take(record, self._handlers, 0.0))

    def _out(self, messages: Iterable[Message]) -> None:
        for message in messages:
            (self._requests if message[0] == REQUESTED else self._decided).append(message)

    def _append(self, messages: Sequence[Message]) -> list[Fetched]:
        """Write messages of one topic to the log, and return them as they are fetched again."""
        written = []
        for start in range(0, len(messages), BATCH):
            some = messages[start : start + BATCH]
            topic = some[0][0]
            fetched = written_and_read(some, topic, self._number, self._ends[topic])
            self._ends[topic] += len(some)
            self._played.messages[topic] += some
            self._played.fetches[topic].append(fetched)
            written.append(fetched)
        return written


def written_and_read(messages: Sequence[Message], topic: str, partition: int, offset: int) -> Fetched:
    """Return messages as one batch of the log that begins at `offset`."""
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=2**30
    )
    for count, (_, key, value, headers) in enumerate(messages):
        builder.append(count, None, key, value, headers)
    return read_batch(builder.build(), topic, partition, offset)


def read_batch(data: bytearray, topic: str, partition: int, offset: int) -> Fetched:
    """Return a batch as it is fetched from a partition that it was appended to at `offset`."""
    # As the broker does: the first offset is outside the check sum.
    struct.pack_into(">q", data, 0, offset)
    fetched = Fetched(topic, partition, offset, bytes(data), [])
    fetched.records.extend(fetched.parse())
    return fetched
