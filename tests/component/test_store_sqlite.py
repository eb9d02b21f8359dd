import itertools
import sqlite3

import pytest

from services.scoring.store.errors import StoreDamagedError, StoreUnavailableError
from services.scoring.store.store import Store
from tests.component.migration_contract import MigrationContract
from tests.component.publication_contract import PublicationContract
from tests.component.retention_contract import RetentionContract
from tests.component.store_contract import StoreContract, recounted
from tests.support.scoring_examples import as_log, decided


@pytest.fixture
def address(tmp_path):
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path}/scoring-{next(numbers)}.db"


@pytest.fixture
def empty(tmp_path):
    url = f"sqlite:///{tmp_path}/empty.db"
    sqlite3.connect(url.removeprefix("sqlite:///")).close()
    return url


class TestSqliteStore(StoreContract):
    pass


class TestSqliteRetention(RetentionContract):
    pass


class TestSqlitePublication(PublicationContract):
    pass


class TestSqliteMigrations(MigrationContract):
    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch):
        # Each of several starters waits for all migrations before its own, on a machine that may be busy.
        monkeypatch.setattr("services.scoring.store.sqlite.BUSY_TIMEOUT_S", 60.0)


def test_a_locked_store_is_unavailable_and_recovers(address, monkeypatch):
    monkeypatch.setattr("services.scoring.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    url = address()
    log = as_log([decided(1)])
    with Store(url) as store:
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"locked.*can be tried again"):
            store.apply(log)
        other.close()
        store.apply(log)
        assert store.snapshot() == recounted(log).snapshot()


def test_a_full_disk_is_unavailable_not_damaged(address):
    with Store(address()) as store:
        store._session.run("PRAGMA max_page_count = 30")
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
