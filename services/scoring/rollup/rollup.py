"""The roll-up: one outcome per application counts in one cell, whatever order outcomes arrive in.

Pure. The live store, a recount of the log and the oracle share `deltas`, so one core decides what counts. All measures
are integers: sums are exact, and equal readings are equal to the last digit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final, Literal, NamedTuple, Protocol

from domain import VN
from services.scoring.rollup.pattern import OutcomePattern, pattern_of
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

__all__ = [
    "CellKey",
    "Changes",
    "Decided",
    "Fingerprint",
    "Measures",
    "Rollup",
    "Snapshot",
    "Standing",
    "decided_of",
    "deltas",
    "difference",
]

# Seconds from the start of the calendar to 1970-01-01T00:00Z as a clock in Vietnam counts them.
_EPOCH_IN_VIETNAM_S: Final = datetime(1970, 1, 1, tzinfo=VN).toordinal() * 86_400 + 7 * 3_600

CounterName = Literal["applied", "overruled", "ignored_equal", "ignored_weaker", "conflicts"]


class Standing(NamedTuple):
    """What is remembered of an application's current outcome; `conflict`: two submissions were seen under its id."""

    revision: int
    submission: str
    content_hash: int
    cell: CellKey
    measures: Measures
    conflict: bool = False


class OutcomeLike(OutcomePattern, Protocol):
    """What the roll-up reads of an outcome: `ApplicationDecided`, or a decision before it became an event."""

    @property
    def application_id(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def presumed(self) -> bool: ...
    @property
    def submission(self) -> str: ...
    @property
    def province(self) -> str: ...
    @property
    def procedure(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def assisted(self) -> bool: ...
    @property
    def submitted_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def decided_at(self) -> datetime: ...
    @property
    def commune(self) -> str: ...
    @property
    def rules_version(self) -> int: ...


class Decided(NamedTuple):
    """One outcome as it is rolled up; times are epoch seconds, `content_hash` is unsigned 64-bit.

    `content_hash` covers the record's value bytes, and with them application id, revision and content.
    """

    application_id: str
    revision: int
    submission: str
    content_hash: int
    cell: CellKey
    measures: Measures
    submitted_at: int
    due_at: int
    decided_at: int
    commune: str
    rules_version: int


class Changes(NamedTuple):
    """What a batch changes: to be applied completely and at once.

    `outcomes` replace what the store holds, with the flag `conflict`; `flagged` keep their outcome and get the flag.
    """

    cells: dict[CellKey, Measures]
    outcomes: dict[str, tuple[int, Decided, bool]]
    flagged: set[str]
    fingerprints: dict[int, Fingerprint]
    counters: dict[int, Counter[str]]


def decided_of(event: OutcomeLike, value: bytes) -> Decided:
    """Return the outcome that an event reports; `value` is the record's value, byte for byte."""
    submitted_at, decided_at = _epoch_s(event.submitted_at), _epoch_s(event.decided_at)
    return Decided(
        event.application_id,
        event.revision,
        event.submission,
        int.from_bytes(blake2b(value, digest_size=8).digest()),
        _cell(
            _month(event.decided_at.year, event.decided_at.month),
            event.province,
            event.procedure,
            event.channel,
            pattern_of(event),
        ),
        _measures(event.presumed, event.assisted, event.decided_at <= event.due_at, (decided_at - submitted_at) // 60),
        submitted_at,
        _epoch_s(event.due_at),
        decided_at,
        event.commune,
        event.rules_version,
    )


def _epoch_s(at: datetime) -> int:
    """Whole epoch seconds of an event time, +07:00 by the contract: a third of the cost of `timestamp()`."""
    return at.toordinal() * 86_400 + at.hour * 3_600 + at.minute * 60 + at.second - _EPOCH_IN_VIETNAM_S


@cache
def _month(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"


# Applications share cells and measures, so a recount that holds every application in memory shares the objects as well.
@lru_cache(maxsize=65_536)
def _cell(month: str, province: str, procedure: str, channel: str, pattern: str) -> CellKey:
    return CellKey(month, province, procedure, channel, pattern)


@lru_cache(maxsize=65_536)
def _measures(presumed: bool, assisted: bool, on_time: bool, minutes: int) -> Measures:  # noqa: FBT001  a cache key
    return Measures(1, int(presumed), int(assisted), int(on_time), minutes)


def deltas(batch: Iterable[tuple[int, Decided]], current: Mapping[str, Standing]) -> Changes:
    """Return what a batch of (partition, outcome) changes, given the standings of its applications.

    Strength is (revision, submission), and the content hash where an outcome was reported twice with other bytes: a
    total order, so the strongest outcome wins in whatever order they come. Ids absent from `current` are new.
    """
    standings: dict[str, Standing] = {}
    outcomes: dict[str, tuple[int, Decided]] = {}
    counters: dict[int, Counter[str]] = {}
    for partition, new in batch:
        name = new.application_id
        old = standings.get(name) or current.get(name)
        verdict, standings[name] = _judge(old, new)
        tally = counters.get(partition)
        if tally is None:
            tally = counters[partition] = Counter()
        tally[verdict] += 1
        if old is not None and standings[name].conflict > old.conflict:
            tally["conflicts"] += 1
        if verdict in {"applied", "overruled"}:
            outcomes[name] = (partition, new)
    return Changes(
        _cell_deltas(outcomes.values(), current),
        {name: (at, new, standings[name].conflict) for name, (at, new) in outcomes.items()},
        {name for name in standings.keys() - outcomes.keys() if standings[name].conflict > current[name].conflict},
        _fingerprint_deltas(outcomes.values(), current),
        counters,
    )


def _judge(old: Standing | None, new: Decided) -> tuple[CounterName, Standing]:
    if old is None:
        return "applied", Standing(*new[1:6])
    conflict = old.conflict or old.submission != new.submission
    strength, held = new[1:4], old[:3]
    if strength > held:
        return "overruled", Standing(*new[1:6], conflict)
    kept = old if conflict == old.conflict else old._replace(conflict=True)
    return ("ignored_equal" if strength == held else "ignored_weaker"), kept


def _cell_deltas(outcomes: Iterable[tuple[int, Decided]], current: Mapping[str, Standing]) -> dict[CellKey, Measures]:
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
    outcomes: Iterable[tuple[int, Decided]], current: Mapping[str, Standing]
) -> dict[int, Fingerprint]:
    changes: dict[int, Fingerprint] = {}
    for partition, new in outcomes:
        old = current.get(new.application_id)
        applications, hash_sum = changes.get(partition, (0, 0))
        changes[partition] = Fingerprint(
            applications + (old is None), (hash_sum + new.content_hash - (old.content_hash if old else 0)) % HASH_SPAN
        )
    return changes


class Rollup:
    """The roll-up in memory, about 0.4 KB per application: for a recount and for the oracle.

    An application lives on one partition, so a log can be rolled up partition by partition, each in a roll-up of its
    own, and `merge` adds the results without the memory of the applications.
    """

    def __init__(self) -> None:
        self.cells: dict[CellKey, Measures] = {}
        self.fingerprints: dict[int, Fingerprint] = {}
        self.counters: Counter[str] = Counter()
        self._standings: dict[str, Standing] = {}

    def apply(self, decided: Decided, partition: int) -> None:
        """Roll up one outcome."""
        self.apply_all([(partition, decided)])

    def apply_all(self, batch: Iterable[tuple[int, Decided]]) -> None:
        """Roll up outcomes in the order of the log; cheaper per outcome than one at a time."""
        changes = deltas(batch, self._standings)
        add_cells(self.cells, changes.cells)
        add_fingerprints(self.fingerprints, changes.fingerprints)
        for name, (_, new, conflict) in changes.outcomes.items():
            self._standings[name] = Standing(*new[1:6], conflict)
        for name in changes.flagged:
            self._standings[name] = self._standings[name]._replace(conflict=True)
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

    def standing(self, application_id: str) -> Standing | None:
        """Return the current outcome of an application rolled up here, or None."""
        return self._standings.get(application_id)

    def content_hashes(self) -> dict[str, int]:
        """Return the content hash of every application rolled up here, merged roll-ups not included."""
        return {name: standing.content_hash for name, standing in self._standings.items()}

    def reading(self) -> Snapshot:
        """Return what is compared with other readings."""
        return Snapshot(dict(self.cells), dict(self.fingerprints), dict(self.counters))
