"""What every store must do; a store for another database passes by subclassing."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import ApplicationDecided
from domain import VN
from services.scoring.rollup.cells import CellKey, Measures
from services.scoring.rollup.rollup import Rollup
from services.scoring.store.errors import (
    ForeignLogError,
    SchemaVersionError,
    StoreBehindError,
    StoreError,
    StoreRefusesError,
    StoreUnavailableError,
)
from services.scoring.store.reader import StoreReader, cells_of
from services.scoring.store.store import Store
from tests.support.scoring_examples import BIRTH, Positioned, application_id, as_log, decided, outcomes, partition

# One suite for all stores: that its tests run in several classes is the point.
ACCEPTED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
FEW = settings(max_examples=25, suppress_health_check=ACCEPTED)


ROOT = Path(__file__).parents[2]
WRITER = """
    import sys
    from services.scoring.store.store import Store
    from tests.component.store_contract import long_log

    store, log = Store(sys.argv[1]), long_log()
    while True:
        ends = store.offsets()
        batch = [record for record in log if record.offset >= ends.get(record.partition, 0)][:40]
        if not batch:
            break
        store.apply(batch)
        print(sum(store.offsets().values()), flush=True)
"""


def long_log() -> list[Positioned]:
    """4,000 outcomes of 900 applications that move from cell to cell, so that cells fill and empty."""
    return as_log(
        [
            decided(n % 900, revision=1 + n // 900, minutes=n % 50, province=("01", "79", "48")[n % 3])
            for n in range(4_000)
        ]
    )


def recounted(log: list[Positioned]) -> Rollup:
    rollup = Rollup()
    rollup.apply_all([(at, outcome) for at, _, outcome in log])
    return rollup


def cells_of_rows(store: Store) -> dict[CellKey, Measures]:
    """What the stored outcomes add up to, counted anew."""
    with store._session.read_transaction():
        rows = store._session.rows(
            "SELECT month, province, procedure, channel, text, count(*), sum(presumed), sum(assisted), sum(on_time),"
            " sum(minutes) FROM outcome JOIN pattern ON id = pattern_id GROUP BY 1, 2, 3, 4, 5"
        )
    return {CellKey(*row[:5]): Measures(*map(int, row[5:])) for row in rows}


def write_until_killed(url: str, batches: int) -> None:
    """Let another process write batches of `long_log`, and kill -9 it after so many."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as writer:
        assert writer.stdout is not None
        for _ in islice(writer.stdout, batches):
            pass
        # A moment more, so that the signal meets a transaction and not only the end of one.
        time.sleep(0.003)
        writer.send_signal(signal.SIGKILL)


