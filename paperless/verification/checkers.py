"""What must hold between the logs, the live store and the oracle; pure functions over what was read.

Conservation: every position of `applications.submitted` is a decided application, a repeat of one, a dead letter, or
was moved: the same submission lies under its own key on its own partition, where it is such a position again.
Agreement: live cells = recount of the log = oracle, with counts and hash sums per partition, so that a loss and a
double cannot cancel out. Only where they differ are applications compared one by one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.errors import UNREADABLE, Misplaced, Reject
from contracts.events import ApplicationSubmitted
from contracts.records import decode_event, partition_of, partitions_of, short_digest
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED
from paperless.verification.oracle import Oracle
from services.scoring.rollup.cells import (
    HASH_SPAN,
    CellKey,
    Fingerprint,
    Measures,
    Snapshot,
    add_cells,
    add_fingerprints,
    difference,
)
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.rollup import Rollup

# Enough to see what is wrong; a whole log of differences helps nobody.
MAX_NAMED = 20


class DeadLetter(NamedTuple):
    """A dead letter: where its record stood, and why it was refused."""

    topic: str
    partition: int
    offset: int
    reason: str


class LoggedRecord(NamedTuple):
    """A record as the log has it; of one that no client can unpack only the position is known."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    unreadable: bool = False


class Submission(NamedTuple):
    """One filing, wherever and however often the log has it: the application's id, and a digest of the value."""

    application_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class PartitionAudit:
    """What one partition came to. `content` has each application's content hash, recounted and by the oracle, if asked.

    `lost` and `wrongly_refused` name positions of `applications.submitted`, `applications_without_submission` have an
    outcome in the log all the same. `moved` has the submissions that lie here and belong elsewhere, with each position.
    """

    submitted: int
    recount: Snapshot
    oracle: Snapshot | None
    dead_letters: tuple[DeadLetter, ...]
    lost: tuple[str, ...]
    wrongly_refused: tuple[str, ...]
    content: tuple[Mapping[str, int], Mapping[str, int]] | None = None
    applications_without_submission: tuple[str, ...] = ()
    moved: tuple[tuple[Submission, str], ...] = ()


class PartitionAuditor:
    """Recounts a partition, asks the oracle about it, and checks conservation, while its log is being read.

    First all its outcomes, then all its submissions, each in order and in pieces of any size; what stays in memory is
    about 1 KB per application.

    Args:
        partition: its number.
        partitions: the partition count of the log.
        dead_letters: of its records, repeats allowed.
        oracle: None where the fault plan was changed by hand: then the recount is the reference.

    """

    def __init__(
        self, *, partition: int, partitions: int, dead_letters: Iterable[DeadLetter], oracle: Oracle | None
    ) -> None:
        self._partition, self._partitions, self._oracle = partition, partitions, oracle
        self._dead_letters = {(letter.topic, letter.offset): letter for letter in dead_letters}
        self._recount, self._expected = Rollup(), Rollup()
        self._submitted = 0
        self._unknown: set[str] | None = None
        self._lost: list[str] = []
        self._refused: list[str] = []
        self._moved: list[tuple[Submission, str]] = []

    def decided(self, records: Sequence[LoggedRecord]) -> None:
        """Recount the next records of `applications.decided`."""
        batch = []
        for record, key_partition in zip(records, self._key_partitions(records), strict=True):
            if (APPLICATIONS_DECIDED.name, record.offset) in self._dead_letters:
                continue
            try:
                batch.append((self._partition, decode(record, self._partitions, key_partition=key_partition)))
            except Reject:
                # Scoring must refuse it too; if it did not, the live store differs.
                continue
        self._recount.apply_all(batch)

    def submitted(self, records: Sequence[LoggedRecord]) -> None:
        """Look for the outcomes of the next records of `applications.submitted`."""
        expected: list[tuple[int, ApplicationOutcome]] = []
        for record, key_partition in zip(records, self._key_partitions(records), strict=True):
            self._submitted += 1
            self._check(record, self._expect(record, key_partition, expected))
        self._expected.apply_all(expected)

    def _key_partitions(self, records: Iterable[LoggedRecord]) -> list[int]:
        return partitions_of([record.key or b"" for record in records], self._partitions)

    def result(self, *, with_content: bool = False) -> PartitionAudit:
        """Return what the partition came to, with every application's content hash if asked."""
        recount, expected = self._recount, self._expected
        unknown = sorted(self._without_submission())
        return PartitionAudit(
            self._submitted,
            recount.snapshot(),
            expected.snapshot() if self._oracle else None,
            tuple(self._dead_letters.values()),
            tuple(self._lost),
            tuple(self._refused),
            (recount.content_hashes(), expected.content_hashes()) if with_content else None,
            tuple(f"application {name}: an outcome in the log, but no submission" for name in unknown),
            tuple(self._moved),
        )

    def _without_submission(self) -> set[str]:
        if self._unknown is None:
            self._unknown = set(self._recount.content_hashes())
        return self._unknown

    def _expect(
        self, record: LoggedRecord, key_partition: int, expected: list[tuple[int, ApplicationOutcome]]
    ) -> Reject | None:
        """Return why a submission is not decided where it lies, or add what the oracle says of it."""
        try:
            if self._oracle:
                expected.append((record.partition, self._oracle.outcome(record, key_partition=key_partition)))
            else:
                decode_event(record, ApplicationSubmitted, self._partitions, key_partition=key_partition)
        except Misplaced as misplaced:
            return misplaced
        except Reject as reject:
            # Without an oracle nobody knows what must be refused; what was, has a dead letter.
            return reject if self._oracle else None
        return None

    def _check(self, record: LoggedRecord, reject: Reject | None) -> None:
        """Hold a submission against its outcome; `reject` is why it must have none here."""
        if record.unreadable:
            reject = Reject(UNREADABLE, "the client cannot unpack it")
        letter = self._dead_letters.get((APPLICATIONS_SUBMITTED.name, record.offset))
        place = f"{APPLICATIONS_SUBMITTED.name}/{self._partition}/{record.offset}"
        name = (record.key or b"").decode(errors="replace")
        if isinstance(reject, Misplaced):
            if letter is None:
                submission = Submission(reject.event.application_id, short_digest(record.value or b""))
                self._moved.append((submission, place))
            else:
                self._refused.append(f"{place}: dead letter {letter.reason}, but must be moved")
            return
        self._without_submission().discard(name)
        if letter is not None:
            if self._oracle and (reject is None or reject.reason != letter.reason):
                says = reject.reason if reject else "decided"
                self._refused.append(f"{place}: dead letter {letter.reason}, the oracle says {says}")
        elif self._recount.revision(name) is None:
            self._lost.append(f"{place}: application {name} has no outcome")
        elif reject is not None:
            self._lost.append(f"{place}: must be refused ({reject.reason}), but is no dead letter")


