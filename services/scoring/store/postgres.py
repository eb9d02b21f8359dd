"""A store in PostgreSQL: several writers at once, each with partitions of its own, and readers of their own rights."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import orjson
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from pydantic import SecretStr

from services.scoring.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreForbiddenError,
    StoreRefusesError,
    StoreUnavailableError,
)
from services.scoring.store.session import Row, Upsert

# What holds unless the address says otherwise. A peer that has vanished is noticed within about 25 s, and no statement
# holds its locks for ever; the largest batch takes well under a second, a rebuild of the cells some ten. A plan made
# while a table was small reads the whole table, and would be kept until its statistics are gathered, a minute or more
# later: so each statement is planned for the table as it is, some 0.1 ms.
DEFAULTS: Final[dict[str, str]] = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "options": "-c statement_timeout=60s -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
    " -c plan_cache_mode=force_custom_plan",
}
# A password with an unescaped @ or / ends up in one of these, and they are shown.
_PLAIN: Final = {"host": re.compile(r"[\w.,:/\-]*"), "port": re.compile(r"[\d,]*"), "dbname": re.compile(r"[^@/:]*")}
# The value is at fault. The last one, too long for an index, is said as if the server lacked something for now.
_REFUSES: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


class PostgresSession:
    """A session (`services.scoring.store.session`) of `postgresql://user@host:port/database`.

    Writers run at READ COMMITTED: a row that another writer changed meanwhile is seen as it is now, and the lock on
    the partitions' rows keeps out who would change the same applications. Readers run at REPEATABLE READ.
    """

    # A connection costs the server a process and 5 ms.
    keeps_open = True

    def __init__(self, url: str, *, password: SecretStr | None, read_only: bool, application: str) -> None:
        self._parameters = _parameters(url, password, application)
        self.name = _name(self._parameters)
        self._read_only = read_only
        self._open: psycopg.Connection[Row] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        """Let all statements inside see one moment."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            yield

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        """Make all statements inside one transaction.

        A connection lost during the commit leaves open whether it took place: the next try finds out by the offsets.
        """
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"):
            yield

    def lock(self, topic: str, partitions: Sequence[int]) -> None:
        """Wait for every other writer of these partitions, and keep them out until the transaction ends.

        In order, like everything that is locked here, so that no two writers can wait for each other.
        """
        at = sorted(partitions)
        self.run(
            "INSERT INTO consumer_offset (topic, partition, next_offset) SELECT ?, unnest(?::integer[]), 0"
            " ON CONFLICT (topic, partition) DO NOTHING",
            (topic, at),
        )
        self.run(
            "SELECT partition FROM consumer_offset WHERE topic = ? AND partition = ANY(?)"
            " ORDER BY partition FOR UPDATE",
            (topic, at),
        )

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        """Ask for the rows of a query; the first one that is read waits for all answers that are due."""
        return self.connection.execute(_rendered(statement), values)

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Send a statement without waiting for its end."""
        self.connection.execute(_rendered(statement), values)

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        connection = self.connection
        with connection.pipeline() as pipeline:
            cursor = connection.execute(_rendered(statement), values)
            pipeline.sync()
        return cursor.rowcount

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""
        if rows:
            with self.connection.cursor() as cursor:
                cursor.executemany(_rendered(statement), rows)

    def put(self, upsert: Upsert, rows: Sequence[Sequence[object]]) -> None:
        """Insert or update rows, in the order of the key.

        They go as one JSON parameter of one statement: for thousands of rows as cheap as COPY through a temporary
        table, for a few half of it, and the only one of the two that need not be waited for.
        """
        if not rows:
            return
        names, key = ", ".join(upsert.columns), ", ".join(upsert.key)
        # WHERE: without it ON CONFLICT would be read as a condition of a join.
        source = f"SELECT {names} FROM json_populate_recordset(NULL::{upsert.table}, ?) WHERE true ORDER BY {key}"  # noqa: S608  constants
        self.run(upsert.statement(source), (_json(upsert.columns, rows),))

    def rows_of(self, query: str, ids: Sequence[str]) -> Iterable[Row]:
        """Ask for the rows of a query that ends where a list of ids has to follow."""
        return self.rows(f"{query} = ANY(?)", (list(ids),)) if ids else []

    def tables(self) -> set[str]:
        """Return the names of the tables there are."""
        statement = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        return {name for (name,) in self.rows(statement)}

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into the store's."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error
        except orjson.JSONEncodeError as error:
            raise StoreRefusesError(f"store {self.name}: {error}") from error

    def for_migration(self) -> psycopg.Connection[Row]:
        """Return the driver's connection; it begins a transaction by itself."""
        self.connection.autocommit = False
        return self.connection

    def alive(self) -> bool:
        """Tell whether the connection still answers."""
        try:
            return self._open is not None and self._open.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The driver's connection, in autocommit mode: transactions are begun and ended by name."""
        if self._open is None or self._open.closed:
            self._open = psycopg.connect(make_conninfo(**self._parameters), autocommit=True)
        return self._open

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        """Send statements without waiting for each: an answer is waited for where it is read, and at the end."""
        with self.errors():
            connection = self.connection
            try:
                with connection.pipeline():
                    connection.execute(begin)
                    yield
                    connection.execute("COMMIT")
            except BaseException:
                self._abandon(connection)
                raise

    def _abandon(self, connection: psycopg.Connection[Row]) -> None:
        """Roll back; a broken connection is closed."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                connection.execute("ROLLBACK")
                return
        connection.close()

    def _translated(self, error: psycopg.Error) -> StoreError:
        text = error.diag.message_primary or " ".join(str(error).split())
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            remedy = "give the user its role's rights, see deploy/postgres/init/10-roles.sql"
            return StoreForbiddenError(f"store {self.name}: {text}; {remedy}")
        if isinstance(error, _REFUSES):
            return StoreRefusesError(f"store {self.name}: {text}")
        lost = self._open is None or self._open.closed
        # The last one: the server has become a standby.
        passing = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
        if lost or isinstance(error, passing):
            return StoreUnavailableError(f"store {self.name}: {text}; it can be tried again, nothing counts twice")
        return StoreDamagedError(f"store {self.name}: {text}; restore it, or start an empty one")


def _parameters(url: str, password: SecretStr | None, application: str) -> dict[str, str]:
    """Return libpq's parameters.

    Raises:
        ValueError: the address is none. It is not repeated: it may hold a password.

    """
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        given = {"host": "?"}
    if not all(pattern.fullmatch(given.get(name, "")) for name, pattern in _PLAIN.items()):
        raise ValueError(
            "store postgresql:…: not an address of a store; expected postgresql://user@host:5432/database, with"
            " special characters of the password as %XX"
        )
    if password is not None:
        given["password"] = password.get_secret_value()
    return DEFAULTS | {"application_name": application} | given


def _name(parameters: dict[str, str]) -> str:
    user, port = parameters.get("user"), parameters.get("port")
    place = f"{parameters.get('host', '')}{f':{port}' if port else ''}/{parameters.get('dbname', '')}"
    return f"postgresql://{f'{user}@' if user else ''}{place}"


def _json(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


def _rendered(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")
