"""What the store's migrations must do on every engine."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command

from services.scoring.store import migrate, schema
from services.scoring.store.engines import open_session
from services.scoring.store.store import Store
from tests.component.store_contract import recounted
from tests.support.scoring_examples import as_log, decided

ROOT = Path(__file__).parents[2]
OLD_OUTCOME = (
    "INSERT INTO outcome (application_id, partition, revision, submission, conflict, month, province, procedure,"
    " channel, pattern_id, submitted_at, due_at, decided_at, presumed, assisted, on_time, minutes, content_hash)"
    " VALUES ('a-1', 0, 1, 's', 0, '2025-10', '01', '1.004222', 'online', 1, 0, 0, 0, 0, 0, 1, 60, 7)"
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.scoring.store.migrate", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


class MigrationContract:
    """Subclasses give `empty`, the address of a database without tables."""

    def test_an_empty_database_gets_the_whole_history(self, empty):
        assert migrate.upgrade(empty) == schema.newest_version()
        assert migrate.upgrade(empty) == schema.newest_version()
        log = as_log([decided(n) for n in range(20)])
        with Store(empty, migrate=False) as store:
            store.apply(log)
            assert store.snapshot() == recounted(log).snapshot()

    def test_several_starters_at_once_migrate_once(self, empty):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: migrate.upgrade(empty), range(4)))
        assert found == [schema.newest_version()] * 4

    def test_a_failing_migration_leaves_nothing_behind(self, empty, monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            real = command.upgrade

            def fail_at_the_end(*arguments: object) -> None:
                real(*arguments)  # type: ignore[arg-type]
                raise ZeroDivisionError

            patch.setattr(command, "upgrade", fail_at_the_end)
            migrate.upgrade(empty)
        session = open_session(empty)
        with session.read_transaction():
            assert session.tables() == set()
        session.close()

    def test_outcomes_stored_before_a_migration_are_kept_and_the_old_program_writes_on(self, empty, monkeypatch):
        monkeypatch.setattr(schema, "newest_version", lambda: 1)
        monkeypatch.setattr(migrate, "HEAD", "0001")
        assert migrate.upgrade(empty) == 1
        session = open_session(empty)
        with session.write_transaction():
            session.run(OLD_OUTCOME)
        monkeypatch.undo()
        assert migrate.upgrade(empty) == schema.newest_version()
        with session.write_transaction():
            session.run(OLD_OUTCOME.replace("'a-1'", "'a-2'"))
            rows = list(session.rows("SELECT application_id, minutes, commune, rules_version FROM outcome ORDER BY 1"))
        session.close()
        assert rows == [("a-1", 60, "", 0), ("a-2", 60, "", 0)]

    def test_the_command_says_what_it_did_and_what_is_missing(self, empty):
        newest = schema.newest_version()
        missing = run("--check", SCORING_STORE=empty)
        assert (missing.returncode, f"schema version 0 of {newest}" in missing.stdout) == (1, True), missing.stderr
        done = run(SCORING_STORE=empty)
        assert (done.returncode, f"schema version {newest}" in done.stdout) == (0, True), done.stderr
        assert run("--check", empty).returncode == 0

    def test_the_history_can_be_read_as_sql(self, empty):
        printed = run("--sql", empty)
        assert printed.returncode == 0, printed.stderr
        assert "CREATE TABLE outcome" in printed.stdout
        assert "ALTER TABLE outcome ADD COLUMN commune" in printed.stdout
