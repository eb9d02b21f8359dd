"""The roll-up: one outcome per application counts in one cell, whatever order outcomes arrive in.

Pure. The live store, a recount of the log and the oracle share `deltas`, so one core decides what counts. All measures
are integers: sums are exact, and equal snapshots are equal to the last digit.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from services.scoring.rollup.cells import (
    HASH_SPAN,
    CellKey,
    Fingerprint,
    Measures,
    Snapshot,
    add_cells,
    add_fingerprints,
)
from services.scoring.rollup.outcome import ApplicationOutcome

CounterName = Literal["applied", "overruled", "ignored_equal", "ignored_weaker", "conflicts"]


class Changes(NamedTuple):
    """What a batch changes: to be applied completely and at once.

    `outcomes`, each with its partition, replace the current ones. `conflicts` are the applications under whose id a
    second submission was seen for the first time, whether or not their outcome is replaced.
    """

    cells: dict[CellKey, Measures]
    outcomes: dict[str, tuple[int, ApplicationOutcome]]
    conflicts: set[str]
    fingerprints: dict[int, Fingerprint]
    counters: dict[int, Counter[str]]


def deltas(
    batch: Iterable[tuple[int, ApplicationOutcome]],
    current: Mapping[str, ApplicationOutcome],
    conflicts: Collection[str] = frozenset(),
) -> Changes:
    """Return what a batch of (partition, outcome) changes.

    Strength is (revision, submission), and the content hash where an outcome was reported twice with other bytes: a
    total order, so the strongest outcome wins in whatever order they come.

    Args:
        batch: in the order of the log.
        current: the outcomes that its applications have so far; an application that is absent is new.
        conflicts: those of its applications under whose id two submissions were seen before.

    """
    outcomes: dict[str, tuple[int, ApplicationOutcome]] = {}
    new_conflicts: set[str] = set()
    counters: dict[int, Counter[str]] = {}
    for partition, new in batch:
        name = new.application_id
        replaced = outcomes.get(name)
        old = current.get(name) if replaced is None else replaced[1]
        tally = counters.get(partition)
        if tally is None:
            tally = counters[partition] = Counter()
        tally[_verdict(old, new)] += 1
        if old is None or new[1:4] > old[1:4]:
            outcomes[name] = (partition, new)
        if old is not None and old.submission != new.submission and name not in conflicts and name not in new_conflicts:
            new_conflicts.add(name)
            tally["conflicts"] += 1
    return Changes(
        _cell_deltas(outcomes.values(), current),
        outcomes,
        new_conflicts,
        _fingerprint_deltas(outcomes.values(), current),
        counters,
    )


def _verdict(old: ApplicationOutcome | None, new: ApplicationOutcome) -> CounterName:
    if old is None:
        return "applied"
    strength, current = new[1:4], old[1:4]
    if strength > current:
        return "overruled"
    return "ignored_equal" if strength == current else "ignored_weaker"


def _cell_deltas(
    outcomes: Iterable[tuple[int, ApplicationOutcome]], current: Mapping[str, ApplicationOutcome]
) -> dict[CellKey, Measures]:
    sums: dict[CellKey, list[int]] = {}
    for _, new in outcomes:
        _accumulate(sums, new.cell, new.measures, 1)
        old = current.get(new.application_id)
        if old is not None:
            _accumulate(sums, old.cell, old.measures, -1)
    return {cell: Measures(*values) for cell, values in sums.items() if any(values)}


def _accumulate(sums: dict[CellKey, list[int]], cell: CellKey, measures: Measures, sign: Literal[1, -1]) -> None:
    total = sums.get(cell)
    if total is None:
        total = sums[cell] = [0, 0, 0, 0, 0]
    n, presumed, assisted, on_time, minutes = measures
    total[0] += sign * n
    total[1] += sign * presumed
    total[2] += sign * assisted
    total[3] += sign * on_time
    total[4] += sign * minutes


def _fingerprint_deltas(
    outcomes: Iterable[tuple[int, ApplicationOutcome]], current: Mapping[str, ApplicationOutcome]
) -> dict[int, Fingerprint]:
    changes: dict[int, Fingerprint] = {}
    for partition, new in outcomes:
        old = current.get(new.application_id)
        applications, hash_sum = changes.get(partition, (0, 0))
        changes[partition] = Fingerprint(
            applications + (old is None), (hash_sum + new.content_hash - (old.content_hash if old else 0)) % HASH_SPAN
        )
    return changes


def _as_kept(outcome: ApplicationOutcome) -> ApplicationOutcome:
    """Return what later outcomes of an application are compared with: without the times, a third less memory."""
    return ApplicationOutcome(*outcome[:6], 0, 0, 0, "", 0)


class Rollup:
    """The roll-up in memory, about 0.4 KB per application: for a recount and for the oracle.

    An application lives on one partition, so a log can be rolled up partition by partition, each in a roll-up of its
    own, and their snapshots are added up without the memory of the applications.
    """

    def __init__(self) -> None:
        self.cells: dict[CellKey, Measures] = {}
        self.fingerprints: dict[int, Fingerprint] = {}
        self.counters: Counter[str] = Counter()
        self._outcomes: dict[str, ApplicationOutcome] = {}
        self._conflicts: set[str] = set()

    def apply(self, outcome: ApplicationOutcome, partition: int) -> None:
        """Roll up one outcome."""
        self.apply_all([(partition, outcome)])

    def apply_all(self, batch: Iterable[tuple[int, ApplicationOutcome]]) -> None:
        """Roll up outcomes in the order of the log; cheaper per outcome than one at a time."""
        changes = deltas(batch, self._outcomes, self._conflicts)
        add_cells(self.cells, changes.cells)
        add_fingerprints(self.fingerprints, changes.fingerprints)
        self._outcomes.update({name: _as_kept(outcome) for name, (_, outcome) in changes.outcomes.items()})
        self._conflicts |= changes.conflicts
        for tally in changes.counters.values():
            self.counters.update(tally)

    def merge(self, other: "Rollup") -> None:
        """Add the sums of a roll-up of other partitions.

        Raises:
            ValueError: both hold applications of one partition, so outcomes of one application could count twice.

        """
        shared = self.fingerprints.keys() & other.fingerprints.keys()
        if shared:
            raise ValueError(f"partitions {sorted(shared)} are in both roll-ups; roll up a partition in one of them")
        add_cells(self.cells, other.cells)
        add_fingerprints(self.fingerprints, other.fingerprints)
        self.counters.update(other.counters)

    def revision(self, application_id: str) -> int | None:
        """Return the revision of an application's current outcome; None if none was rolled up here."""
        outcome = self._outcomes.get(application_id)
        return None if outcome is None else outcome.revision

    def content_hashes(self) -> dict[str, int]:
        """Return the content hash of every application rolled up here, merged roll-ups not included."""
        return {name: outcome.content_hash for name, outcome in self._outcomes.items()}

    def snapshot(self) -> Snapshot:
        """Return what is compared with other snapshots."""
        return Snapshot(dict(self.cells), dict(self.fingerprints), dict(self.counters))
