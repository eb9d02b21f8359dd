"""The verdict can fail on a running system: whatever is wrong in the store, `paperless verify` names it and exits 1."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.system.front_door import System, differs

pytestmark = pytest.mark.timeout(180)

CELL = ("month", "province", "procedure", "channel", "pattern_id")
MEASURES = ("presumed", "assisted", "on_time", "minutes")
TABLES = ("outcome", "cell", "fingerprint")
SPAN = 2**64


class Store:
    """The file of the live store in the hands of a vandal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, query: str, *values: object) -> list[Any]:
        return self.connection.execute(query, values).fetchall()

    def count(self, name: str, sign: int) -> None:
        """Count an application once more, or once less: its share of its cell and of its partition's fingerprint."""
        [row] = self.rows(f"SELECT partition, content_hash, {', '.join(CELL + MEASURES)} FROM outcome"
                          " WHERE application_id = ?", name)  # fmt: skip
        partition, content_hash, *rest = row
        cell, measures = rest[: len(CELL)], rest[len(CELL) :]
        sums = ", ".join(f"{measure} = {measure} + {sign} * ?" for measure in ("n", *MEASURES))
        where = " AND ".join(f"{column} = ?" for column in CELL)
        self.rows(f"UPDATE cell SET {sums} WHERE {where}", 1, *measures, *cell)
        [(held,)] = self.rows("SELECT hash_sum FROM fingerprint WHERE partition = ?", partition)
        total = (held + sign * content_hash) % SPAN
        signed = total - SPAN if total >= SPAN // 2 else total
        self.rows(
            "UPDATE fingerprint SET applications = applications + ?, hash_sum = ? WHERE partition = ?",
            sign, signed, partition,
        )  # fmt: skip

    def drop(self, name: str) -> None:
        self.count(name, -1)
        self.rows("DELETE FROM outcome WHERE application_id = ?", name)

    def some_application(self) -> str:
        return str(self.rows("SELECT application_id FROM outcome ORDER BY application_id LIMIT 1 OFFSET 700")[0][0])

    def two_of_one_cell(self) -> tuple[str, str]:
        """Two applications of one cell and partition that count alike, but for the minutes."""
        alike = ", ".join((*CELL, "partition", "presumed", "assisted", "on_time"))
        query = f"SELECT min(application_id), max(application_id) FROM outcome GROUP BY {alike} HAVING count(*) > 1"
        first, second = self.rows(query)[0]
        return str(first), str(second)


@pytest.fixture
def store(served: System) -> Iterator[Store]:
    """The store, put back as it was, and the verdict with it."""
    with closing(sqlite3.connect(served.folder / "scoring.db", isolation_level=None, timeout=20)) as connection:
        store = Store(connection)
        before = {table: store.rows(f"SELECT * FROM {table}") for table in TABLES}
        yield store
        connection.execute("BEGIN IMMEDIATE")
        for table, rows in before.items():
            connection.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.execute("COMMIT")


def test_one_outcome_dropped_from_the_store_is_named(served, store):
    gone = store.some_application()
    store.drop(gone)
    code, verdict = served.verify()
    assert (code, verdict["verdict"]) == (1, "not ok")
    assert (verdict["counts"]["lost"], verdict["counts"]["counted_twice"]) == (1, 0)
    assert verdict["readings"] == "live ≠ recount = oracle"
    assert differs(verdict, gone, "not in the live store")


def test_an_outcome_that_is_counted_but_gone_is_named(served, store):
    gone = store.some_application()
    store.rows("DELETE FROM outcome WHERE application_id = ?", gone)
    code, verdict = served.verify()
    assert (code, verdict["counts"]["lost"]) == (1, 1)
    assert differs(verdict, gone, "not in the live store")


def test_one_outcome_counted_twice_is_named(served, store):
    twice = store.some_application()
    store.count(twice, 1)
    code, verdict = served.verify()
    assert (code, verdict["verdict"]) == (1, "not ok")
    assert (verdict["counts"]["lost"], verdict["counts"]["counted_twice"]) == (0, 1)
    assert differs(verdict, twice, "counted twice")


def test_a_drop_and_a_double_in_one_cell_are_both_named(served, store):
    gone, twice = store.two_of_one_cell()
    cells = "SELECT month, province, procedure, channel, pattern_id, n FROM cell ORDER BY 1, 2, 3, 4, 5"
    before = store.rows(cells)
    store.drop(gone)
    store.count(twice, 1)
    assert store.rows(cells) == before
    code, verdict = served.verify()
    assert code == 1
    assert (verdict["counts"]["lost"], verdict["counts"]["counted_twice"]) == (1, 1)
    assert differs(verdict, gone, "not in the live store")
    assert differs(verdict, twice, "counted twice")


def test_one_changed_cell_is_named_in_the_text(served, store):
    [cell] = store.rows(f"SELECT {', '.join(CELL)} FROM cell ORDER BY n DESC LIMIT 1")
    store.rows(f"UPDATE cell SET on_time = on_time + 1 WHERE {' AND '.join(f'{column} = ?' for column in CELL)}", *cell)
    ended = served.run("verify")
    assert ended.code == 1
    assert "verdict: NOT OK" in ended.out
    [line] = [line for line in ended.out.splitlines() if "on_time" in line]
    assert f"month={cell[0]} province={cell[1]} procedure={cell[2]} channel={cell[3]}" in line
