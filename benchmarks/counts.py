"""What the whole flow asks of broker and store, per 1,000 applications, and the bytes of its records.

Counted on `benchmarks.flow`, so the same code counts the same on every machine.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.flow import run_flow
from benchmarks.virtual_broker import Log
from benchmarks.workload import PLAN, SEED, day_of
from services.scoring.store.sqlite import SqliteSession
from services.scoring.store.store import Store

_TABLE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM|SELECT .*? FROM)\s+\(?(\w+)", re.DOTALL)


class CountedStore(Store):
    """A store that tells of every statement; one that is given many rows counts once a row."""

    def watch(self, tell: Callable[[str], None]) -> None:
        """Begin to tell."""
        if isinstance(self._session, SqliteSession):
            self._session.connection.set_trace_callback(tell)

    def changes(self) -> int:
        """Return how many rows were inserted, updated or deleted since the start."""
        return self._session.connection.total_changes if isinstance(self._session, SqliteSession) else 0

    def outcomes(self) -> int:
        """Return how many applications have an outcome."""
        return sum(fingerprint.applications for fingerprint in self.snapshot().fingerprints.values())


def kind_of(statement: str) -> str:
    """Return what a statement does, and with which table: its values do not matter."""
    verb = statement.split(None, 1)[0].lower()
    table = _TABLE.match(statement)
    return f"{verb}_{table[1]}" if table else verb


def flow_counts(applications: int, *, plan: str = PLAN, seed: int = SEED) -> dict[str, float]:
    """Return counts per 1,000 applications, and bytes per record of each topic.

    Raises:
        RuntimeError: the run did not end with every application in the store once.

    """
    statements = Counter[str]()
    with tempfile.TemporaryDirectory() as folder, CountedStore(f"sqlite:///{Path(folder) / 'scoring.db'}") as store:
        before = store.changes()
        store.watch(lambda statement: statements.update([kind_of(statement)]))
        log = run_flow(day_of(applications, seed), store, plan).log
        rows, asked = store.changes() - before, dict(statements)
        if store.outcomes() != applications:
            raise RuntimeError(f"the store has {store.outcomes()} outcomes of {applications} applications")
    counts = {**log.requests, **{f"sql.{kind}": count for kind, count in asked.items()}}
    counts |= {"sql.statements": sum(asked.values()), "sql.rows_changed": rows}
    counts |= {f"records.{topic}": len(list(log.of_topic(topic))) for topic in log.topics()}
    per_1000 = {name: count / applications * 1000 for name, count in sorted(counts.items())}
    return per_1000 | _bytes_per_record(log)


def _bytes_per_record(log: Log) -> dict[str, float]:
    sizes: dict[str, float] = {}
    for topic in log.topics():
        records = list(log.of_topic(topic))
        values = sum(len(record.value or b"") for record in records)
        headers = sum(len(name) + len(value) for record in records for name, value in record.headers)
        sizes[f"bytes.{topic}.value"] = values / len(records)
        sizes[f"bytes.{topic}.headers"] = headers / len(records)
    return sizes
