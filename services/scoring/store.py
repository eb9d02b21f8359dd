"""The live store: outcomes, cells, fingerprints and consumed offsets, changed together or not at all.

One process at a time may write the outcomes of one partition; several processes may write different partitions.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from contracts.topics import APPLICATIONS_DECIDED
from services.scoring import schema
from services.scoring.reader import reading_of
from services.scoring.reading import CellKey, Fingerprint, Measures, Reading, add_fingerprints
from services.scoring.rollup import Changes, Decided, Standing, deltas
from services.scoring.signed import signed, unsigned
from services.scoring.store_errors import ForeignLogError, StoreDamagedError, StoreUnavailableError

TOPIC = APPLICATIONS_DECIDED.name


class Positioned(NamedTuple):
    """An outcome and the position of its record in the topic."""

    partition: int
    offset: int
    decided: Decided


class Applied(NamedTuple):
    """What one batch did: `skipped` records lay below the stored offset, `counters` are those of the roll-up."""

    skipped: int
    counters: Counter[str]


class Store:
    """Opens, migrates and writes the store at `sqlite:///path`; not for use by two threads at once.

    Every method may raise `StoreUnavailableError` (nothing was written; try again later) or `StoreDamagedError`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = schema.connect(url, read_only=False)
        self._pattern_ids: dict[str, int] = {}
        self._pattern_texts: dict[int, str] = {}
        try:
            with self._errors():
                schema.migrate(self._connection)
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
        self._connection.close()

    def bind_log(self, identity: str) -> None:
        """Tie the store to a log, the first time; afterwards check that it is the same.

        Raises:
            ForeignLogError: the store belongs to another log.

        """
        with self._errors():
            owner = self._put_meta_once("log_identity", identity)
        if owner != identity:
            raise ForeignLogError(
                f"store {self.url} belongs to log {owner}, the broker serves log {identity};"
                " point the consumer to the store of this log, or to an empty one"
            )

    def offsets(self) -> dict[int, int]:
        """Return the next offset to consume, by partition; a partition never consumed is absent."""
        with self._errors():
            return self._offsets()

    def apply(self, batch: Sequence[Positioned], advance: Mapping[int, int] | None = None) -> Applied:
        """Apply a batch and its offsets in one transaction; records below the stored offset are skipped.

        Args:
            batch: outcomes with their positions, in the order of the log within a partition.
            advance: next offsets by partition where the batch ended in records that are no outcomes (dead letters).

        """
        ends = dict(advance or {})
        for partition, offset, _ in batch:
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        with self._transaction():
            offsets = self._offsets()
            fresh = [(at, decided) for at, offset, decided in batch if offset >= offsets.get(at, 0)]
            changes = deltas(fresh, self._standings({decided.application_id for _, decided in fresh}))
            self._write(changes)
            self._connection.executemany(schema.ADVANCE, [(TOPIC, at, end) for at, end in sorted(ends.items())])
        return Applied(len(batch) - len(fresh), sum(changes.counters.values(), Counter()))

    def reading(self) -> Reading:
        """Return cells, fingerprints and counters of one moment."""
        with self._errors():
            return reading_of(self._connection)

    def _write(self, changes: Changes) -> None:
        execute = self._connection.executemany
        execute(schema.PUT_OUTCOME, self._outcome_rows(changes))
        execute(schema.FLAG_CONFLICT, [(name,) for name in sorted(changes.flagged)])
        # In order, so that two writers of different partitions cannot wait for each other.
        cells = sorted(changes.cells.items())
        execute(schema.ADD_TO_CELL, [self._cell_columns(cell) + sums for cell, sums in cells])
        execute(schema.DROP_EMPTY_CELL, [self._cell_columns(cell) for cell, sums in cells if sums.n < 0])
        execute(schema.PUT_FINGERPRINT, self._fingerprint_rows(changes.fingerprints))
        execute(
            schema.ADD_TO_COUNTER,
            [(at, *item) for at, tally in sorted(changes.counters.items()) for item in sorted(tally.items())],
        )

    def _outcome_rows(self, changes: Changes) -> list[tuple[object, ...]]:
        pattern_id = self._pattern_id
        rows: list[tuple[object, ...]] = []
        for name, (partition, new, conflict) in sorted(changes.outcomes.items()):
            month, province, procedure, channel, pattern = new.cell
            _, presumed, assisted, on_time, minutes = new.measures
            rows.append((
                name, partition, new.revision, new.submission, int(conflict),
                month, province, procedure, channel, pattern_id(pattern),
                new.submitted_at, new.due_at, new.decided_at,
                presumed, assisted, on_time, minutes, signed(new.content_hash),
            ))  # fmt: skip
        return rows

    def _cell_columns(self, cell: CellKey) -> tuple[str | int, ...]:
        return (*cell[:4], self._pattern_id(cell.pattern))

    def _fingerprint_rows(self, changes: Mapping[int, Fingerprint]) -> Iterator[tuple[int, int, int]]:
        held = self._connection.execute(schema.FINGERPRINTS).fetchall()
        sums = {at: Fingerprint(applications, unsigned(hash_sum)) for at, applications, hash_sum in held}
        add_fingerprints(sums, changes)
        for at in sorted(changes):
            applications, hash_sum = sums.get(at, Fingerprint())
            yield at, applications, signed(hash_sum)

    def _standings(self, names: Iterable[str]) -> dict[str, Standing]:
        ordered, found = sorted(names), {}
        for start in range(0, len(ordered), schema.LOOKUP_IDS):
            some = ordered[start : start + schema.LOOKUP_IDS]
            padded = some + some[-1:] * (schema.LOOKUP_IDS - len(some))
            for row in self._connection.execute(schema.STANDINGS, padded):
                found[row[0]] = self._standing(row)
        return found

    def _standing(self, row: tuple[Any, ...]) -> Standing:
        _, revision, submission, content_hash, month, province, procedure, channel, pattern_id, *measures, conflict = (
            row
        )
        cell = CellKey(month, province, procedure, channel, self._pattern_text(pattern_id))
        return Standing(revision, submission, unsigned(content_hash), cell, Measures(1, *measures), bool(conflict))

    def _pattern_id(self, text: str) -> int:
        found = self._pattern_ids.get(text)
        if found is None:
            self._connection.execute(schema.PUT_PATTERN, (text,))
            found = int(self._connection.execute(schema.PATTERN_ID, (text,)).fetchone()[0])
            self._pattern_ids[text] = found
        return found

    def _pattern_text(self, pattern_id: int) -> str:
        if pattern_id not in self._pattern_texts:
            self._pattern_texts = dict(self._connection.execute(schema.PATTERNS))
        return self._pattern_texts[pattern_id]

    def _offsets(self) -> dict[int, int]:
        return dict(self._connection.execute(schema.OFFSETS, (TOPIC,)))

    def _put_meta_once(self, key: str, value: str) -> str:
        """Store a value unless there is one, and return the one that holds."""
        self._connection.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, value))
        return str(self._connection.execute(schema.META, (key,)).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # The dictionary may hold ids that are rolled back now.
                self._pattern_ids.clear()
                self._pattern_texts.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(
                f"store {self.url}: {error}; nothing of this batch was written, it can be tried again"
            ) from error
        except sqlite3.Error as error:
            raise StoreDamagedError(f"store {self.url}: {error}; restore it, or start an empty one") from error
