"""Reads of the store: each one short, each one of a single moment, and none that a writer would have to wait for."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from pydantic import SecretStr

from contracts.topics import APPLICATIONS_DECIDED
from services.scoring.rates.restatement import PublicationSummary
from services.scoring.rollup.cells import CellKey, Fingerprint, Measures, Snapshot
from services.scoring.store import schema
from services.scoring.store.engines import open_session
from services.scoring.store.errors import StoreUnavailableError
from services.scoring.store.schema import StoredOutcome, unsigned
from services.scoring.store.session import Row, Session

# As many reads at once as a small server has use for; more would wait for each other there.
CONNECTIONS: Final = 8


class StoreState(NamedTuple):
    """How far the store has come; `closed_before` is the first month with outcomes, empty if none was deleted."""

    schema_version: int
    offsets: dict[int, int]
    closed_before: str


def snapshot_of(session: Session) -> Snapshot:
    """Return cells, fingerprints and counters; call it inside a transaction."""
    return Snapshot(
        cells_of(session),
        {
            at: Fingerprint(applications, unsigned(hash_sum))
            for at, applications, hash_sum in session.rows(schema.FINGERPRINTS)
            if applications or hash_sum
        },
        dict(session.rows(schema.COUNTERS)),
    )


def cells_of(session: Session) -> dict[CellKey, Measures]:
    """Return every cell; call it inside a transaction."""
    return _with_patterns(session, session.rows(schema.CELLS))


def _with_patterns(session: Session, rows: Iterable[Row]) -> dict[CellKey, Measures]:
    """Return cells from rows that name their pattern by its number."""
    texts: dict[int, str] = dict(session.rows(schema.PATTERNS))
    return {
        CellKey(month, province, procedure, channel, texts[pattern]): Measures(*measures)
        for month, province, procedure, channel, pattern, *measures in rows
    }


class StoreReader:
    """Read-only access for any number of threads; no snapshot outlives its read.

    SQLite opens the file for each read; to PostgreSQL up to `CONNECTIONS` connections are kept and made anew when they
    are lost. Cells are kept until the writer commits again. Every method may raise `StoreUnavailableError`,
    `StoreForbiddenError` or, for a store that another version of the program has written, `SchemaVersionError`.
    """

    def __init__(self, url: str, *, password: SecretStr | None = None) -> None:
        self._url, self._password = url, password
        # A wrong address is an error at start, not at the first request.
        self.url = self._new_session().name
        self._cells: tuple[object, dict[CellKey, Measures]] | None = None
        self._reading_cells = threading.Lock()
        self._idle: deque[Session] = deque()
        self._places = threading.BoundedSemaphore(CONNECTIONS)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def cells(self) -> Mapping[CellKey, Measures]:
        """Return every cell of one moment; not to be changed by the caller."""
        # Who comes while they are read anew waits for that, and does not read them a second time.
        with self._reading_cells, self._moment() as session:
            # With its time of creation: another store may have been put in its place at the very same offsets.
            version = list(session.rows(schema.META, ("created_at",))), _offsets(session)
            kept = self._cells
            if kept is None or kept[0] != version:
                # First let go of those before: both together take twice the memory.
                kept = self._cells = None
                kept = self._cells = version, cells_of(session)
            return kept[1]

    def application(self, application_id: str) -> StoredOutcome | None:
        """Return the current outcome of an application, or None if it was not decided (yet) or its month is closed."""
        with self._moment() as session:
            rows = session.rows(schema.OUTCOME, (application_id,))
            return next((schema.outcome_of_row(row, row[-1]) for row in rows), None)

    def snapshot(self) -> Snapshot:
        """Return cells, fingerprints and counters of one moment."""
        with self._moment() as session:
            return snapshot_of(session)

    def publications(self) -> list[PublicationSummary]:
        """Return the published months in order."""
        with self._moment() as session:
            rows, ends = session.rows(schema.PUBLICATIONS), session.rows(schema.ALL_PUBLISHED_OFFSETS)
            sums = session.rows(schema.PUBLISHED_SUMS)
            months, offsets = list(rows), list(ends)
            applications: dict[str, int] = dict(sums)
        return [
            PublicationSummary(
                month, at, {partition: end for named, partition, end in offsets if named == month}, applications[month]
            )
            for month, at in months
        ]

    def published_cells(self, month: str) -> Mapping[CellKey, Measures]:
        """Return the cells of a published month as they were frozen; none for a month that is not published."""
        with self._moment() as session:
            return _with_patterns(session, session.rows(schema.PUBLISHED_CELLS, (month,)))

    def outcome_counts(self) -> dict[int, int]:
        """Return how many outcomes are held by partition: what the fingerprint's count must equal."""
        with self._moment() as session:
            return dict(session.rows(schema.OUTCOME_COUNTS))

    def content_hashes(self, partition: int) -> dict[str, int]:
        """Return the content hash of every application of a partition: by it two snapshots are told apart."""
        with self._moment() as session:
            rows = session.rows(schema.CONTENT_HASHES, (partition,))
            return {name: unsigned(content_hash) for name, content_hash in rows}

    def state(self) -> StoreState:
        """Return the schema's version, the next offset to consume by partition, and which months are closed."""
        with self._moment() as session:
            # Both are asked for before the first is read: one round trip.
            closed, offsets = session.rows(schema.META, ("closed_before",)), _offsets(session)
            return StoreState(schema.newest_version(), offsets, schema.closed_before_of(closed))

    @contextmanager
    def positions(self) -> Iterator[Callable[[], dict[int, int]]]:
        """Lend a function that returns the next offset to consume by partition, over a connection of its own.

        Opening the file anew is most of what `state` costs. It raises as every method, and `StoreUnavailableError`
        where another store was put in the place of this one. For one thread at a time.
        """
        session = self._new_session()
        try:
            with session.read_transaction():
                schema.check_current(schema.schema_version(session))

            def look() -> dict[int, int]:
                # A server's session notices by itself.
                if not (session.keeps_open or session.alive()):
                    raise StoreUnavailableError(f"store {self.url}: it was put aside")
                with session.read_transaction():
                    return _offsets(session)

            yield look
        finally:
            session.close()

    @contextmanager
    def _moment(self) -> Iterator[Session]:
        """Lend a session inside a snapshot; one that failed is not used again."""
        with self._places:
            session = self._idle_session() or self._new_session()
            try:
                with session.read_transaction():
                    schema.check_current(schema.schema_version(session))
                    yield session
            except BaseException:
                session.close()
                raise
            if session.keeps_open:
                self._idle.append(session)
            else:
                session.close()

    def _idle_session(self) -> Session | None:
        """Return a kept session that still answers; the server may have been restarted since."""
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return None
            if session.alive():
                return session
            session.close()

    def _new_session(self) -> Session:
        return open_session(self._url, password=self._password, read_only=True, application="scoring_api")


def _offsets(session: Session) -> dict[int, int]:
    return dict(session.rows(schema.OFFSETS, (APPLICATIONS_DECIDED.name,)))
