import asyncio
import csv
import io
import threading

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from runtime.http_guard import token_digests
from services.scoring.api.app import create_app
from services.scoring.rollup.cells import Snapshot
from services.scoring.store.reader import StoreReader
from services.scoring.store.schema import newest_version
from services.scoring.store.store import Store
from tests.support.scoring_examples import (
    BIRTH,
    MARRIAGE,
    PARTITIONS,
    RESIDENCE,
    application_id,
    as_log,
    component,
    decided,
)

TOKEN = "a-token-of-the-operator"
ON_PAPER = {"outcome": "partly_online", "reasons": ("supplement_on_paper",)}
PARTS = (component("giay_khai_sinh", "paper", "missing", "ho_tich"),)
LOG = as_log([
    decided(1, procedure=BIRTH),
    decided(2, procedure=BIRTH, components=PARTS, **ON_PAPER),
    decided(3, procedure=BIRTH, province="79"),
    decided(4, procedure=MARRIAGE, province="79", **ON_PAPER),
    decided(5, procedure=RESIDENCE),
])  # fmt: skip


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/scoring.db"


@pytest.fixture
def store(url):
    with Store(url) as store:
        store.apply(LOG)
        yield store


class Api:
    """The API without a server in between."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, address: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(address, headers or {}))

    async def _get(self, address: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(address, headers=headers)


@pytest.fixture
def api(url):
    return Api(create_app(StoreReader(url)))


def lines(response: httpx.Response) -> list[dict[str, str]]:
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text)))


def test_the_league_table_orders_province_run_rates_and_ranks_no_handful(api, store):
    table = api.get("/rates").raise_for_status().json()
    first = [(row["key"], row["rank"], row["applications"]) for row in table["rows"][:2]]
    assert first == [("01", None, 2), ("79", None, 2)]
    assert len(table["rows"]) == 34
    assert table["total"]["rates"]["d1"] == {
        "numerator": 2,
        "denominator": 4,
        "value": 0.5,
        "interval": [0.150039, 0.849961],
    }
    assert table["total"]["published"]["d1"]["value"] == 0.1694
    assert table["definitions"]["d1"]["denominator"] == "all applications decided"


def test_rates_filter_by_authority_month_and_procedure(api, store):
    assert api.get("/rates?authority=all").json()["total"]["applications"] == 5
    assert api.get("/rates?month=2025-11").json()["total"]["applications"] == 0
    assert api.get(f"/rates?procedure={MARRIAGE}").json()["total"]["applications"] == 1


def test_rates_come_as_csv_when_asked_for(api, store):
    by_format = lines(api.get("/rates?format=csv"))
    by_header = lines(api.get("/rates", headers={"accept": "text/csv"}))
    assert by_format == by_header
    (hanoi,) = [row for row in by_format if row["key"] == "01"]
    assert (hanoi["name_vi"], hanoi["d1_numerator"], hanoi["d1_denominator"], hanoi["d1"]) == (
        "Hà Nội",
        "1",
        "2",
        "0.5",
    )


def test_a_province_shows_both_authorities_and_its_procedures(api, store):
    view = api.get("/rates/01").raise_for_status().json()
    assert [row["applications"] for row in view["by_authority"]] == [2, 1, 3]
    assert {row["key"] for row in view["by_procedure"]} == {BIRTH, RESIDENCE}
    assert {row["section"] for row in lines(api.get("/rates/01?format=csv"))} == {"authority", "month", "procedure"}


@pytest.mark.parametrize("typed", ["hanoi", "Hà Nội", "ha noi", "H26"])
def test_an_unknown_province_suggests_the_near_one(api, store, typed):
    response = api.get(f"/rates/{typed}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == "province"
    assert "did you mean 01 (Hà Nội)" in response.json()["detail"]


def test_why_names_the_reason_and_the_database(api, store):
    table = api.get("/why?province=01").raise_for_status().json()
    assert (table["applications"], table["end_to_end"]) == (2, 1)
    assert [(row["reason"], row["alone"]) for row in table["reasons"]] == [("supplement_on_paper", 1)]
    assert [(row["database"], row["missing"], row["alone"]) for row in table["databases"]] == [("ho_tich", 1, 1)]
    assert [row["section"] for row in lines(api.get("/why?province=01&format=csv"))] == [
        "reason",
        "component",
        "database",
    ]


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/rates?month=2025-13", "month"),
        ("/rates?authority=commune", "authority"),
        ("/rates?procedure=1.001194", "procedure"),
        ("/rates?provnce=01", "provnce"),
        ("/why?province=00", "province"),
        ("/applications/4711", "application_id"),
        ("/rates?month=٢٠٢٥-10", "month"),
        ("/reading/9223372036854775808", "partition"),
    ],
)
def test_a_wrong_request_is_answered_with_its_field(api, store, address, field):
    response = api.get(address)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_an_unknown_procedure_suggests_the_near_one(api, store):
    assert f"did you mean {BIRTH}" in api.get("/rates?procedure=1.00119").json()["detail"]


def test_an_application_shows_its_outcome_and_components(api, store):
    view = api.get(f"/applications/{application_id(2)}").raise_for_status().json()
    assert (view["outcome"], view["decided_at"]) == ("partly_online", "2025-10-06T09:00:00+07:00")
    assert view["reasons"][0]["name_vi"] == "Bổ sung bằng bản giấy"
    (part,) = view["components"]
    assert (part["component"], part["source"], part["cause"], part["database"]) == (
        "giay_khai_sinh",
        "paper",
        "missing",
        "ho_tich",
    )


def test_an_application_not_decided_is_not_found(api, store):
    response = api.get(f"/applications/{application_id(99)}")
    assert response.status_code == 404
    assert "not decided" in response.json()["detail"]


def test_an_unknown_address_is_a_problem_too(api, store):
    response = api.get("/rate")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_the_reading_is_the_stores_own(api, store):
    assert Snapshot.from_json(api.get("/reading").json()) == store.snapshot()


def test_one_application_is_found_by_its_content_hash(api, store):
    at, _, outcome = LOG[0]
    assert api.get(f"/reading/{at}").json()[outcome.application_id] == f"{outcome.content_hash:016x}"
    assert sum(len(api.get(f"/reading/{each}").json()) for each in range(PARTITIONS)) == len(LOG)


def test_a_missing_store_is_unready_and_says_why(api):
    health = api.get("/health")
    assert (health.status_code, health.json()["ready"]) == (503, False)
    assert "has the scoring consumer been started" in health.json()["reasons"][0]
    rates = api.get("/rates")
    assert (rates.status_code, rates.headers["retry-after"]) == (503, "1")


def test_health_turns_ready_when_the_store_appears(api, url):
    assert api.get("/health").status_code == 503
    with Store(url) as store:
        store.apply(LOG)
        health = api.get("/health")
        assert (health.status_code, health.json()["schema_version"]) == (200, newest_version())
        assert sum(health.json()["next_offsets"].values()) == len(LOG)


def test_metrics_count_requests_by_route_not_by_address(api, store):
    api.get("/rates/01")
    api.get("/rates/79")
    api.get("/made-up")
    exposition = api.get("/metrics").text
    assert 'scoring_api_requests_total{route="/rates/{province}",status="200"} 2.0' in exposition
    assert 'scoring_api_requests_total{route="unmatched",status="404"} 1.0' in exposition


def test_a_guarded_api_documents_how_to_call_it_and_shows_no_page_that_asks_for_the_token(url, store):
    digests = token_digests("ANY", "0.0.0.0", SecretStr(TOKEN), open_to_all=False)
    guarded = Api(create_app(StoreReader(url), tokens=digests))
    token = {"authorization": f"Bearer {TOKEN}"}
    document = guarded.get("/openapi.json", headers=token).raise_for_status().json()
    (scheme,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    open_document = Api(create_app(StoreReader(url))).get("/openapi.json").json()
    assert "securitySchemes" not in open_document["components"]
    described = [item["get"] for item in open_document["paths"].values()]
    assert not any("security" in route or "401" in route["responses"] for route in described)
    asking = {path for path, item in document["paths"].items() if item["get"].get("security")}
    assert asking == set(document["paths"]) - {"/health", "/metrics"}
    anything = {"province": "01", "application_id": "x", "partition": 0, "month": "2025-10"}
    refusals = {path: guarded.get(path.format(**anything)) for path in asking}
    assert {path: response.status_code for path, response in refusals.items()} == dict.fromkeys(asking, 401)
    assert guarded.get("/docs", headers=token).status_code == 404
    assert guarded.get("/rates", headers=token).status_code == 200


def test_refused_requests_are_counted(url, store):
    open_to_all = Api(create_app(StoreReader(url), per_minute=1))
    assert [open_to_all.get("/rates").status_code for _ in range(2)] == [200, 429]
    assert 'requests_total{route="unmatched",status="429"} 1.0' in open_to_all.get("/metrics").text


def test_every_answer_in_the_documentation_is_described(api):
    document = api.get("/openapi.json").json()
    assert {
        "/rates",
        "/rates/{province}",
        "/why",
        "/why/sets",
        "/applications/{application_id}",
        "/health",
        "/metrics",
        "/progress",
        "/reading",
        "/reading/{partition}",
        "/index",
        "/publications",
        "/publications/{month}",
    } == (set(document["paths"]))
    assert "text/csv" in document["paths"]["/rates"]["get"]["responses"]["200"]["content"]
    assert "application/problem+json" in document["paths"]["/why"]["get"]["responses"]["422"]["content"]


def test_a_table_read_while_records_pour_in_is_of_one_moment(api, store):
    """Every batch adds one application in Hà Nội and one in TP.HCM: no table may show one without the other."""
    stop = threading.Event()

    def write() -> None:
        number = 100
        while not stop.is_set():
            pair = [decided(number, procedure=BIRTH), decided(number + 1, procedure=BIRTH, province="79")]
            ends = store.offsets()
            store.apply([
                record._replace(offset=ends.get(record.partition, 0) + at) for at, record in enumerate(as_log(pair))
            ])  # fmt: skip
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            rows = {row["key"]: row["applications"] for row in api.get("/rates").raise_for_status().json()["rows"]}
            assert rows["01"] == rows["79"]
    finally:
        stop.set()
        writer.join()
    assert rows["01"] > 2