class StoreContract:
    """Subclasses give `address`, a function that returns the address of a new, empty store, and `empty`, that of a
    database without tables."""

    def test_a_decision_saved_twice_counts_once(self, address):
        log = as_log([decided(1)])
        with Store(address()) as store:
            store.apply(log)
            again = store.apply(log)
            assert store.snapshot().cells == {log[0].outcome.cell: Measures(1, 0, 0, 1, 60)}
        assert again.skipped == 1

    def test_the_extremes_of_the_contract_are_stored(self, address):
        properties = ApplicationDecided.model_json_schema()["properties"]
        integers = {name: node for name, node in properties.items() if "maximum" in node}
        assert {"revision", "rules_version"} <= integers.keys()
        ends = datetime.min.replace(tzinfo=VN), datetime.max.replace(tzinfo=VN)
        extremes = [
            decided(number, **{name: node[bound] for name, node in integers.items()}, submitted_at=at, due_at=due_at)
            for number, (bound, at, due_at) in enumerate(product(("minimum", "maximum"), ends, ends))
        ]
        with Store(address()) as store:
            store.apply(as_log(extremes))
            assert store.snapshot() == recounted(as_log(extremes)).snapshot()

    @pytest.mark.parametrize("beyond", [2**63, 2**64])
    def test_a_number_beyond_its_column_is_refused_with_its_batch_and_no_more(self, address, beyond):
        good, bad = decided(1), decided(2)._replace(rules_version=beyond)
        with Store(address()) as store:
            with pytest.raises(StoreRefusesError):
                store.apply(as_log([good, bad]))
            assert (store.snapshot().cells, store.offsets()) == ({}, {})
            store.apply(as_log([good]))
            assert store.snapshot() == recounted(as_log([good])).snapshot()

    def test_a_decision_repeated_further_on_counts_once(self, address):
        first, repeat = as_log([decided(1), decided(1)])
        with Store(address()) as store:
            store.apply([first])
            assert store.apply([repeat]).counters == {"ignored_equal": 1}
            assert store.snapshot() == recounted([first]).snapshot()

    def test_an_outcome_that_knows_more_moves_to_its_cell(self, address):
        log = as_log([decided(1, revision=1, presumed=True), decided(1, revision=2, procedure=BIRTH)])
        with Store(address()) as store:
            for record in log:
                store.apply([record])
            assert store.snapshot().cells == {log[1].outcome.cell: log[1].outcome.measures}

    def test_offsets_never_go_back(self, address):
        log = as_log([decided(number) for number in range(1, 30)])
        with Store(address()) as store:
            store.apply(log)
            ends = store.offsets()
            store.apply(log[:5], dict.fromkeys(ends, 1))
            assert store.offsets() == ends

    def test_dead_letters_advance_the_offset(self, address):
        with Store(address()) as store:
            store.apply([], {2: 17})
            assert store.offsets() == {2: 17}

    @pytest.mark.parametrize("digits", ["abc", "cba", "bab"])
    def test_conflicting_submissions_are_counted_once_per_application(self, address, digits):
        """Also where the conflicting one is weaker, and changes nothing but the flag."""
        log = as_log([decided(1, submission=digit * 16) for digit in digits] + [decided(2)])
        with Store(address()) as store:
            for record in log:
                store.apply([record])
            assert store.snapshot().counters["conflicts"] == 1

    def test_a_store_of_another_log_is_refused(self, address):
        url = address()
        with Store(url) as store:
            store.bind_log("log-a")
            store.bind_log("log-a")
        with Store(url) as store, pytest.raises(ForeignLogError, match=r"log-a.*log-b.*point the consumer"):
            store.bind_log("log-b")

    def test_a_failed_batch_leaves_no_trace(self, address):
        good, bad = as_log([decided(1), decided(2, province="79", procedure=BIRTH)])
        broken = bad._replace(outcome=bad.outcome._replace(due_at=None))  # type: ignore[arg-type]
        with Store(address()) as store:
            before = store.snapshot()
            with pytest.raises(Exception, match="due_at"):
                store.apply([good, broken])
            assert (store.snapshot(), store.offsets()) == (before, {})
            store.apply([good, bad])
            assert store.snapshot() == recounted([good, bad]).snapshot()

    @FEW
    @given(st.lists(outcomes(), max_size=30))
    def test_two_consumers_of_different_partitions_share_a_store(self, address, log):
        """Each opened before the other wrote: patterns, cells and fingerprints of both end up in one snapshot."""
        records = as_log(log)
        url = address()
        with Store(url) as even, Store(url) as odd:
            for record in records:
                (odd if record.partition % 2 else even).apply([record])
            assert even.snapshot() == odd.snapshot() == recounted(records).snapshot()

    @FEW
    @given(st.lists(outcomes(), max_size=40), st.data())
    def test_live_cells_equal_a_recount_after_restarts(self, address, log, data):
        """Batches of any size; after each one, the consumer may restart and be given some records again."""
        records = as_log(log)
        url = address()
        done = 0
        while done < len(records):
            end = data.draw(st.integers(done + 1, len(records)), label="end of batch")
            start = data.draw(st.integers(0, done), label="read again from")
            with Store(url) as store:
                store.apply(records[start:end])
            done = end
        with Store(url) as store:
            assert store.snapshot() == recounted(records).snapshot()
            assert store.snapshot().counters == recounted(records).counters
            assert store.offsets() == {at: sum(r.partition == at for r in records) for at in {r[0] for r in records}}

    @FEW
    @given(st.lists(outcomes(), min_size=1, max_size=30), st.data())
    def test_a_skipped_outcome_shows_in_the_fingerprints(self, address, log, data):
        records = as_log(log)
        unique = {record.outcome.application_id: record for record in records}
        lost = data.draw(st.sampled_from(sorted(unique)))
        with Store(address()) as store:
            store.apply([record for record in records if record.outcome.application_id != lost])
            snapshot = store.snapshot()
        right = recounted(records).snapshot()
        at = partition(unique[lost].outcome)
        assert snapshot.fingerprints.get(at) != right.fingerprints[at]

    def test_a_store_killed_again_and_again_loses_and_doubles_nothing(self, address):
        """kill -9 after some batches: cells, rows and offsets are of one moment; the end is a full recount."""
        url, log = address(), long_log()
        for batches in (3, 11, 1):
            write_until_killed(url, batches)
            with Store(url) as store:
                ends = store.offsets()
                seen = [record for record in log if record.offset < ends.get(record.partition, 0)]
                assert seen
                assert store.snapshot() == recounted(seen).snapshot()
                assert cells_of_rows(store) == store.snapshot().cells
        write_until_killed(url, 10_000)
        with Store(url) as store:
            assert store.snapshot() == recounted(log).snapshot()

    def test_a_store_put_back_under_its_consumer_is_refused(self, address):
        """A restored backup, or a standby that lagged: going on would leave a gap that nobody sees."""
        [one, two, three] = [record for record in as_log([decided(n) for n in range(30)]) if record.partition == 0][:3]
        with Store(address()) as store:
            store.apply([one], starts={0: 0})
            before = store.snapshot(), store.offsets()
            with pytest.raises(StoreBehindError, match=r"offset 1 of .*/0, its consumer at 2.*restart the consumer"):
                store.apply([three], starts={0: 2})
            assert (store.snapshot(), store.offsets()) == before
            assert store.apply([one, two, three], starts={0: 0}).skipped == 1

    def test_a_log_may_begin_anywhere(self, address):
        record = Positioned(0, 7, decided(1))
        with Store(address()) as store:
            store.apply([record], starts={0: 7})
            assert store.offsets() == {0: 8}

    def test_a_store_of_a_newer_program_is_refused(self, address):
        url = address()
        with Store(url) as store, store._session.write_transaction():
            store._session.run("UPDATE alembic_version SET version_num = '0099'")
        for open_it in (Store, lambda url: StoreReader(url).cells()):
            with pytest.raises(SchemaVersionError, match=r"version 99.*upgrade the program"):
                open_it(url)

    def test_an_older_schema_is_refused_where_a_job_migrates(self, empty):
        with pytest.raises(SchemaVersionError, match=r"version 0.*run `python -m services\.scoring\.store\.migrate`"):
            Store(empty, migrate=False)
        Store(empty).close()
        Store(empty, migrate=False).close()

    def test_a_store_of_the_old_numbered_files_is_refused(self, address):
        url = address()
        with Store(url) as store, store._session.write_transaction():
            store._session.run("DROP TABLE alembic_version")
        with pytest.raises(SchemaVersionError, match="start an empty store"):
            Store(url)

    def test_a_reader_before_the_first_start_says_so(self, empty):
        with pytest.raises(StoreError, match=r"scoring consumer"):
            StoreReader(empty).cells()

    def test_a_reader_sees_every_committed_batch(self, address):
        url = address()
        first, second = as_log([decided(1), decided(2)])
        reader = StoreReader(url)
        with Store(url) as store:
            store.apply([first])
            assert dict(reader.cells()) == store.snapshot().cells
            store.apply([second])
            assert dict(reader.cells()) == store.snapshot().cells
            assert reader.snapshot() == recounted([first, second]).snapshot()
            assert reader.outcome_counts() == {
                at: sum(record.partition == at for record in (first, second))
                for at in {first.partition, second.partition}
            }
        reader.close()

    def test_many_who_ask_at_once_read_the_cells_once(self, address, monkeypatch):
        url, read = address(), []

        def slowly(session):
            # Long enough that all of them have come.
            time.sleep(0.05)
            read.append(cells_of(session))
            return read[-1]

        monkeypatch.setattr("services.scoring.store.reader.cells_of", slowly)
        reader = StoreReader(url)
        with Store(url) as store, ThreadPoolExecutor(8) as threads:
            store.apply(as_log([decided(1)]))
            answers = list(threads.map(lambda _: reader.cells(), range(8)))
        reader.close()
        assert len(read) == 1
        assert all(answer is read[0] for answer in answers)

    def test_an_application_can_be_looked_up_by_its_id(self, address):
        url = address()
        with Store(url) as store:
            store.apply(as_log([decided(7, province="79", minutes=90)]))
        reader = StoreReader(url)
        assert reader.application(application_id(7)) == (decided(7, province="79", minutes=90), False)
        assert reader.application(application_id(8)) is None
        reader.close()

    def test_a_reader_cannot_write(self, address):
        url = address()
        Store(url).close()
        session = StoreReader(url)._new_session()
        with pytest.raises(StoreUnavailableError, match=r"read-?\s?only"), session.read_transaction():
            session.run("DELETE FROM cell")
        session.close()
