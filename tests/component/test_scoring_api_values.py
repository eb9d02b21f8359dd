"""A parameter of the API that is accepted is answered, whatever its value; one that is refused is named."""

import asyncio
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.scoring.api.app import create_app
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from tests.support.scoring_examples import application_id, as_log, decided

WORDS = [
    "", " ", "0", "5", "-1", str(2**31 - 1), str(2**31), str(2**63), "9" * 400, "9" * 5_000, "1e3", "nan", "\0",
    "2025-10", "0000-01", "9999-12", "2025-13", "2025-10\n", "٢٠٢٥-10", "01", "79", "1.001193", "province", "all",
    "ministry", "csv", "json", application_id(1), "Hà Nội", "'; --", "../..", "%",
]  # fmt: skip
texts = st.sampled_from(WORDS) | st.integers().map(str) | st.text(max_size=12)
QUERY = ("month", "procedure", "authority", "province", "format", "unheard_of")
queries = st.dictionaries(st.sampled_from(QUERY), texts, max_size=3)
PATHS = ("/rates", "/why", "/rates/{}", "/applications/{}", "/reading", "/reading/{}")


@pytest.fixture(scope="module")
def transport(tmp_path_factory: pytest.TempPathFactory) -> httpx.ASGITransport:
    url = f"sqlite:///{tmp_path_factory.mktemp('values')}/scoring.db"
    with Store(url) as store:
        store.apply(as_log([decided(1)]))
    # An exception of the app is the test's: it would be a 500.
    return httpx.ASGITransport(create_app(StoreReader(url), per_minute=1_000_000))


def get(transport: httpx.ASGITransport, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", follow_redirects=True) as client:
            return await client.get(path)

    return asyncio.run(ask())


@given(path=st.sampled_from(PATHS), part=texts, query=queries)
@example(path="/reading/{}", part=str(2**63), query={})
@example(path="/rates", part="", query={"month": "٢٠٢٥-10"})
def test_whatever_is_asked_is_answered_or_refused_by_name(transport, path, part, query):
    answer = get(transport, f"{path.format(quote(part, safe=''))}?{urlencode(query)}")
    assert answer.status_code in {200, 404, 422, 431}
    if answer.status_code == 422:
        named = {*QUERY, "partition", "application_id"}
        assert any(name in answer.json()["detail"] for name in named)
    if answer.status_code == 200 and "month" in query and path in PATHS[:3]:
        assert query["month"].isascii()
