"""A connection to a store, of whichever engine: the few operations that SQLite and PostgreSQL do each in their own way.

Statements are written with `?`; a session renders them for its driver.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

Row = tuple[Any, ...]


class Upsert(NamedTuple):
    """Rows for a table: new ones are inserted, those whose key is there change as `update` says.

    Columns are named, so that a program goes on writing when a migration has added one that it does not know.
    """

    table: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    update: str

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key + self.values

    def statement(self, source: str) -> str:
        """Return the statement over a source of rows: `VALUES (…)`, or a query that ends in a WHERE clause."""
        return (
            f"INSERT INTO {self.table} ({', '.join(self.columns)}) {source}"
            f" ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {self.update}"
        )


def replacing(table: str, key: tuple[str, ...], values: tuple[str, ...]) -> Upsert:
    """Return an upsert by which a row that is there takes all values of the new one."""
    return Upsert(table, key, values, ", ".join(f"{name} = excluded.{name}" for name in values))


def adding(table: str, key: tuple[str, ...], values: tuple[str, ...]) -> Upsert:
    """Return an upsert by which values are added to those of a row that is there."""
    return Upsert(table, key, values, ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in values))


class Session(Protocol):
    """One connection, for one thread at a time; statements run inside `read_transaction` or `write_transaction`.

    Both raise `StoreUnavailableError` (nothing lost; try again), `StoreDamagedError` or `StoreForbiddenError`. After
    a lost connection the next of them connects again.
    """

    name: str
    """The store's address without its password."""
    keeps_open: bool
    """Whether a reader gains by keeping the connection for its next read."""

    def read_transaction(self) -> AbstractContextManager[None]:
        """Let all statements inside see one moment."""

    def write_transaction(self) -> AbstractContextManager[None]:
        """Make all statements inside one transaction: committed at the end, rolled back on any error."""

    def lock(self, topic: str, partitions: Sequence[int]) -> None:
        """Wait for every other writer of these partitions, and keep them out until the transaction ends."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        """Ask for the rows of a query, to be read once and inside the same `read_transaction` or `write_transaction`.

        Over a network, queries that are all asked for before the first is read take one round trip together.
        """

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Run a statement; its error may show at a later one, at the latest when the transaction ends."""

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""

    def put(self, upsert: Upsert, rows: Sequence[Sequence[object]]) -> None:
        """Insert or update rows of `upsert.columns`, in the order of the key."""

    def rows_of(self, query: str, ids: Sequence[str]) -> Iterable[Row]:
        """Ask for the rows of a query that ends where a list of ids has to follow (`… WHERE application_id`)."""

    def tables(self) -> set[str]:
        """Return the names of the tables there are."""

    def errors(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into the store's, as `read_transaction` and `write_transaction` do."""

    def for_migration(self) -> Any:
        """Return the driver's connection, for a library that commits it by its own means."""

    def alive(self) -> bool:
        """Tell whether the connection still answers."""

    def close(self) -> None:
        """Close the connection; a later statement opens it again."""
