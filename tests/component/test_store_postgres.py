"""The store on PostgreSQL: the same suite as SQLite's, and what only a server can do to it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import TypeVar

import psycopg
import pytest

from paperless.testing.postgres import PostgresServer
from services.scoring.store import migrate
from services.scoring.store.engines import open_session
from services.scoring.store.errors import StoreForbiddenError, StoreRefusesError, StoreUnavailableError
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from tests.component.migration_contract import MigrationContract
from tests.component.publication_contract import PublicationContract
from tests.component.retention_contract import RetentionContract, close, in_month, later_than
from tests.component.store_contract import ROOT, StoreContract, cells_of_rows, long_log, recounted
from tests.support.scoring_examples import PARTITIONS, Positioned, application_id, as_log, component, decided

pytestmark = [pytest.mark.container, pytest.mark.timeout(120)]
TABLES = (
    "meta, pattern, outcome, cell, consumer_offset, fingerprint, counter,"
    " publication, publication_offset, published_cell"
)
WITHIN_S = 30.0
T = TypeVar("T")


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer) -> str:
    """The name of a database with the store's tables, to make others from."""
    Store(postgres_server.create_database("migrated")).close()
    postgres_server.execute(f"TRUNCATE {TABLES} RESTART IDENTITY", postgres_server.url("migrated"))
    return "migrated"


@pytest.fixture
def address(postgres_server: PostgresServer, migrated: str) -> Iterator[Callable[[], str]]:
    url = postgres_server.create_database(template=migrated)

    def new() -> str:
        postgres_server.execute(f"TRUNCATE {TABLES} RESTART IDENTITY", url)
        return url

    yield new
    postgres_server.drop_database(url)


@pytest.fixture
def empty(postgres: str) -> str:
    return postgres


class TestPostgresStore(StoreContract):
    pass


class TestPostgresRetention(RetentionContract):
    pass


class TestPostgresPublication(PublicationContract):
    pass


class TestPostgresMigrations(MigrationContract):
    pass


def write(store: Store, log: list[Positioned], size: int = 40) -> int:
    """Write as the consumer does: what the store does not take is tried again. Return how often it did not."""
    failures = 0
    for start in range(0, len(log), size):
        batch = log[start : start + size]
        while True:
            try:
                store.apply(batch, starts={batch[0].partition: batch[0].offset})
                break
            except StoreUnavailableError:
                failures += 1
                assert failures < 10_000
    return failures


def test_no_plan_outlives_the_size_of_a_table(address: Callable[[], str]):
    """One that was made while the table of outcomes was empty would read all of it for each batch."""
    # A statement without parameters has only one kind of plan.
    query = "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements WHERE parameter_types <> '{}'"
    with Store(address()) as store:
        write(store, long_log())
        kept, made = store._session.for_migration().execute(query).fetchone()
    assert kept == 0
    assert made > 100


def write_by_partition(stores: list[Store], log: list[Positioned]) -> list[int]:
    """Let a writer per partition write the log at once; return their failures."""
    parts = [[record for record in log if record.partition == at] for at in range(PARTITIONS)]
    return together(*[partial(write, store, part) for store, part in zip(stores, parts, strict=True)])


@contextmanager
def opened(url: str, count: int = PARTITIONS) -> Iterator[list[Store]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Store(url)) for _ in range(count)]


