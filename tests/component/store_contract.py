"""What every store must do; a store for another database passes by subclassing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.rollup import Measures, Rollup
from services.scoring.store import Positioned, Store
from services.scoring.store_errors import ForeignLogError
from tests.unit.scoring_examples import BIRTH, as_log, decided, outcomes, partition

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def recounted(log: list[Positioned]) -> Rollup:
    rollup = Rollup()
    rollup.apply_all([(at, outcome) for at, _, outcome in log])
    return rollup


class StoreContract:
    """Subclasses give `address`: a function that returns the address of a new, empty store."""

    def test_a_decision_saved_twice_counts_once(self, address):
        log = as_log([decided(1)])
        with Store(address()) as store:
            store.apply(log)
            again = store.apply(log)
            assert store.reading().cells == {log[0].decided.cell: Measures(1, 0, 0, 1, 60)}
        assert again.skipped == 1

    def test_a_decision_repeated_further_on_counts_once(self, address):
        first, repeat = as_log([decided(1), decided(1)])
        with Store(address()) as store:
            store.apply([first])
            assert store.apply([repeat]).counters == {"ignored_equal": 1}
            assert store.reading() == recounted([first]).reading()

    def test_an_outcome_that_knows_more_moves_to_its_cell(self, address):
        log = as_log([decided(1, revision=1, presumed=True), decided(1, revision=2, procedure=BIRTH)])
        with Store(address()) as store:
            for record in log:
                store.apply([record])
            assert store.reading().cells == {log[1].decided.cell: log[1].decided.measures}

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
            assert store.reading().counters["conflicts"] == 1

    def test_a_store_of_another_log_is_refused(self, address):
        url = address()
        with Store(url) as store:
            store.bind_log("log-a")
            store.bind_log("log-a")
        with Store(url) as store, pytest.raises(ForeignLogError, match=r"log-a.*log-b.*point the consumer"):
            store.bind_log("log-b")

    def test_a_failed_batch_leaves_no_trace(self, address):
        good, bad = as_log([decided(1), decided(2, province="79", procedure=BIRTH)])
        broken = bad._replace(decided=bad.decided._replace(due_at=None))  # type: ignore[arg-type]
        with Store(address()) as store:
            before = store.reading()
            with pytest.raises(Exception, match="due_at"):
                store.apply([good, broken])
            assert (store.reading(), store.offsets()) == (before, {})
            store.apply([good, bad])
            assert store.reading() == recounted([good, bad]).reading()

    @FEW
    @given(st.lists(outcomes(), max_size=30))
    def test_two_consumers_of_different_partitions_share_a_store(self, address, log):
        """Each opened before the other wrote: patterns, cells and fingerprints of both end up in one reading."""
        records = as_log(log)
        url = address()
        with Store(url) as even, Store(url) as odd:
            for record in records:
                (odd if record.partition % 2 else even).apply([record])
            assert even.reading() == odd.reading() == recounted(records).reading()

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
            assert store.reading() == recounted(records).reading()
            assert store.reading().counters == recounted(records).counters
            assert store.offsets() == {at: sum(r.partition == at for r in records) for at in {r[0] for r in records}}

    @FEW
    @given(st.lists(outcomes(), min_size=1, max_size=30), st.data())
    def test_a_skipped_outcome_shows_in_the_fingerprints(self, address, log, data):
        records = as_log(log)
        unique = {record.decided.application_id: record for record in records}
        lost = data.draw(st.sampled_from(sorted(unique)))
        with Store(address()) as store:
            store.apply([record for record in records if record.decided.application_id != lost])
            reading = store.reading()
        right = recounted(records).reading()
        at = partition(unique[lost].decided)
        assert reading.fingerprints.get(at) != right.fingerprints[at]
