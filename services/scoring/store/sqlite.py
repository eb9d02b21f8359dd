"""A store in an SQLite file: one writer, any number of readers, no server."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.scoring.store.errors import StoreDamagedError, StoreRefusesError, StoreUnavailableError
from services.scoring.store.session import Row, Upsert

BUSY_TIMEOUT_S: Final = 5.0
# The ids of one look-up; a fixed number keeps the statement's text, and with it the prepared statement, the same.
LOOKUP_IDS: Final = 500
SCHEME: Final = "sqlite:///"


class SqliteSession:
    """A session (`services.scoring.store.session`) of `sqlite:///scoring.db` or `sqlite:////var/lib/scoring.db`."""

    # A kept connection would go on reading a file that was put aside.
    keeps_open = False

    def __init__(self, url: str, *, read_only: bool) -> None:
        self.name = url
        self._path, self._read_only = Path(url.removeprefix(SCHEME)), read_only
        self._open: sqlite3.Connection | None = None
        self._inode = 0
        if url == SCHEME:
            raise ValueError(f"store {url}: no file is named; expected sqlite:///path/to/scoring.db")

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        """Let all statements inside see one moment."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        """Make all statements inside one transaction; waits up to `BUSY_TIMEOUT_S` for another writer."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    def lock(self, topic: str, partitions: Sequence[int]) -> None:
        """Do nothing: a transaction that writes has the whole file."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        """Return the rows of a query."""
        return self.connection.execute(statement, values)

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Run a statement."""
        self.connection.execute(statement, values)

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self.connection.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""
        self.connection.executemany(statement, rows)

    def put(self, upsert: Upsert, rows: Sequence[Sequence[object]]) -> None:
        """Insert or update rows."""
        marks = ", ".join("?" * len(upsert.columns))
        self.connection.executemany(upsert.statement(f"VALUES ({marks})"), rows)

    def rows_of(self, query: str, ids: Sequence[str]) -> Iterable[Row]:
        """Return the rows of a query that ends where a list of ids has to follow."""
        statement = f"{query} IN ({', '.join('?' * LOOKUP_IDS)})"
        for start in range(0, len(ids), LOOKUP_IDS):
            some = list(ids[start : start + LOOKUP_IDS])
            yield from self.connection.execute(statement, some + some[-1:] * (LOOKUP_IDS - len(some)))

    def tables(self) -> set[str]:
        """Return the names of the tables there are."""
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into the store's."""
        try:
            yield
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError) as error:
            raise StoreRefusesError(f"store {self.name}: {error}") from error
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(
                f"store {self.name}: {error}; nothing of this batch was written, it can be tried again"
            ) from error
        except sqlite3.Error as error:
            raise StoreDamagedError(f"store {self.name}: {error}; restore it, or start an empty one") from error

    def for_migration(self) -> sqlite3.Connection:
        """Return the driver's connection; it commits what was begun by name."""
        return self.connection

    def alive(self) -> bool:
        """Tell whether the connection is open, and the file still the one that has the name."""
        try:
            return self._open is not None and self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The driver's connection, in autocommit mode: transactions are begun and ended by name."""
        if self._open is None:
            self._open = self._connect()
            self._inode = self._path.stat().st_ino
        return self._open

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        try:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
                check_same_thread=False,
                cached_statements=64,
            )
            try:
                _configure(connection, read_only=self._read_only)
            except sqlite3.Error:
                connection.close()
                raise
        except sqlite3.OperationalError as error:
            remedy = "has the scoring consumer been started?" if self._read_only else "check the folder and its rights"
            raise StoreUnavailableError(f"store {self._path}: {error}; {remedy}") from error
        except sqlite3.DatabaseError as error:
            raise StoreDamagedError(f"store {self._path}: {error}; restore it, or start an empty one") from error
        return connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self.errors():
            connection = self.connection
            connection.execute(begin)
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _configure(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = 1")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # May lose the last transactions on power loss: safe, because the consumer seeks to the offsets of this very store.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -65536")
