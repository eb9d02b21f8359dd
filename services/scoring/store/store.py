"""The live store: outcomes, cells, fingerprints and consumed offsets, changed together or not at all.

One process at a time may write the outcomes of one partition; several processes may write different partitions.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple, Self

from pydantic import SecretStr

from contracts.topics import APPLICATIONS_DECIDED
from services.scoring.rollup.cells import CellKey, Fingerprint, Snapshot, add_fingerprints
from services.scoring.rollup.closed_months import open_only
from services.scoring.rollup.outcome import ApplicationOutcome
from services.scoring.rollup.rollup import Changes, deltas
from services.scoring.store import schema
from services.scoring.store.engines import open_session
from services.scoring.store.errors import ForeignLogError, StoreBehindError
from services.scoring.store.reader import snapshot_of
from services.scoring.store.schema import signed, unsigned
from services.scoring.store.session import Row

TOPIC = APPLICATIONS_DECIDED.name
# Partition and offset of a record, and its outcome. Plain: a named tuple takes six times as long to make.
Positioned = tuple[int, int, ApplicationOutcome]


class Applied(NamedTuple):
    """What one batch did: `skipped` records lay below the stored offset.

    `counters` are those of the roll-up and `closed_month`, outcomes refused because they belong to a deleted month.
    """

    skipped: int
    counters: Counter[str]


class _Before(NamedTuple):
    """What the store held before a batch, of its applications only; all of it is asked for together."""

    offsets: dict[int, int]
    closed_before: str
    fingerprints: dict[int, Fingerprint]
    outcomes: dict[str, ApplicationOutcome]
    conflicts: set[str]


class Store:
    """Writes the store at `sqlite:///path` or `postgresql://user@host/database`; not for two threads at once.

    Every method may raise `StoreUnavailableError` (try again later; the connection is made anew), `StoreDamagedError`
    or `StoreForbiddenError`, and who writes `StoreRefusesError`. An error never leaves half a batch behind.

    Args:
        url: the store's address.
        password: of the database's user, if the address has none.
        migrate: bring an older schema, or an empty database, up to date; otherwise refuse it.

    Raises:
        ValueError: the address is none.
        SchemaVersionError: another program's schema.

    """

    def __init__(self, url: str, *, password: SecretStr | None = None, migrate: bool = True) -> None:
        self._session = open_session(url, password=password)
        self._pattern_ids: dict[str, int] = {}
        self._pattern_texts: dict[int, str] = {}
        self.url = self._session.name
        try:
            self._check_schema(url, password, migrate=migrate)
            self._put_meta_once("created_at", datetime.now(UTC).isoformat(timespec="seconds"))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the store can be opened again."""
        self._session.close()

    def bind_log(self, identity: str) -> None:
        """Tie the store to a log, the first time; afterwards check that it is the same.

        Raises:
            ForeignLogError: the store belongs to another log.

        """
        owner = self._put_meta_once("log_identity", identity)
        if owner != identity:
            raise ForeignLogError(
                f"store {self.url} belongs to log {owner}, the broker serves log {identity};"
                " point the consumer to the store of this log, or to an empty one"
            )

    def offsets(self) -> dict[int, int]:
        """Return the next offset to consume, by partition; a partition never consumed is absent."""
        with self._forgetting(), self._session.read_transaction():
            return self._offsets()

    def apply(
        self,
        batch: Sequence[Positioned],
        advance: Mapping[int, int] | None = None,
        starts: Mapping[int, int] | None = None,
    ) -> Applied:
        """Apply a batch and its offsets in one transaction; records below the stored offset are skipped.

        Args:
            batch: outcomes with their positions, in the order of the log within a partition.
            advance: next offsets by partition where the batch ended in records that are no outcomes (dead letters).
            starts: offsets by partition where the batch begins; a store that has not come so far is refused.

        Raises:
            StoreRefusesError: an outcome has a value that the store cannot hold.
            StoreBehindError: the store was put back, by a restored backup or a standby that lagged.

        """
        ends = dict(advance or {})
        for partition, offset, _ in batch:
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        self._learn_patterns({outcome.cell.pattern for *_, outcome in batch})
        with self._writing():
            self._session.lock(TOPIC, sorted(ends))
            before = self._before({outcome.application_id for *_, outcome in batch})
            self._check_not_behind(before.offsets, starts or {})
            fresh = [(at, outcome) for at, offset, outcome in batch if offset >= before.offsets.get(at, 0)]
            changes = self._write(fresh, before)
            self._session.put(schema.OFFSET_ENDS, [(TOPIC, at, end) for at, end in sorted(ends.items())])
        return Applied(len(batch) - len(fresh), sum(changes.counters.values(), Counter()))

    def snapshot(self) -> Snapshot:
        """Return cells, fingerprints and counters of one moment."""
        with self._forgetting(), self._session.read_transaction():
            return snapshot_of(self._session)

    def _check_schema(self, url: str, password: SecretStr | None, *, migrate: bool) -> None:
        with self._session.read_transaction():
            version = schema.schema_version(self._session)
        if migrate and version < schema.newest_version():
            # Its libraries cost 0.4 s and 28 MB: only where there is something to migrate.
            from services.scoring.store.migrate import upgrade  # noqa: PLC0415

            upgrade(url, password)
            version = schema.newest_version()
        schema.check_current(version)

    def _check_not_behind(self, offsets: Mapping[int, int], starts: Mapping[int, int]) -> None:
        for at, start in starts.items():
            # A partition never consumed may begin anywhere: at the log's start.
            if at in offsets and offsets[at] < start:
                raise StoreBehindError(
                    f"store {self.url} stands at offset {offsets[at]} of {TOPIC}/{at}, its consumer at {start}: it was"
                    " put back while the consumer ran; restart the consumer, it reads on from the store's offsets"
                )

    def _before(self, names: Iterable[str]) -> _Before:
        session = self._session
        offsets = session.rows(schema.OFFSETS, (TOPIC,))
        closed = session.rows(schema.META, ("closed_before",))
        fingerprints = session.rows(schema.FINGERPRINTS)
        rows = session.rows_of(schema.OUTCOMES, sorted(names))
        closed_before = schema.closed_before_of(closed)
        stored = [schema.outcome_of_row(row, self._pattern_text(row[-1])) for row in rows]
        # The months that are closed are as good as deleted.
        known = {outcome.application_id: outcome for outcome, _ in stored if outcome.cell.month >= closed_before}
        return _Before(
            dict(offsets),
            closed_before,
            {at: Fingerprint(applications, unsigned(hash_sum)) for at, applications, hash_sum in fingerprints},
            known,
            {outcome.application_id for outcome, conflict in stored if conflict},
        )

    def _write(self, fresh: Sequence[tuple[int, ApplicationOutcome]], before: _Before) -> Changes:
        session = self._session
        changes = _changes_of(fresh, before)
        session.put(schema.OUTCOME_ROWS, self._outcome_rows(changes, before.conflicts | changes.conflicts))
        kept = changes.conflicts - changes.outcomes.keys()
        session.run_many(schema.FLAG_CONFLICT, [(name,) for name in sorted(kept)])
        # In order, so that two writers of different partitions cannot wait for each other.
        cells = [(self._cell_columns(cell), sums) for cell, sums in sorted(changes.cells.items())]
        session.put(schema.CELL_SUMS, [cell + sums for cell, sums in cells])
        session.run_many(schema.DROP_EMPTY_CELL, [cell for cell, sums in cells if sums.n < 0])
        session.put(schema.FINGERPRINT_ROWS, list(_fingerprint_rows(changes.fingerprints, before.fingerprints)))
        session.put(
            schema.COUNTER_SUMS,
            [(at, *item) for at, tally in sorted(changes.counters.items()) for item in sorted(tally.items())],
        )
        return changes

    def _outcome_rows(self, changes: Changes, conflicts: Collection[str]) -> list[Row]:
        pattern_ids = self._pattern_ids
        rows: list[Row] = []
        for name, (partition, new) in sorted(changes.outcomes.items()):
            month, province, procedure, channel, pattern = new.cell
            _, presumed, assisted, on_time, minutes = new.measures
            rows.append((
                name, partition, new.revision, new.submission, int(name in conflicts),
                month, province, procedure, channel, pattern_ids[pattern],
                new.submitted_at, new.due_at, new.decided_at,
                presumed, assisted, on_time, minutes, signed(new.content_hash),
                new.commune, new.rules_version,
            ))  # fmt: skip
        return rows

    def _cell_columns(self, cell: CellKey) -> Row:
        return (*cell[:4], self._pattern_ids[cell.pattern])

    def _learn_patterns(self, texts: set[str]) -> None:
        """Give every pattern its number, in a transaction of its own.

        So no writer waits for another's batch to end, numbers are never rolled back, and one without applications is
        harmless. Two writers may add the same pattern at once: the second finds the first one's.
        """
        new = sorted(texts - self._pattern_ids.keys())
        if not new:
            return
        with self._writing():
            self._session.run_many(schema.PUT_PATTERN, [(text,) for text in new])
            known = list(self._session.rows_of(schema.PATTERN_IDS, new))
        self._pattern_ids |= dict(known)
        self._pattern_texts |= {number: text for text, number in known}

    def _pattern_text(self, pattern_id: int) -> str:
        """Return the text of a pattern that the store uses; its number is known from then on."""
        if pattern_id not in self._pattern_texts:
            # Another writer's.
            self._pattern_texts = dict(self._session.rows(schema.PATTERNS))
            self._pattern_ids |= {text: number for number, text in self._pattern_texts.items()}
        return self._pattern_texts[pattern_id]

    def _offsets(self) -> dict[int, int]:
        return dict(self._session.rows(schema.OFFSETS, (TOPIC,)))

    def _put_meta_once(self, key: str, value: str) -> str:
        """Store a value unless there is one, and return the one that holds."""
        with self._writing():
            self._session.run(schema.PUT_META_ONCE, (key, value))
            ((stored,),) = self._session.rows(schema.META, (key,))
            return str(stored)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._forgetting(), self._session.write_transaction():
            yield

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """After any error ask for the patterns' numbers again: the store may be another one when it is back."""
        try:
            yield
        except BaseException:
            self._pattern_ids.clear()
            self._pattern_texts.clear()
            raise


def _changes_of(fresh: Sequence[tuple[int, ApplicationOutcome]], before: _Before) -> Changes:
    """Return what a batch of (partition, outcome) changes; while no month is closed, nothing of it is refused."""
    if not before.closed_before:
        return deltas(fresh, before.outcomes, before.conflicts)
    accepted, refused = open_only(fresh, before.outcomes, before.closed_before)
    changes = deltas(accepted, before.outcomes, before.conflicts)
    for at, amount in refused.items():
        changes.counters.setdefault(at, Counter())["closed_month"] += amount
    return changes


def _fingerprint_rows(
    changes: Mapping[int, Fingerprint], before: Mapping[int, Fingerprint]
) -> Iterator[tuple[int, int, int]]:
    sums = dict(before)
    add_fingerprints(sums, changes)
    for at in sorted(changes):
        applications, hash_sum = sums.get(at, Fingerprint())
        yield at, applications, signed(hash_sum)