def together(*works: Callable[[], T]) -> list[T]:
    """Run functions in threads of their own and return what they return."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [job.result(WITHIN_S) for job in [pool.submit(work) for work in works]]


def assert_exact(url: str, log: list[Positioned]) -> None:
    with Store(url) as store:
        assert store.snapshot() == recounted(log).snapshot()
        assert store.snapshot().counters == recounted(log).counters
        assert cells_of_rows(store) == store.snapshot().cells


def test_writers_of_different_partitions_never_wait_in_a_ring(address, postgres_server):
    """Cells of all partitions overlap and empty; rows are locked in one order, so nothing deadlocks."""
    url, log = address(), long_log()
    with opened(url) as stores:
        assert write_by_partition(stores, log) == [0, 0, 0]
    assert_exact(url, log)
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert postgres_server.execute(query, url) == [(0,)]


def test_writers_whose_connections_are_killed_lose_and_double_nothing(address, postgres_server):
    url, log = address(), long_log()
    done, killed = threading.Event(), [0]

    def kill() -> None:
        # Now and then, and not for ever: on a slow machine a new connection must be of some use.
        while not done.wait(0.05) and sum(killed) < 12:
            killed.append(postgres_server.kill_backends("scoring", in_transaction=True))

    killer = threading.Thread(target=kill)
    with opened(url) as stores:
        killer.start()
        try:
            failures = write_by_partition(stores, log)
        finally:
            done.set()
            killer.join()
    assert sum(killed) > 0
    assert sum(failures) > 0
    assert_exact(url, log)


def test_a_restarted_server_is_found_again(address, postgres_server):
    """Writers and a reader that keeps its connection go on without being restarted."""
    url, log = address(), long_log()
    reader = StoreReader(url)
    with Store(url) as store:
        store.apply(log[:100])
        assert reader.snapshot() == store.snapshot()
        postgres_server.restart()
        with pytest.raises(StoreUnavailableError, match="can be tried again"):
            store.apply(log[100:200])
        store.apply(log[100:200])
        assert reader.snapshot() == recounted(log[:200]).snapshot()
    reader.close()


def test_a_commit_whose_answer_is_lost_counts_once(address, monkeypatch):
    url, log = address(), as_log([decided(n) for n in range(20)])
    execute = psycopg.Connection.execute

    def lose_the_answer(self, query, *args, **options):
        found = execute(self, query, *args, **options)
        if query == "COMMIT":
            with self.pipeline() as statements:
                statements.sync()
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return found

    with Store(url) as store:
        store.apply([], {0: 0})
        store._learn_patterns({record.outcome.cell.pattern for record in log})
        with monkeypatch.context() as patch, pytest.raises(StoreUnavailableError):
            patch.setattr(psycopg.Connection, "execute", lose_the_answer)
            store.apply(log)
        assert store.apply(log).skipped == len(log)
    assert_exact(url, log)


def test_two_owners_of_one_partition_take_turns_and_count_once(address, postgres_server):
    """After a rebalance the old owner may still be writing: the row of the partition lets one after the other in."""
    url, log = address(), [record for record in long_log() if record.partition == 0][:200]
    with Store(url) as first, Store(url) as second, psycopg.connect(url) as holder:
        first.apply(log[:1])
        holder.execute("SELECT 1 FROM consumer_offset FOR UPDATE")
        works = [partial(owner.apply, log[1:]) for owner in (first, second)]
        *applied, _ = together(*works, partial(_release, holder, postgres_server, waiting=2))
        assert sorted(one.skipped for one in applied if one) == [0, len(log) - 1]
    assert_exact(url, log)


def _release(holder: psycopg.Connection, server: PostgresServer, *, waiting: int) -> None:
    _wait_until(lambda: _waiting(server, "scoring") == waiting)
    holder.rollback()


def test_a_store_restored_from_an_older_backup_catches_up(address, postgres_server):
    url, log = address(), long_log()
    name = url.rpartition("/")[2]
    with Store(url) as store:
        store.bind_log("log-1")
        store.apply(log[:1_000])
        postgres_server.run_inside(f"pg_dump --format=custom --file=/tmp/{name}.dump {name}")
        store.apply(log[1_000:])
        complete = store.snapshot()
    restored = postgres_server.create_database()
    postgres_server.run_inside(f"pg_restore --exit-on-error --dbname={restored.rpartition('/')[2]} /tmp/{name}.dump")
    with Store(restored, migrate=False) as store:
        store.bind_log("log-1")
        ends = store.offsets()
        rest = [record for record in log if record.offset >= ends[record.partition]]
        assert len(rest) == len(log) - 1_000
        store.apply(rest, starts=ends)
        assert store.snapshot() == complete
    postgres_server.drop_database(restored)


def test_a_statement_that_waits_too_long_is_given_up_and_tried_again(address):
    url, log = address(), as_log([decided(1)])
    impatient = f"{url}?options=-c%20lock_timeout%3D50ms"
    with Store(impatient) as store, psycopg.connect(url) as holder:
        store.apply(log[:1])
        holder.execute("SELECT 1 FROM consumer_offset FOR UPDATE")
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            store.apply(log)
        holder.rollback()
        assert store.apply(log).skipped == 1


def test_many_readers_share_few_connections(address, postgres_server):
    url = address()
    with Store(url) as store:
        store.apply(as_log([decided(n) for n in range(50)]))
    reader = StoreReader(url)
    found = together(*[partial(reader.application, application_id(n)) for n in range(40)])
    assert all(found)
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scoring_api'"
    assert 1 <= postgres_server.execute(query)[0][0] <= 8
    postgres_server.kill_backends("scoring_api")
    assert reader.application(application_id(1)) == found[1]
    reader.close()


def test_closing_months_waits_for_a_batch_that_has_begun(address, postgres_server, monkeypatch):
    """Otherwise the batch would not find what is deleted meanwhile, and count it as a new application."""
    url, log = address(), as_log([in_month(n, 8 + n % 2) for n in range(40)])
    with Store(url) as store, ThreadPoolExecutor(1) as pool:
        store.apply(log)
        look_up, jobs = store._before, []

        def close_before_looking_up(*arguments):
            # Until something is read the lock has not been asked for.
            assert list(store._session.rows("SELECT 1")) == [(1,)]
            jobs.append(pool.submit(close, url, before="2025-09"))
            _wait_until(lambda: jobs[0].done() or _waiting(postgres_server, "scoring") == 1)
            return look_up(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(store, "_before", close_before_looking_up)
            repeats = later_than(log, [record.outcome for record in log])
            assert store.apply(repeats).counters == {"ignored_equal": 40}
        assert jobs[0].result(WITHIN_S) == ("2025-09", 20)
        assert store.snapshot() == recounted(log).snapshot()


def _waiting(server: PostgresServer, application: str) -> int:
    query = (
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}' AND wait_event_type = 'Lock'"
    )
    return int(server.execute(query)[0][0])


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


ROLES = ("scoring_owner", "scoring_writer", "scoring_reader")


@pytest.fixture
def roles(postgres: str, postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """A database as compose prepares it: the addresses of its three users."""
    postgres_server.execute((ROOT / "deploy/postgres/init/10-roles.sql").read_text("utf-8"), postgres)
    name = postgres.rpartition("/")[2]
    for role in ROLES:
        postgres_server.execute(f"ALTER ROLE {role} PASSWORD 'known-{role}'")
    yield {role: postgres_server.url(name, user=role, password=f"known-{role}") for role in ROLES}
    for role in ROLES:
        postgres_server.execute(f"DROP OWNED BY {role}", postgres)
        postgres_server.execute(f"DROP ROLE {role}")


def test_each_role_can_do_its_work_and_nothing_else(roles):
    owner, writer, reader = (roles[role] for role in ROLES)
    log = as_log([in_month(n, 8 + n // 10) for n in range(20)])
    with pytest.raises(StoreForbiddenError, match=r"permission denied.*10-roles\.sql"):
        Store(writer)
    migrate.upgrade(owner)
    with Store(writer, migrate=False) as store:
        store.apply(log)
        assert close(writer, before="2025-09") == ("2025-09", 10)
        reads = StoreReader(reader)
        assert reads.snapshot() == store.snapshot()
        reads.close()
    refused = {
        writer: [
            "DROP TABLE cell",
            "ALTER TABLE outcome ADD COLUMN x INTEGER",
            "TRUNCATE outcome",
            "CREATE TABLE x (y INTEGER)",
            "CREATE TEMPORARY TABLE x (y INTEGER)",
        ],
        reader: [
            "DELETE FROM cell",
            "UPDATE meta SET value = ''",
            "CREATE TEMPORARY TABLE x (y INTEGER)",
            "DROP TABLE cell",
        ],
    }
    for url, statements in refused.items():
        session = open_session(url)
        for statement in statements:
            with pytest.raises(StoreForbiddenError), session.write_transaction():
                session.run(statement)
        session.close()


def test_a_stranger_cannot_even_connect(roles, postgres, postgres_server):
    postgres_server.execute("CREATE ROLE stranger LOGIN PASSWORD 'known'")
    try:
        url = postgres_server.url(postgres.rpartition("/")[2], user="stranger", password="known")
        with pytest.raises(StoreUnavailableError, match="permission denied for database"):
            StoreReader(url).cells()
    finally:
        postgres_server.execute("DROP ROLE stranger")


def test_a_wrong_password_is_refused_without_showing_it(roles, postgres_server):
    url = roles["scoring_reader"].replace("known-scoring_reader", "tr0ub4dor")
    with pytest.raises(StoreUnavailableError, match="password authentication failed") as refused:
        StoreReader(url).cells()
    assert "tr0ub4dor" not in str(refused.value)


def test_a_number_beyond_an_integer_column_is_refused(address):
    with Store(address()) as store, pytest.raises(StoreRefusesError, match="out of range"):
        store.apply(as_log([decided(1), decided(2)._replace(rules_version=2**31)]))


def test_a_pattern_too_long_for_its_index_is_refused_and_not_tried_for_ever(address):
    """The server's word for it is that of a lack that may pass."""
    drawn = Random(1)
    slugs = ["".join(drawn.choices("abcdefghijklmnopqrstuvwxyz0123456789_", k=64)) for _ in range(48)]
    parts = tuple(component(slug, database=database) for slug, database in zip(slugs[:16], slugs[16:32], strict=True))
    longest = decided(2, components=parts, reasons=tuple(slugs[32:]))
    with Store(address()) as store:
        with pytest.raises(StoreRefusesError, match="exceeds"):
            store.apply(as_log([decided(1), longest]))
        store.apply(as_log([decided(1)]))
        assert store.snapshot() == recounted(as_log([decided(1)])).snapshot()
