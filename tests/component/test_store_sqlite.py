import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from services.scoring.reader import StoreReader
from services.scoring.rollup import Rollup
from services.scoring.store import Store
from services.scoring.store_errors import SchemaVersionError, StoreDamagedError, StoreUnavailableError
from tests.component.store_contract import StoreContract, recounted
from tests.unit.scoring_examples import application_id, as_log, decided

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address(tmp_path):
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path}/scoring-{next(numbers)}.db"


class TestSqliteStore(StoreContract):
    pass


def test_a_locked_store_is_unavailable_and_recovers(address, monkeypatch):
    monkeypatch.setattr("services.scoring.schema.BUSY_TIMEOUT_S", 0.01)
    url = address()
    log = as_log([decided(1)])
    with Store(url) as store:
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"locked.*can be tried again"):
            store.apply(log)
        other.close()
        store.apply(log)
        assert store.reading() == recounted(log).reading()


def test_a_full_disk_is_unavailable_not_damaged(address):
    with Store(address()) as store:
        store._connection.execute("PRAGMA max_page_count = 30")
        with pytest.raises(StoreUnavailableError, match="full"):
            store.apply(as_log([decided(number) for number in range(1, 2_000)]))
        assert store.offsets() == {}


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreUnavailableError, match=r"nowhere/scoring\.db.*check the folder"):
        Store(f"sqlite:///{tmp_path}/nowhere/scoring.db")


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "scoring.db").write_text("no database" * 100)
    with pytest.raises(StoreDamagedError, match=r"scoring\.db.*not a database"):
        Store(f"sqlite:///{tmp_path}/scoring.db")


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="expected sqlite:///"):
        Store("mysql://localhost/scoring")


def test_a_store_of_a_newer_program_is_refused(address):
    url = address()
    with Store(url) as store:
        store._connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(SchemaVersionError, match=r"99.*upgrade"):
        Store(url)
    with pytest.raises(SchemaVersionError, match=r"99.*upgrade"):
        StoreReader(url).cells()


def test_a_reader_before_the_first_start_says_so(address):
    with pytest.raises(StoreUnavailableError, match="has the scoring consumer been started"):
        StoreReader(address()).cells()


def test_a_reader_sees_every_committed_batch(address):
    url = address()
    first, second = as_log([decided(1), decided(2)])
    reader = StoreReader(url)
    with Store(url) as store:
        store.apply([first])
        assert dict(reader.cells()) == store.reading().cells
        store.apply([second])
        assert dict(reader.cells()) == store.reading().cells
        assert reader.reading() == recounted([first, second]).reading()


def test_a_reader_cannot_write(address):
    url = address()
    Store(url).close()
    with StoreReader(url)._open() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM cell")


def test_an_application_can_be_looked_up_by_its_id(address):
    url = address()
    with Store(url) as store:
        store.apply(as_log([decided(7, province="79", minutes=90)]))
    row = StoreReader(url).application(application_id(7))
    assert row is not None
    assert (row.province, row.minutes, row.decided_at - row.submitted_at) == ("79", 90, 90 * 60)
    assert StoreReader(url).application(application_id(8)) is None


WRITER = """
    import sys
    from services.scoring.store import Store
    from tests.unit.scoring_examples import as_log, decided

    store = Store(sys.argv[1])
    log = as_log([decided(n % 900, revision=1 + n // 900, minutes=n % 50) for n in range(4_000)])
    while True:
        ends = store.offsets()
        batch = [record for record in log if record.offset >= ends.get(record.partition, 0)][:40]
        if not batch:
            break
        store.apply(batch)
        print(sum(store.offsets().values()), flush=True)
"""


def test_a_store_killed_again_and_again_loses_and_doubles_nothing(address):
    """kill -9 after some batches: cells, rows and offsets are of one moment; the end is a full recount."""
    url = address()
    log = as_log([decided(n % 900, revision=1 + n // 900, minutes=n % 50) for n in range(4_000)])
    for batches in (3, 11, 1, 24):
        _write_until_killed(url, batches)
        with Store(url) as store:
            ends = store.offsets()
            seen = [record for record in log if record.offset < ends.get(record.partition, 0)]
            assert seen
            assert store.reading() == recounted(seen).reading()
            assert _cells_from_rows(store) == store.reading().cells
    _write_until_killed(url, 10_000)
    with Store(url) as store:
        assert store.reading() == recounted(log).reading()


def _write_until_killed(url: str, batches: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as writer:
        assert writer.stdout is not None
        for _ in itertools.islice(writer.stdout, batches):
            pass
        # A moment more, so that the signal meets a transaction and not only the end of one.
        time.sleep(0.003)
        writer.send_signal(signal.SIGKILL)


def _cells_from_rows(store: Store) -> object:
    rows = store._connection.execute(
        "SELECT month, province, procedure, channel, text, count(*), sum(presumed), sum(assisted), sum(on_time),"
        " sum(minutes) FROM outcome JOIN pattern ON id = pattern_id GROUP BY 1, 2, 3, 4, 5"
    )
    empty = Rollup().reading()
    counted = type(empty).from_json({"cells": [list(row) for row in rows], "fingerprints": {}})
    return counted.cells
