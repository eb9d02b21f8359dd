"""What must hold between the logs, the live store and the oracle; pure functions over what was read.

Conservation: every position of `applications.submitted` is a decided application, a repeat of one, a dead letter, or
lies there again: moved, or written back from its dead letter, the submission is a position on its own partition, under
its own key, for which the same holds.
Corrections: what was missing or did not match was asked to be corrected, once, and nothing else.
Agreement: live cells = recount of the log = oracle, with counts and hash sums per partition, so that a loss and a
double cannot cancel out. Only where they differ are applications compared one by one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.errors import UNREADABLE, Misplaced, Reject
from contracts.events import ApplicationSubmitted
from contracts.records import decode_event, partitions_of, short_digest
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, CORRECTIONS_REQUESTED
from paperless.verification.corrections import NO_CORRECTIONS, CorrectionAudit, CorrectionCount, added
from paperless.verification.oracle import Oracle
from paperless.verification.positions import Elsewhere, LoggedRecord, RefusedRecord, Submission
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


@dataclass(frozen=True, slots=True)
class PartitionAudit:
    """What one partition came to. `content` has each application's content hash, recounted and by the oracle, if asked.

    `lost` and `wrongly_refused` name positions of `applications.submitted`, `applications_without_submission` have an
    outcome in the log all the same. `elsewhere` has the submissions that lie here and must lie on their own partition,
    too: they were misplaced, or refused and written back.
    """

    submitted: int
    recount: Snapshot
    oracle: Snapshot | None
    refused: tuple[RefusedRecord, ...]
    lost: tuple[str, ...]
    wrongly_refused: tuple[str, ...]
    content: tuple[Mapping[str, int], Mapping[str, int]] | None = None
    applications_without_submission: tuple[str, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    corrections: CorrectionCount = NO_CORRECTIONS


class PartitionAuditor:
    """Recounts a partition, asks the oracle about it, and checks conservation, while its log is being read.

    First all its outcomes, then all its submissions, then all requests for corrections, each in order and in pieces of
    any size; what stays in memory is about 1 KB per application.

    Args:
        partition: its number.
        partitions: the partition count of the log.
        refused: those of its records that became dead letters, repeats allowed.
        oracle: None where the fault plan was changed by hand: then the recount is the reference.

    """

    def __init__(
        self, *, partition: int, partitions: int, refused: Iterable[RefusedRecord], oracle: Oracle | None
    ) -> None:
        self._partition, self._partitions, self._oracle = partition, partitions, oracle
        self._refused = {(each.topic, each.offset): each for each in refused}
        self._recount, self._expected = Rollup(), Rollup()
        self._corrections = CorrectionAudit(partitions)
        self._submitted = 0
        self._unknown: set[str] | None = None
        self._lost: list[str] = []
        self._wrongly_refused: list[str] = []
        self._elsewhere: list[Elsewhere] = []

    def decided(self, records: Sequence[LoggedRecord]) -> None:
        """Recount the next records of `applications.decided`."""
        batch = []
        for record, key_partition in zip(records, self._key_partitions(records), strict=True):
            if (APPLICATIONS_DECIDED.name, record.offset) in self._refused:
                continue
            try:
                outcome = decode(record, self._partitions, key_partition=key_partition)
            except Reject:
                # Scoring must refuse it too; if it did not, the live store differs.
                continue
            batch.append((self._partition, outcome))
            if self._oracle is None:
                self._corrections.decided(outcome)
        self._recount.apply_all(batch)

    def submitted(self, records: Sequence[LoggedRecord]) -> None:
        """Look for the outcomes of the next records of `applications.submitted`."""
        expected: list[tuple[int, ApplicationOutcome]] = []
        for record, key_partition in zip(records, self._key_partitions(records), strict=True):
            self._submitted += 1
            refused = self._refused.get((APPLICATIONS_SUBMITTED.name, record.offset))
            if refused is None or refused.is_open:
                self._check(record, self._expect(record, key_partition, expected), refused)
            else:
                self._check_settled(record, refused)
        self._expected.apply_all(expected)

    def requested(self, records: Sequence[LoggedRecord]) -> None:
        """Count the next records of `corrections.requested`; those set aside ask for nothing."""
        for record, key_partition in zip(records, self._key_partitions(records), strict=True):
            if (CORRECTIONS_REQUESTED.name, record.offset) not in self._refused:
                self._corrections.requested(record, key_partition)

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
            tuple(self._refused.values()),
            tuple(self._lost),
            tuple(self._wrongly_refused),
            (recount.content_hashes(), expected.content_hashes()) if with_content else None,
            tuple(f"application {name}: an outcome in the log, but no submission" for name in unknown),
            tuple(self._elsewhere),
            self._corrections.result(),
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
                foreseen = self._oracle.foresee(record, key_partition=key_partition)
                expected.append((record.partition, foreseen.outcome))
                self._corrections.foreseen(foreseen.corrections)
            else:
                decode_event(record, ApplicationSubmitted, self._partitions, key_partition=key_partition)
        except Misplaced as misplaced:
            return misplaced
        except Reject as reject:
            # Without an oracle nobody knows what must be refused; what was, has a dead letter.
            return reject if self._oracle else None
        return None

    def _check(self, record: LoggedRecord, reject: Reject | None, letter: RefusedRecord | None) -> None:
        """Hold a submission against its outcome; `reject` is why it must have none here."""
        if record.unreadable:
            reject = Reject(UNREADABLE, "the client cannot unpack it")
        place = f"{APPLICATIONS_SUBMITTED.name}/{self._partition}/{record.offset}"
        name = (record.key or b"").decode(errors="replace")
        if isinstance(reject, Misplaced):
            if letter is None:
                submission = Submission(reject.event.application_id, short_digest(record.value or b""))
                self._elsewhere.append(Elsewhere(submission, self._partition, record.offset, "moved"))
            else:
                self._wrongly_refused.append(f"{place}: dead letter {letter.reason}, but must be moved")
            return
        self._without_submission().discard(name)
        if letter is not None:
            if self._oracle and (reject is None or reject.reason != letter.reason):
                says = reject.reason if reject else "decided"
                self._wrongly_refused.append(f"{place}: dead letter {letter.reason}, the oracle says {says}")
        elif self._recount.revision(name) is None:
            self._lost.append(f"{place}: application {name} has no outcome")
        elif reject is not None:
            self._lost.append(f"{place}: must be refused ({reject.reason}), but is no dead letter")

    def _check_settled(self, record: LoggedRecord, refused: RefusedRecord) -> None:
        """Note what was written back instead of a refused submission; one that was dropped comes to nothing."""
        self._without_submission().discard((record.key or b"").decode(errors="replace"))
        if refused.state == "dropped":
            return
        submission = refused.written_back or self._filed(record)
        if submission:
            self._elsewhere.append(Elsewhere(submission, self._partition, record.offset, "replayed"))
        else:
            self._lost.append(f"{refused.position}: {refused.state}, but of no application")

    def _filed(self, record: LoggedRecord) -> Submission | None:
        """Return the filing of a record that was written back as it was."""
        try:
            event = decode_event(record, ApplicationSubmitted, self._partitions)
        except Misplaced as misplaced:
            event = misplaced.event
        except Reject:
            return None
        return Submission(event.application_id, short_digest(record.value or b""))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification; `ok` only when nothing was lost, counted twice or wrong.

    `submitted` counts positions, `moved` those of them whose application is decided under its own key and on its own
    partition instead, `replayed` those that were refused and lie there again after a repair or a replay, `dropped`
    those whose refusal somebody has accepted, `dead_lettered` those whose dead letter is open; `decided` counts
    applications; `re_delivered` outcomes that repeated a known one, `overruled` outcomes that a better informed one
    replaced, `presumed` final outcomes with an incomplete set of answers. `differences` say exactly what is wrong.
    Of all topics: `dead_letters` counts the open ones by topic and reason, `open_dead_letters` names the first of them,
    `settled` counts the others by topic and what became of them.
    """

    submitted: int
    decided: int
    moved: int
    replayed: int
    dropped: int
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
    corrections: CorrectionCount = NO_CORRECTIONS
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    open_dead_letters: tuple[RefusedRecord, ...] = ()
    settled: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check passed; without an oracle the recount is the reference."""
        agree = self.live_equals_recount and self.recount_equals_oracle is not False
        return agree and not (self.lost or self.counted_twice or self.differences)


def judge(
    live: Snapshot,
    audits: Mapping[int, PartitionAudit],
    live_content: Mapping[int, Mapping[str, int]],
    not_arrived: Sequence[Elsewhere] = (),
) -> Verdict:
    """Return the verdict over all partitions.

    Args:
        live: the store's snapshot.
        audits: by partition; those that differ from the live store have their content.
        live_content: content hash by application of the partitions that differ.
        not_arrived: what lies nowhere on its own partition.

    """
    recount = merged(audit.recount for audit in audits.values())
    corrections = added(audit.corrections for audit in audits.values())
    oracles = [audit.oracle for audit in audits.values()]
    oracle = merged(snapshot for snapshot in oracles if snapshot) if all(oracles) else None
    lost = [place for audit in audits.values() for place in audit.lost]
    lost += map(_not_arrived, not_arrived)
    missing, doubled, details = _compare_content(live, audits, live_content)
    refused = [each for audit in audits.values() for each in audit.refused]
    unsettled = [each for each in refused if each.is_open]
    arrived = Counter(each.why for audit in audits.values() for each in audit.elsewhere)
    arrived.subtract(each.why for each in not_arrived)
    differences = [
        *lost[:MAX_NAMED],
        *[place for audit in audits.values() for place in audit.wrongly_refused][:MAX_NAMED],
        *[name for audit in audits.values() for name in audit.applications_without_submission][:MAX_NAMED],
        *[f"live and recount: {each}" for each in difference(live, recount)][:MAX_NAMED],
        *([f"recount and oracle: {each}" for each in difference(recount, oracle)][:MAX_NAMED] if oracle else []),
        *details[:MAX_NAMED],
        *corrections.differences()[:MAX_NAMED],
        *_to_be_settled(unsettled),
    ]
    return Verdict(
        submitted=sum(audit.submitted for audit in audits.values()),
        decided=sum(fingerprint.applications for fingerprint in recount.fingerprints.values()),
        moved=arrived["moved"],
        replayed=arrived["replayed"],
        dropped=sum(each.topic == APPLICATIONS_SUBMITTED.name and each.state == "dropped" for each in refused),
        dead_lettered=sum(each.topic == APPLICATIONS_SUBMITTED.name for each in unsettled),
        lost=len(lost) + missing,
        counted_twice=doubled,
        re_delivered=recount.counters.get("ignored_equal", 0) + recount.counters.get("ignored_weaker", 0),
        presumed=sum(measures.presumed for measures in recount.cells.values()),
        overruled=recount.counters.get("overruled", 0),
        conflicts=recount.counters.get("conflicts", 0),
        live_equals_recount=not difference(live, recount),
        recount_equals_oracle=None if oracle is None else not difference(recount, oracle),
        differences=tuple(differences),
        corrections=corrections,
        dead_letters=dict(Counter(f"{each.topic}: {each.reason}" for each in unsettled)),
        open_dead_letters=tuple(unsettled[:MAX_NAMED]),
        settled=dict(Counter(f"{each.topic}: {each.state}" for each in refused if not each.is_open)),
    )


def _to_be_settled(unsettled: Iterable[RefusedRecord]) -> Iterator[str]:
    """Yield the dead letters that leave something wrong until they are settled."""
    for each in unsettled:
        if each.topic == APPLICATIONS_DECIDED.name:
            yield f"dead letter at scoring: {each}"
        if each.state == "begun":
            yield f"settlement not finished: {each.position}; `paperless dlq replay` finishes it"


def _not_arrived(filing: Elsewhere) -> str:
    place = f"{APPLICATIONS_SUBMITTED.name}/{filing.partition}/{filing.offset}"
    if filing.why == "moved":
        return f"{place}: misplaced, and not moved to its own partition"
    return f"{place}: written back from its dead letter, and not on its own partition"


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
