"""A small log in memory, as a run would have left it: submissions, outcomes, and what the store made of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from contracts.records import partition_of
from domain import load_domain
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from paperless.verification.checkers import (
    PartitionAudit,
    PartitionAuditor,
    Verdict,
    judge,
    partitions_that_differ,
)
from paperless.verification.oracle import Oracle
from paperless.verification.positions import Elsewhere, LoggedRecord, RefusedRecord, awaited_filings
from services.intake.core import RuleBook
from services.scoring.rollup.cells import Snapshot
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.rollup import Rollup
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry

PARTITIONS = 2
SEED = 7


@cache
def oracle() -> Oracle:
    domain = load_domain()
    return Oracle(RuleBook.of(domain, 3), Vneid(Registry.of(domain), load_plan("mild"), SEED), PARTITIONS)


@cache
def submissions(count: int = 400) -> tuple[tuple[bytes, bytes], ...]:
    """Key and value of every submission of a small day."""
    scenario = load_scenario("one-province", load_domain())
    [day] = simulated_days(scenario, load_domain(), seed=SEED, applications=count)
    population = Population(day)
    return tuple(population.submission(arrival) for arrival in arrivals(day))


def outcome_of(record: LoggedRecord) -> bytes:
    return oracle().decide(record).to_json()


def corrections_of(record: LoggedRecord) -> list[bytes]:
    return [correction.to_json() for correction in oracle().foresee(record).corrections]


@dataclass
class Log:
    """The three logs and the dead letters by partition, and the roll-up that stands for the live store."""

    submitted: dict[int, list[LoggedRecord]] = field(default_factory=dict)
    decided: dict[int, list[LoggedRecord]] = field(default_factory=dict)
    requested: dict[int, list[LoggedRecord]] = field(default_factory=dict)
    letters: list[RefusedRecord] = field(default_factory=list)

    @staticmethod
    def of(count: int = 400) -> "Log":
        log = Log(_partitions(), _partitions(), _partitions())
        for key, value in submissions(count):
            record = log.submit(key, value)
            log.decide(key, outcome_of(record))
            for correction in corrections_of(record):
                log.request(key, correction)
        return log

    def submit(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> LoggedRecord:
        return _append(self.submitted, key, value, partition)

    def decide(self, key: bytes, value: bytes) -> LoggedRecord:
        return _append(self.decided, key, value, None)

    def request(self, key: bytes, value: bytes) -> LoggedRecord:
        return _append(self.requested, key, value, None)

    def live(self) -> Rollup:
        """What scoring has made of the log as it is now."""
        rollup = Rollup()
        rollup.apply_all((record.partition, decode(record, PARTITIONS)) for record in self.outcomes())
        return rollup

    def outcomes(self) -> Iterable[LoggedRecord]:
        return (record for records in self.decided.values() for record in records)

    def audit(self, number: int, *, with_content: bool = False, with_oracle: bool = True) -> PartitionAudit:
        auditor = PartitionAuditor(
            partition=number,
            partitions=PARTITIONS,
            refused=[letter for letter in self.letters if letter.partition == number],
            oracle=oracle() if with_oracle else None,
        )
        for records in _in_pieces(self.decided[number]):
            auditor.decided(records)
        for records in _in_pieces(self.submitted[number]):
            auditor.submitted(records)
        for records in _in_pieces(self.requested[number]):
            auditor.requested(records)
        return auditor.result(with_content=with_content)

    def verdict(
        self, live: Snapshot, content: Mapping[int, Mapping[str, int]] | None = None, *, with_oracle: bool = True
    ) -> Verdict:
        """The verdict as `verify` reaches it: applications are compared only in partitions that differ."""
        audits = {number: self.audit(number, with_oracle=with_oracle) for number in range(PARTITIONS)}
        held = content if content is not None else self.content()
        differing = partitions_that_differ(live, {number: len(names) for number, names in held.items()}, audits)
        audits |= {number: self.audit(number, with_content=True, with_oracle=with_oracle) for number in differing}
        missing = not_arrived(audits.values(), PARTITIONS, self.submitted.__getitem__)
        return judge(live, audits, {number: held[number] for number in differing}, missing)

    def content(self) -> dict[int, dict[str, int]]:
        """The content hashes that the live store would give, by partition."""
        hashes = self.live().content_hashes()
        return {
            number: {name: value for name, value in hashes.items() if partition_of(name.encode(), PARTITIONS) == number}
            for number in range(PARTITIONS)
        }


def _partitions() -> dict[int, list[LoggedRecord]]:
    return {number: [] for number in range(PARTITIONS)}


def not_arrived(
    audits: Iterable[PartitionAudit], partitions: int, submitted: Callable[[int], Iterable[LoggedRecord]]
) -> list[Elsewhere]:
    """The submissions that lie elsewhere and nowhere among those submitted to their own partition."""
    filings = [filing for audit in audits for filing in audit.elsewhere]
    missing: list[Elsewhere] = []
    for number, wanted in awaited_filings(filings, partitions).items():
        wanted.read(submitted(number))
        missing += wanted.missing()
    return missing


def _in_pieces(records: list[LoggedRecord]) -> Iterable[list[LoggedRecord]]:
    """As they come from a broker."""
    return (records[start : start + 70] for start in range(0, len(records), 70))


def _append(
    logs: dict[int, list[LoggedRecord]], key: bytes | None, value: bytes | None, partition: int | None
) -> LoggedRecord:
    number = partition_of(key or b"", PARTITIONS) if partition is None else partition
    record = LoggedRecord(number, len(logs[number]), key, value)
    logs[number].append(record)
    return record


def decided(record: LoggedRecord) -> ApplicationOutcome:
    return decode(record, PARTITIONS)