def moves_by_target(audits: Iterable[PartitionAudit], partitions: int) -> dict[int, dict[Submission, str]]:
    """Return what must have arrived by a move, by the partition where it belongs: each filing with a position of it."""
    moves: defaultdict[int, dict[Submission, str]] = defaultdict(dict)
    for audit in audits:
        for submission, place in audit.moved:
            moves[partition_of(submission.application_id.encode(), partitions)][submission] = place
    return dict(moves)


def submissions_of(records: Iterable[LoggedRecord]) -> set[Submission]:
    """Return the filings of records of `applications.submitted`, by the application that the key names."""
    return {
        Submission((record.key or b"").decode(errors="replace"), short_digest(record.value or b""))
        for record in records
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification; `ok` only when nothing was lost, counted twice or wrong.

    `submitted` counts positions, `moved` those of them whose application is decided under its own key and on its own
    partition instead, `decided` counts applications; `re_delivered` outcomes that repeated a known one,
    `overruled` outcomes that a better informed one replaced, `presumed` final outcomes with an incomplete set of
    answers. `differences` say exactly what is wrong.
    """

    submitted: int
    decided: int
    moved: int
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
    dead_letters: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check passed; without an oracle the recount is the reference."""
        agree = self.live_equals_recount and self.recount_equals_oracle is not False
        return agree and not (self.lost or self.counted_twice or self.differences)


def judge(
    live: Snapshot,
    audits: Mapping[int, PartitionAudit],
    live_content: Mapping[int, Mapping[str, int]],
    not_arrived: Sequence[str] = (),
) -> Verdict:
    """Return the verdict over all partitions.

    Args:
        live: the store's snapshot.
        audits: by partition; those that differ from the live store have their content.
        live_content: content hash by application of the partitions that differ.
        not_arrived: positions whose submission lies nowhere on its own partition.

    """
    recount = merged(audit.recount for audit in audits.values())
    oracles = [audit.oracle for audit in audits.values()]
    oracle = merged(snapshot for snapshot in oracles if snapshot) if all(oracles) else None
    lost = [place for audit in audits.values() for place in audit.lost]
    lost += [f"{place}: misplaced, and not moved to its own partition" for place in not_arrived]
    missing, doubled, details = _compare_content(live, audits, live_content)
    dead_letters = [letter for audit in audits.values() for letter in audit.dead_letters]
    at_scoring = [letter for letter in dead_letters if letter.topic == APPLICATIONS_DECIDED.name]
    differences = [
        *lost[:MAX_NAMED],
        *[place for audit in audits.values() for place in audit.wrongly_refused][:MAX_NAMED],
        *[name for audit in audits.values() for name in audit.applications_without_submission][:MAX_NAMED],
        *[f"live and recount: {each}" for each in difference(live, recount)][:MAX_NAMED],
        *([f"recount and oracle: {each}" for each in difference(recount, oracle)][:MAX_NAMED] if oracle else []),
        *details[:MAX_NAMED],
        *[f"dead letter at scoring: {each.topic}/{each.partition}/{each.offset} {each.reason}" for each in at_scoring],
    ]
    return Verdict(
        submitted=sum(audit.submitted for audit in audits.values()),
        decided=sum(fingerprint.applications for fingerprint in recount.fingerprints.values()),
        moved=sum(len(audit.moved) for audit in audits.values()) - len(not_arrived),
        dead_lettered=sum(letter.topic == APPLICATIONS_SUBMITTED.name for letter in dead_letters),
        lost=len(lost) + missing,
        counted_twice=doubled,
        re_delivered=recount.counters.get("ignored_equal", 0) + recount.counters.get("ignored_weaker", 0),
        presumed=sum(measures.presumed for measures in recount.cells.values()),
        overruled=recount.counters.get("overruled", 0),
        conflicts=recount.counters.get("conflicts", 0),
        live_equals_recount=not difference(live, recount),
        recount_equals_oracle=None if oracle is None else not difference(recount, oracle),
        differences=tuple(differences),
        dead_letters=dict(Counter(f"{letter.topic}: {letter.reason}" for letter in dead_letters)),
    )


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of snapshots of different partitions."""
    cells: dict[CellKey, Measures] = {}
    fingerprints: dict[int, Fingerprint] = {}
    counters: Counter[str] = Counter()
    for snapshot in snapshots:
        add_cells(cells, snapshot.cells)
        add_fingerprints(fingerprints, snapshot.fingerprints)
        counters.update(snapshot.counters)
    return Snapshot(cells, fingerprints, counters)


def partitions_that_differ(
    live: Snapshot, stored: Mapping[int, int], audits: Mapping[int, PartitionAudit]
) -> list[int]:
    """Return the partitions whose applications must be compared one by one.

    `stored` is how many outcomes the live store has by partition: one that is counted but gone shows only there.
    """
    return [
        number
        for number, audit in audits.items()
        if live.fingerprints.get(number) != audit.recount.fingerprints.get(number)
        or stored.get(number, 0) != live.fingerprints.get(number, Fingerprint()).applications
        or (audit.oracle and audit.oracle.fingerprints.get(number) != audit.recount.fingerprints.get(number))
    ]


def _compare_content(
    live: Snapshot, audits: Mapping[int, PartitionAudit], live_content: Mapping[int, Mapping[str, int]]
) -> tuple[int, int, list[str]]:
    """Return how many applications the live store misses and counts twice, and the name of each that differs."""
    missing = doubled = 0
    details = []
    for number, stored in live_content.items():
        content = audits[number].content
        if content is None:
            continue
        recounted, expected = content
        gone = sorted(recounted.keys() - stored.keys())
        missing += len(gone)
        details += [f"application {name}: in the log, not in the live store" for name in gone]
        extra, excess = _excess(live.fingerprints.get(number, Fingerprint()), stored)
        if extra > 0:
            doubled += extra
            details.append(f"partition {number}: {extra} more counted in the live store than it holds applications")
            details += [f"application {n}: counted twice in the live store" for n in stored if stored[n] == excess]
        not_logged = sorted(stored.keys() - recounted.keys())
        details += [f"application {name}: in the live store, not in the log" for name in not_logged]
        wrong = [name for name in stored.keys() & recounted.keys() if stored[name] != recounted[name]]
        details += [f"application {name}: live outcome differs from the log's" for name in wrong]
        details += [
            f"application {name}: the log's outcome differs from the oracle's"
            for name in sorted(recounted.keys() & expected.keys())
            if recounted[name] != expected[name]
        ]
        details += [f"application {name}: foreseen, not in the log" for name in expected.keys() - recounted.keys()]
    return missing, doubled, details


def _excess(counted: Fingerprint, stored: Mapping[str, int]) -> tuple[int, int]:
    """Return how many applications, and which sum of hashes, a partition counts beyond those that are stored."""
    return counted.applications - len(stored), (counted.hash_sum - sum(stored.values())) % HASH_SPAN
