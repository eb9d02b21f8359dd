"""Holds the correction requests of a partition against outcomes and oracle: none lost, none twice, none made up.

Pure. Like outcomes they are delivered at least once, so a request counts once by what it is about: submission and
component. The same one again is a repeat; another one about the same is wrong.
"""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from contracts.errors import Reject
from contracts.events import CorrectionRequested
from contracts.records import decode_event
from paperless.verification.positions import LoggedRecord
from services.intake.corrections import Correction
from services.scoring.rollup.cells import parse_pattern
from services.scoring.rollup.outcome import ApplicationOutcome

# What a request is about: application, submission and component.
Subject = tuple[str, str, str]
CAUSES = ("missing", "mismatch")


class CorrectionCount(NamedTuple):
    """What the correction requests of a partition come to.

    `requested` are different subjects in the log, `repeated` records that tell nothing new. The others name subjects:
    `lost` must be in the log and are not, `unfounded` are and must not be, `wrong` say something else than they must,
    or two things.
    """

    requested: int = 0
    repeated: int = 0
    lost: tuple[str, ...] = ()
    unfounded: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def differences(self) -> list[str]:
        """Return what is wrong, a line each."""
        told = (("lost", self.lost), ("without cause", self.unfounded), ("other than it must be", self.wrong))
        return [f"correction request {name}: {why}" for why, names in told for name in names]


class CorrectionAudit:
    """Counts requests while the log is being read: first what must be asked for, then what was.

    Args:
        partitions: the partition count of the log.

    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        # By subject a hash of the record's value, that of this process; None where nobody foresees it.
        self._expected: dict[Subject, int | None] = {}
        self._logged: dict[Subject, int] = {}
        self._repeated = 0
        self._wrong: set[Subject] = set()

    def decided(self, outcome: ApplicationOutcome) -> None:
        """Expect what an outcome says was missing or did not match; for where no oracle foresees what it must say."""
        for proof in parse_pattern(outcome.cell.pattern).components:
            if proof.cause in CAUSES:
                self._expected[outcome.application_id, outcome.submission, proof.component] = None

    def foreseen(self, corrections: Iterable[Correction]) -> None:
        """Expect what the oracle foresees."""
        for each in corrections:
            self._expected[each.application_id, each.submission, each.component] = hash(each.to_json())

    def requested(self, record: LoggedRecord, key_partition: int) -> None:
        """Take the next record of the topic; one that breaks the contract asks for nothing."""
        try:
            event = decode_event(record, CorrectionRequested, self._partitions, key_partition=key_partition)
        except Reject:
            return
        subject, content = (event.application_id, event.submission, event.component), hash(record.value or b"")
        if subject in self._logged:
            self._repeated += 1
        if self._logged.setdefault(subject, content) != content or self._expected.get(subject) not in {None, content}:
            self._wrong.add(subject)

    def result(self) -> CorrectionCount:
        """Return what the requests come to."""
        expected, logged = self._expected.keys(), self._logged.keys()
        return CorrectionCount(
            len(logged),
            self._repeated,
            _named(expected - logged),
            _named(logged - expected),
            _named(self._wrong & expected),
        )


NO_CORRECTIONS = CorrectionCount()


def added(counts: Iterable[CorrectionCount]) -> CorrectionCount:
    """Return the sum over partitions."""
    columns = list(zip(*counts, strict=True))
    if not columns:
        return NO_CORRECTIONS
    requested, repeated, *named = columns
    return CorrectionCount(sum(requested), sum(repeated), *(tuple(chain.from_iterable(each)) for each in named))


def _named(subjects: Iterable[Subject]) -> tuple[str, ...]:
    return tuple(sorted(f"{application_id} {component}" for application_id, _, component in subjects))
