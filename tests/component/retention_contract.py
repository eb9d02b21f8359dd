"""What closing months must do on every store: free the outcomes, keep what was published, and never count twice."""

from datetime import datetime

import pytest

from domain import VN
from services.scoring.rollup.outcome import ApplicationOutcome
from services.scoring.store.engines import open_session
from services.scoring.store.reader import StoreReader
from services.scoring.store.retention import RetentionError, close_months
from services.scoring.store.store import Store
from tests.component.store_contract import cells_of_rows
from tests.support.scoring_examples import Positioned, application_id, as_log, decided

MINUTES_A_DAY = 24 * 60
REFUSED = {"closed_month": 1}


def in_month(number: int, month: int, *, days: int = 1, revision: int = 1, **changes: object) -> ApplicationOutcome:
    """An application submitted on the 10th of a month of 2025 and decided some days later."""
    submitted_at = datetime(2025, month, 10, 8, tzinfo=VN)
    decided_at = datetime.fromtimestamp(submitted_at.timestamp() + days * MINUTES_A_DAY * 60, VN)
    return decided(
        number, submitted_at=submitted_at, decided_at=decided_at, due_at=decided_at, revision=revision, **changes
    )


# 1 and 2 of August, 3 of September; 4 was submitted in September and decided in October; 5 of October.
HISTORY = as_log([in_month(1, 8), in_month(2, 8), in_month(3, 9), in_month(4, 9, days=25), in_month(5, 10)])


def later_than(log: list[Positioned], outcomes: list[ApplicationOutcome]) -> list[Positioned]:
    """Positions of more outcomes, behind those of a log."""
    return as_log([record.outcome for record in log] + outcomes)[len(log) :]


def later(*outcomes: ApplicationOutcome) -> list[Positioned]:
    return later_than(HISTORY, list(outcomes))


def close(url: str, **which: object) -> tuple[str, int]:
    session = open_session(url)
    try:
        return close_months(session, **which)  # type: ignore[arg-type]
    finally:
        session.close()


class RetentionContract:
    """Subclasses give `address`, a function that returns the address of a new, empty store."""

    @pytest.fixture
    def url(self, address) -> str:
        url: str = address()
        with Store(url) as store:
            store.apply(HISTORY)
        return url

    def test_outcomes_of_closed_months_go_and_their_cells_stay(self, url):
        with Store(url) as store:
            before = store.snapshot()
            assert close(url, before="2025-10") == ("2025-10", 3)
            assert store.snapshot() == before
            assert sum(measures.n for measures in cells_of_rows(store).values()) == 2
        reader = StoreReader(url)
        assert [reader.application(application_id(n)) is None for n in range(1, 6)] == [True] * 3 + [False] * 2
        assert reader.state().closed_before == "2025-10"
        reader.close()

    @pytest.mark.parametrize(
        "outcome",
        [
            pytest.param(in_month(1, 8), id="the deleted one again"),
            pytest.param(in_month(1, 8, revision=2), id="a late revision of it"),
            pytest.param(in_month(1, 8, days=70, revision=2), id="a revision decided in an open month"),
            pytest.param(in_month(6, 9), id="a new one decided in a closed month"),
            pytest.param(in_month(6, 9, days=40), id="an unknown one that may be among the deleted"),
            pytest.param(in_month(5, 9, revision=2), id="one that would move from an open month to a closed one"),
        ],
    )
    def test_what_might_count_twice_or_change_a_closed_month_is_refused(self, url, outcome):
        close(url, before="2025-10")
        [record] = later(outcome)
        with Store(url) as store:
            before = store.snapshot()
            assert store.apply([record]).counters == REFUSED
            assert store.snapshot() == before
            assert store.snapshot().counters["closed_month"] == 1
            assert store.offsets()[record.partition] == record.offset + 1

    @pytest.mark.parametrize(
        ("outcome", "counters"),
        [
            pytest.param(in_month(6, 10), {"applied": 1}, id="a new application"),
            pytest.param(in_month(5, 10, revision=2), {"overruled": 1}, id="a revision in an open month"),
            pytest.param(in_month(5, 10), {"ignored_equal": 1}, id="a repeat in an open month"),
            pytest.param(in_month(4, 9, days=60, revision=2), {"overruled": 1}, id="an old one that is still known"),
        ],
    )
    def test_what_is_certain_counts_as_ever(self, url, outcome, counters):
        close(url, before="2025-10")
        with Store(url) as store:
            assert store.apply(later(outcome)).counters == counters
            assert sum(measures.n for measures in store.snapshot().cells.values()) == 5 + (counters == {"applied": 1})

    @pytest.mark.parametrize("size", [1, 2, 100])
    def test_it_does_not_matter_where_batches_end_or_how_far_the_deletion_came(self, url, size, monkeypatch):
        """The watermark decides, not the rows: an interrupted run refuses what a finished one refuses."""
        monkeypatch.setattr("services.scoring.store.retention._delete", lambda *_: 0)
        assert close(url, before="2025-10") == ("2025-10", 0)
        arrivals = later(
            *(
                in_month(1, 8, revision=2),
                in_month(6, 10),
                in_month(6, 9, days=40, revision=2),
                in_month(3, 9, days=60),
            ),
            *(in_month(4, 9, days=26, revision=2), in_month(6, 10, revision=3), in_month(2, 8)),
        )
        with Store(url) as store:
            for start in range(0, len(arrivals), size):
                store.apply(arrivals[start : start + size])
            counters = store.snapshot().counters
        assert {name: counters[name] for name in ("applied", "overruled", "closed_month")} == {
            "applied": 6, "overruled": 3, "closed_month": 3,
        }  # fmt: skip
        monkeypatch.undo()
        assert close(url, before="2025-10") == ("2025-10", 3)

    def test_months_to_keep_count_back_from_the_newest(self, url):
        assert close(url, keep_months=3) == ("2025-08", 0)
        assert close(url, keep_months=2) == ("2025-09", 2)
        assert close(url, keep_months=1) == ("2025-10", 1)

    def test_a_closed_month_stays_closed(self, url):
        close(url, before="2025-10")
        assert close(url, before="2025-08") == ("2025-10", 0)

    def test_the_newest_month_stays_open(self, url):
        with pytest.raises(RetentionError, match=r"2025-11: the newest month, 2025-10, must stay open"):
            close(url, before="2025-11")

    def test_an_empty_store_has_nothing_to_close(self, address):
        url = address()
        Store(url).close()
        with pytest.raises(RetentionError, match="nothing to close"):
            close(url, keep_months=1)

    def test_many_rows_go_in_small_transactions(self, address, monkeypatch):
        monkeypatch.setattr("services.scoring.store.retention.SLICE", 7)
        url = address()
        said: list[str] = []
        with Store(url) as store:
            store.apply(as_log([in_month(n, 8 + n % 3) for n in range(50)]))
        session = open_session(url)
        assert close_months(session, before="2025-10", progress=said.append) == ("2025-10", 34)
        session.close()
        assert len(said) > 50 / 7
