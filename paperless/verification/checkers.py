"""What must hold between the logs, the live store and the oracle; pure functions over what was read.

Conservation: every position of `applications.submitted` is a decided application, a repeat of one, or a dead letter.
Agreement: live cells = recount of the log = oracle, with counts and hash sums per partition, so that a loss and a
double cannot cancel out. Only where they differ are applications compared one by one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.errors import Reject
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED
from paperless.verification.oracle import Oracle
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.rollup import Rollup
from services.scoring.rollup.snapshot import (
    HASH_SPAN,
    CellKey,
    Fingerprint,
    Measures,
    Snapshot,
    add_cells,
    add_fingerprints,
    difference,
)

# Enough to see what is wrong; a whole log of differences helps nobody.
MAX_NAMED = 20


class Letter(NamedTuple):
    """A dead letter: where its record stood, and why it was refused."""

    topic: str
    partition: int
    offset: int
    reason: str


class LoggedRecord(NamedTuple):
    """A record as the log has it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class PartitionAudit:
    """What one partition came to. `content` has each application's content hash, recounted and by the oracle, if asked.

    `lost` and `wrongly_refused` name positions of `applications.submitted`, `strangers` applications that have an
    outcome but no submission.
    """

    submitted: int
    recount: Snapshot
    oracle: Snapshot | None
    letters: tuple[Letter, ...]
    lost: tuple[str, ...]
    wrongly_refused: tuple[str, ...]
    content: tuple[Mapping[str, int], Mapping[str, int]] | None = None
    strangers: tuple[str, ...] = ()


class PartitionAuditor:
    """Recounts a partition, asks the oracle about it, and checks conservation, while its log is being read.

    First all its outcomes, then all its submissions, each in order and in pieces of any size; what stays in memory is
    about 1 KB per application.

    Args:
        partition: its number.
        partitions: the partition count of the log.
        letters: its dead letters, repeats allowed.
        oracle: None where the fault plan was changed by hand: then the recount is the reference.

    """

    def __init__(self, *, partition: int, partitions: int, letters: Iterable[Letter], oracle: Oracle | None) -> None:
        self._partition, self._partitions, self._oracle = partition, partitions, oracle
        self._letters = {(letter.topic, letter.offset): letter for letter in letters}
        self._recount, self._expected = Rollup(), Rollup()
        self._submitted = 0
        self._unknown: set[str] | None = None
        self._lost: list[str] = []
        self._refused: list[str] = []

    def decided(self, records: Iterable[LoggedRecord]) -> None:
        """Recount the next records of `applications.decided`."""
        batch = []
        for record in records:
            if (APPLICATIONS_DECIDED.name, record.offset) in self._letters:
                continue
            try:
                batch.append((self._partition, decode(record, self._partitions)))
            except Reject:
                # Scoring must refuse it too; if it did not, the live store differs.
                continue
        self._recount.apply_all(batch)

    def submitted(self, records: Iterable[LoggedRecord]) -> None:
        """Look for the outcomes of the next records of `applications.submitted`."""
        unknown = self._without_submission()
        foreseen: list[tuple[int, ApplicationOutcome]] = []
        for record in records:
            self._submitted += 1
            name = (record.key or b"").decode(errors="replace")
            unknown.discard(name)
            self._check(record, name, _foresee(record, self._oracle, foreseen) if self._oracle else None)
        self._expected.apply_all(foreseen)

    def result(self, *, with_content: bool = False) -> PartitionAudit:
        """Return what the partition came to, with every application's content hash if asked."""
        recount, expected = self._recount, self._expected
        unknown = sorted(self._without_submission())
        return PartitionAudit(
            self._submitted,
            recount.snapshot(),
            expected.snapshot() if self._oracle else None,
            tuple(self._letters.values()),
            tuple(self._lost),
            tuple(self._refused),
            (recount.content_hashes(), expected.content_hashes()) if with_content else None,
            tuple(f"application {name}: an outcome in the log, but no submission" for name in unknown),
        )

    def _without_submission(self) -> set[str]:
        if self._unknown is None:
            self._unknown = set(self._recount.content_hashes())
        return self._unknown

    def _check(self, record: LoggedRecord, name: str, verdict: str | None) -> None:
        """Hold a submission against its outcome; `verdict` is the oracle's reason to refuse it."""
        letter = self._letters.get((APPLICATIONS_SUBMITTED.name, record.offset))
        place = f"{APPLICATIONS_SUBMITTED.name}/{self._partition}/{record.offset}"
        if letter is not None:
            if self._oracle and verdict != letter.reason:
                self._refused.append(f"{place}: dead letter {letter.reason}, the oracle says {verdict or 'decided'}")
        elif self._recount.outcome(name) is None:
            self._lost.append(f"{place}: application {name} has no outcome")
        elif verdict is not None:
            self._lost.append(f"{place}: must be refused ({verdict}), but is no dead letter")


def _foresee(record: LoggedRecord, oracle: Oracle, foreseen: list[tuple[int, ApplicationOutcome]]) -> str | None:
    """Add what the oracle says of a submission, or return the reason why it must be refused."""
    try:
        foreseen.append((record.partition, oracle.outcome(record)))
    except Reject as reject:
        return reject.reason
    return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification; `ok` only when nothing was lost, counted twice or wrong.

    `submitted` counts positions, `decided` applications; `re_delivered` outcomes that repeated a known one,
    `overruled` outcomes that a better informed one replaced, `presumed` final outcomes with an incomplete set of
    answers. `differences` say exactly what is wrong.
    """

    submitted: int
    decided: int
    dead_lettered: int
    lost: int
    counted_twice: int
    re_delivered: int
    presumed: int
    overruled: int
    conflicts: int
    live_equals_recount: bool
    recount_equals_oracle: bool | None
    differences: tuple[str, ...] = ()
    letters: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check passed; without an oracle the recount is the reference."""
        agree = self.live_equals_recount and self.recount_equals_oracle is not False
        return agree and not (self.lost or self.counted_twice or self.differences)


