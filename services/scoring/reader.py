"""Reads of the store: each one short, each one of a single moment, and none that a writer would have to wait for."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import NamedTuple

from contracts.topics import APPLICATIONS_DECIDED
from services.scoring import schema
from services.scoring.reading import CellKey, Fingerprint, Measures, Reading
from services.scoring.signed import unsigned
from services.scoring.store_errors import SchemaVersionError, StoreUnavailableError


class OutcomeRow(NamedTuple):
    """The current outcome of one application; times are epoch seconds, `pattern` has outcome and components."""

    application_id: str
    revision: int
    submission: str
    conflict: int
    province: str
    procedure: str
    channel: str
    pattern: str
    submitted_at: int
    due_at: int
    decided_at: int
    presumed: int
    assisted: int
    on_time: int
    minutes: int


def reading_of(connection: sqlite3.Connection) -> Reading:
    """Return cells, fingerprints and counters of one moment."""
    with snapshot(connection):
        return Reading(
            cells_of(connection),
            {
                at: Fingerprint(applications, unsigned(hash_sum))
                for at, applications, hash_sum in connection.execute(schema.FINGERPRINTS)
                if applications or hash_sum
            },
            dict(connection.execute(schema.COUNTERS)),
        )


def cells_of(connection: sqlite3.Connection) -> dict[CellKey, Measures]:
    """Return every cell."""
    return {CellKey(*row[:5]): Measures(*row[5:]) for row in connection.execute(schema.CELLS)}


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all reads inside see one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


class StoreReader:
    """Read-only access for any number of threads: a connection per read, closed with it, so that no snapshot lingers.

    Cells are kept until the writer commits again. Every method may raise `StoreUnavailableError` or, for a store that
    another version of the program has written, `SchemaVersionError`.
    """

    def __init__(self, url: str) -> None:
        schema.store_path(url)  # A wrong address is an error at start, not at the first request.
        self.url = url
        self._cells: tuple[object, dict[CellKey, Measures]] | None = None

    def cells(self) -> Mapping[CellKey, Measures]:
        """Return every cell of one moment; not to be changed by the caller."""
        with self._open() as connection, snapshot(connection):
            # With its time of creation: another store may have been put in its place at the very same offsets.
            version = connection.execute(schema.META, ("created_at",)).fetchone(), _offsets(connection)
            held = self._cells
            if held is None or held[0] != version:
                held = self._cells = version, cells_of(connection)
            return held[1]

    def application(self, application_id: str) -> OutcomeRow | None:
        """Return the current outcome of an application, or None if it was not decided (yet)."""
        with self._open() as connection:
            row = connection.execute(schema.OUTCOME, (application_id,)).fetchone()
            return OutcomeRow(*row) if row else None

    def reading(self) -> Reading:
        """Return cells, fingerprints and counters of one moment."""
        with self._open() as connection:
            return reading_of(connection)

    def outcome_counts(self) -> dict[int, int]:
        """Return how many outcomes are held by partition: what the fingerprint's count must equal."""
        with self._open() as connection:
            return dict(connection.execute(schema.OUTCOME_COUNTS))

    def content_hashes(self, partition: int) -> dict[str, int]:
        """Return the content hash of every application of a partition, to find the one by which two readings differ."""
        with self._open() as connection:
            rows = connection.execute(schema.CONTENT_HASHES, (partition,))
            return {name: unsigned(content_hash) for name, content_hash in rows}

    def state(self) -> tuple[int, dict[int, int]]:
        """Return the schema's version and the next offset to consume, by partition."""
        with self._open() as connection:
            return schema.schema_version(connection), _offsets(connection)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(schema.connect(self.url, read_only=True)) as connection:
                _check_version(schema.schema_version(connection))
                yield connection
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"store {self.url}: {error}; is the disk full or the file damaged?") from error


def _offsets(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute(schema.OFFSETS, (APPLICATIONS_DECIDED.name,)))


def _check_version(found: int) -> None:
    newest = schema.newest_version()
    schema.check_version(found, at_most=newest)
    if found < newest:
        raise SchemaVersionError(
            f"the store has schema version {found}, this program reads {newest};"
            " start the scoring consumer, it migrates the store"
        )
