"""What publishing a month must do on every store: freeze what a recount up to its offsets gives, and change nothing."""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import load_domain
from services.scoring.rates.rates import select
from services.scoring.rates.restatement import PublicationSummary, Restatement, restatements
from services.scoring.rollup.cells import CellKey, Measures
from services.scoring.store.engines import open_session
from services.scoring.store.publication import Publication, PublicationError, publish
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from tests.component.retention_contract import in_month
from tests.component.store_contract import recounted
from tests.support.scoring_examples import Positioned, as_log, outcomes

AT = datetime(2025, 11, 3, 9, tzinfo=UTC)
# 1 and 2 of October, 3 of September; later come 4 of October, another outcome of 2, and one of November.
EARLY = [in_month(1, 10), in_month(2, 10), in_month(3, 9)]
LATE = [in_month(4, 10, province="79"), in_month(2, 10, revision=2, channel="direct"), in_month(5, 11)]
LOG = as_log([*EARLY, *LATE])
FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def published(url: str, month: str = "2025-10") -> Publication:
    session = open_session(url)
    try:
        return publish(session, month, AT)
    finally:
        session.close()


def frozen_cells(url: str, month: str) -> Mapping[CellKey, Measures]:
    with closing(StoreReader(url)) as reader:
        return reader.published_cells(month)


def restated(url: str, month: str) -> list[Restatement]:
    with closing(StoreReader(url)) as reader:
        return restatements(reader.published_cells(month), reader.cells(), load_domain(), month)


def publications(url: str) -> list[PublicationSummary]:
    with closing(StoreReader(url)) as reader:
        return reader.publications()


def recount_up_to(log: list[Positioned], offsets: dict[int, int], month: str) -> dict[CellKey, Measures]:
    """The cells of a month by a recount of the log that ends where a publication says."""
    counted = [record for record in log if record.offset < offsets.get(record.partition, 0)]
    return select(recounted(counted).cells, month=month)


class PublicationContract:
    """Subclasses give `address`, a function that returns the address of a new, empty store."""

    @pytest.fixture
    def url(self, address) -> str:
        url: str = address()
        with Store(url) as store:
            store.apply(LOG[: len(EARLY)])
        return url

    def test_a_publication_is_a_recount_up_to_its_offsets(self, url):
        publication = published(url)
        with Store(url) as store:
            store.apply(LOG[len(EARLY) :])
            assert store.snapshot() == recounted(LOG).snapshot()
        frozen = frozen_cells(url, "2025-10")
        assert frozen == recount_up_to(LOG, publication.offsets, "2025-10")
        assert sum(measures.n for measures in frozen.values()) == 2
        assert select(recounted(LOG).cells, month="2025-10") != frozen

    @FEW
    @given(data=st.data())
    def test_a_publication_at_any_moment_is_a_recount_up_to_its_offsets(self, address, data):
        log = as_log(data.draw(st.lists(outcomes(), min_size=1, max_size=30)))
        cut = data.draw(st.integers(1, len(log)))
        url = address()
        with Store(url) as store:
            store.apply(log[:cut])
            month = data.draw(st.sampled_from(sorted({cell.month for cell in store.snapshot().cells})))
            publication = published(url, month)
            store.apply(log[cut:])
        assert frozen_cells(url, month) == recount_up_to(log, publication.offsets, month)

    def test_what_arrives_later_is_a_restatement(self, url):
        published(url)
        assert restated(url, "2025-10") == []
        with Store(url) as store:
            store.apply(LOG[len(EARLY) :])
        found = {each.province: each for each in restated(url, "2025-10")}
        assert list(found) == ["01", "79"]
        assert (found["01"].published.online, found["01"].restated.online) == (2, 1)
        assert (found["79"].published.applications, found["79"].restated.applications) == (0, 1)
        assert found["79"].d1_points is None

    def test_a_month_is_published_once(self, url):
        first = published(url)
        with pytest.raises(PublicationError, match=r"2025-10 is published since 2025-11-03T09:00:00\+00:00"):
            published(url)
        (summary,) = publications(url)
        assert (summary.month, summary.offsets, summary.applications) == ("2025-10", first.offsets, 2)

    @pytest.mark.parametrize(
        ("month", "message"),
        [("2025-12", "no outcome was counted in this month"), ("2025-13", "expected a month, for example 2025-10")],
    )
    def test_what_cannot_be_published_leaves_nothing_behind(self, url, month, message):
        with pytest.raises(PublicationError, match=message):
            published(url, month)
        assert publications(url) == []

    def test_the_live_store_is_as_before(self, url):
        with Store(url) as store:
            before = store.snapshot()
            published(url)
            assert store.snapshot() == before