def judge_readings(
    live: Snapshot, audits: Mapping[int, PartitionAudit], live_content: Mapping[int, Mapping[str, int]]
) -> Verdict:
    """Return the verdict over all partitions.

    Args:
        live: the store's reading.
        audits: by partition; those that differ from the live store have their content.
        live_content: content hash by application of the partitions that differ.

    """
    recount = merged(audit.recount for audit in audits.values())
    oracles = [audit.oracle for audit in audits.values()]
    oracle = merged(one for one in oracles if one) if all(oracles) else None
    lost = [place for audit in audits.values() for place in audit.lost]
    missing, doubled, details = _compare_content(live, audits, live_content)
    letters = Counter(f"{one.topic}: {one.reason}" for audit in audits.values() for one in audit.letters)
    at_scoring = [one for audit in audits.values() for one in audit.letters if one.topic == APPLICATIONS_DECIDED.name]
    differences = [
        *lost[:MAX_NAMED],
        *[place for audit in audits.values() for place in audit.wrongly_refused][:MAX_NAMED],
        *[stranger for audit in audits.values() for stranger in audit.strangers][:MAX_NAMED],
        *[f"live and recount: {one}" for one in difference(live, recount)][:MAX_NAMED],
        *([f"recount and oracle: {one}" for one in difference(recount, oracle)][:MAX_NAMED] if oracle else []),
        *details[:MAX_NAMED],
        *[f"dead letter at scoring: {one.topic}/{one.partition}/{one.offset} {one.reason}" for one in at_scoring],
    ]
    submitted_letters = sum(
        1 for audit in audits.values() for one in audit.letters if one.topic == APPLICATIONS_SUBMITTED.name
    )
    return Verdict(
        submitted=sum(audit.submitted for audit in audits.values()),
        decided=sum(print_.applications for print_ in recount.fingerprints.values()),
        dead_lettered=submitted_letters,
        lost=len(lost) + missing,
        counted_twice=doubled,
        re_delivered=recount.counters.get("ignored_equal", 0) + recount.counters.get("ignored_weaker", 0),
        presumed=sum(measures.presumed for measures in recount.cells.values()),
        overruled=recount.counters.get("overruled", 0),
        conflicts=recount.counters.get("conflicts", 0),
        live_equals_recount=not difference(live, recount),
        recount_equals_oracle=None if oracle is None else not difference(recount, oracle),
        differences=tuple(differences),
        letters=dict(letters),
    )


def merged(readings: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of readings of different partitions."""
    cells: dict[CellKey, Measures] = {}
    prints: dict[int, Fingerprint] = {}
    counters: Counter[str] = Counter()
    for reading in readings:
        add_cells(cells, reading.cells)
        add_fingerprints(prints, reading.fingerprints)
        counters.update(reading.counters)
    return Snapshot(cells, prints, counters)


def partitions_that_differ(live: Snapshot, held: Mapping[int, int], audits: Mapping[int, PartitionAudit]) -> list[int]:
    """Return the partitions whose applications must be compared one by one.

    `held` counts the outcomes that the live store holds: one that is counted but gone shows only there.
    """
    return [
        number
        for number, audit in audits.items()
        if live.fingerprints.get(number) != audit.recount.fingerprints.get(number)
        or held.get(number, 0) != live.fingerprints.get(number, Fingerprint()).applications
        or (audit.oracle and audit.oracle.fingerprints.get(number) != audit.recount.fingerprints.get(number))
    ]


def _compare_content(
    live: Snapshot, audits: Mapping[int, PartitionAudit], live_content: Mapping[int, Mapping[str, int]]
) -> tuple[int, int, list[str]]:
    """Return how many applications the live store misses and counts twice, and the name of each that differs."""
    missing = doubled = 0
    details = []
    for number, held in live_content.items():
        content = audits[number].content
        if content is None:
            continue
        recounted, foreseen = content
        gone = sorted(recounted.keys() - held.keys())
        missing += len(gone)
        details += [f"application {name}: in the log, not in the live store" for name in gone]
        extra, excess = _excess(live.fingerprints.get(number, Fingerprint()), held)
        if extra > 0:
            doubled += extra
            details.append(f"partition {number}: {extra} more counted in the live store than it holds applications")
            details += [f"application {n}: counted twice in the live store" for n in held if held[n] == excess]
        strangers = sorted(held.keys() - recounted.keys())
        details += [f"application {name}: in the live store, not in the log" for name in strangers]
        shared = held.keys() & recounted.keys()
        details += [f"application {n}: live outcome differs from the log's" for n in shared if held[n] != recounted[n]]
        details += [
            f"application {name}: the log's outcome differs from the oracle's"
            for name in sorted(recounted.keys() & foreseen.keys())
            if recounted[name] != foreseen[name]
        ]
        details += [f"application {name}: foreseen, not in the log" for name in foreseen.keys() - recounted.keys()]
    return missing, doubled, details


def _excess(counted: Fingerprint, held: Mapping[str, int]) -> tuple[int, int]:
    """Return how many applications, and which sum of hashes, a partition counts beyond those that it holds."""
    return counted.applications - len(held), (counted.hash_sum - sum(held.values())) % HASH_SPAN
