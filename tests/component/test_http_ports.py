"""Every HTTP port of ours: by which names it is called, from which pages, and what its page for people loads."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.intake.app import build as build_intake
from services.intake.settings import IntakeSettings
from services.portal.app import Portal
from services.portal.settings import PortalSettings
from services.scoring.api.app import create_app
from services.scoring.app import build as build_scoring
from services.scoring.settings import ScoringSettings
from services.scoring.store.reader import StoreReader
from services.vneid_mock.app import build as build_mock
from services.vneid_mock.settings import VneidSettings

NAME = "figures.example"
MANY = 1_000_000
ID = "01999d7f-7500-7001-8000-5c1a2b3c4d5e"
Build = Callable[[Path], Any]
PORTS: dict[str, Build] = {
    "portal": lambda _: Portal(PortalSettings(allowed_hosts=NAME, per_minute=MANY, filings_per_minute=MANY)).app,
    "intake": lambda _: build_intake(IntakeSettings(allowed_hosts=NAME)).app,
    "vneid_mock": lambda _: build_mock(VneidSettings(allowed_hosts=NAME, control_per_minute=MANY)).app,
    "scoring": lambda folder: (
        build_scoring(ScoringSettings(store=f"sqlite:///{folder}/scoring.db", allowed_hosts=NAME)).app
    ),
    "scoring_api": lambda folder: create_app(
        StoreReader(f"sqlite:///{folder}/scoring.db"), allowed_hosts=NAME, per_minute=MANY
    ),
}
PATHS = [(port, "GET", path) for port in PORTS for path in ("/health", "/metrics", "/made-up")] + [
    ("portal", "POST", "/applications"),
    *(("portal", "GET", f"/applications/{ID}{page}") for page in ("", "/events", "/stream")),
    *(("portal", "GET", path) for path in ("/", "/docs", "/openapi.json")),
    *(("vneid_mock", method, "/plan") for method in ("GET", "PUT", "PATCH")),
    ("vneid_mock", "POST", "/plan/reset"),
    *(("vneid_mock", "GET", path) for path in ("/plans", "/plan/schema", "/docs", "/openapi.json")),
    *(("scoring_api", "GET", path) for path in ("/rates", "/why", "/why/sets", "/reading", "/docs", "/openapi.json")),
]
WITH_PAGES = ("portal", "scoring_api", "vneid_mock")
SCRIPT = "/static-offline-docs/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stores")
    return {port: build(folder) for port, build in PORTS.items()}


@pytest.fixture
async def client(port: str, apps: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(apps[port])
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8100") as client:
        yield client


@pytest.mark.parametrize(("port", "method", "path"), PATHS)
async def test_a_name_that_is_not_ours_is_misdirected(client, port, method, path):
    response = await client.request(method, path, headers={"host": "rebound.example:8100"})
    assert (response.status_code, response.headers["content-type"]) == (421, "application/problem+json")
    assert "ALLOWED_HOSTS" in response.json()["detail"]


@pytest.mark.parametrize(("port", "method", "path"), PATHS)
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://localhost:3000"])
async def test_a_page_from_elsewhere_is_refused(client, port, method, path, origin):
    response = await client.request(method, path, headers={"host": "localhost:8100", "origin": origin})
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "host", ["localhost:8100", "127.0.0.1", "[::1]:8100", "10.1.2.3:8100", NAME, NAME.upper()], ids=str
)
async def test_loopback_the_servers_own_address_and_the_allowed_names_are_answered(client, port, host):
    for path in ("/health", "/metrics"):
        for origin in ({}, {"origin": f"http://{host}"}, {"origin": f"https://{host}"}):
            assert (await client.get(path, headers={"host": host} | origin)).status_code in {200, 503}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("method", ["DELETE", "POST", "TRACE"])
@pytest.mark.parametrize("path", ["/health", "/metrics"])
async def test_a_wrong_method_is_told_the_right_ones(client, port, method, path):
    response = await client.request(method, path)
    assert (response.status_code, "GET" in response.headers["allow"]) == (405, True)


@pytest.mark.parametrize(
    ("port", "path"), [(port, path) for port in WITH_PAGES for path in ("/docs", "/openapi.json", SCRIPT)]
)
async def test_what_belongs_to_the_documentation_is_only_read(client, port, path):
    response = await client.post(path)
    assert (response.status_code, "GET" in response.headers["allow"]) == (405, True)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("port", WITH_PAGES)
async def test_the_documentation_loads_nothing_from_elsewhere(client, port):
    page = (await client.get("/docs")).raise_for_status().text
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)|url: ["']([^"']+)""", page)
    addresses = [first or second for first, second in loaded]
    assert {address.rpartition(".")[2] for address in addresses} == {"js", "css", "png", "json"}
    for address in addresses:
        response = await client.get(address)
        assert (response.status_code, address[0], len(response.content) > 1_000) == (200, "/", True)
    assert not re.findall(r"https?://[^\s'\"]+\.(?:js|css|png)", page)
