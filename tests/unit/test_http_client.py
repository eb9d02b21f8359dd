"""Loopback is reached whatever proxy, certificate or password the environment names."""

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest

from paperless.cli.options import fetch
from paperless.http_client import CertificateError, async_http_client, http_client
from paperless.local.health import wait_ready
from paperless.local.layout import ServiceSpec
from paperless.verification.quiescence import Target, wait_for_quiescence
from paperless.verification.scoring_client import Question, ask, ask_async, async_client, client
from runtime.settings import KafkaAccess
from tests.support.http_answers import answering

BODY = {"ready": True, "reasons": [], "lag": {}, "open": 0, "unsent": 0, "partitions": [0], "log_identity": None}
# Nobody listens there: whatever goes through one of these fails.
DEAD = "127.0.0.1:1"
PROXIES = [f"http://{DEAD}", f"socks5://{DEAD}", f"socks://{DEAD}", DEAD, "::"]
QUESTION = Question("/health", json.loads)
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def url() -> Iterator[str]:
    with answering(200, json.dumps(BODY).encode()) as port:
        yield f"http://127.0.0.1:{port}"


def asks_the_table(url: str) -> None:
    with client(url) as api:
        ask(api, QUESTION)


def asks_while_it_verifies(url: str) -> None:
    async def run() -> None:
        async with async_client(url) as api:
            await ask_async(api, QUESTION)

    asyncio.run(run())


def asks_for_the_mocks_plan(url: str) -> None:
    assert fetch(f"{url}/plan") == BODY


def asks_for_rest(url: str) -> None:
    target = Target(kafka=KafkaAccess(kafka_servers=DEAD), health_urls={"intake": url}, api_url=url)
    asyncio.run(wait_for_quiescence(target, partitions=1, within_s=5))


def asks_whether_it_is_ready(url: str) -> None:
    spec = ServiceSpec(name="intake", argv=(), port=int(url.rpartition(":")[2]))
    asyncio.run(wait_ready([spec], lambda _: pytest.fail("not ready"), within_s=5))


CALLS = [asks_the_table, asks_while_it_verifies, asks_for_the_mocks_plan, asks_for_rest, asks_whether_it_is_ready]


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("asks", CALLS, ids=lambda asks: asks.__name__)
def test_loopback_never_goes_through_a_proxy(monkeypatch, url: str, asks: Callable[[str], None], proxy: str):
    for name in (*NAMES, *map(str.lower, NAMES)):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.com")
    asks(url)


def test_certificates_that_are_not_there_only_matter_where_a_connection_is_encrypted(monkeypatch, url: str):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    asks_the_table(url)
    for make in (http_client, async_http_client):
        with pytest.raises(CertificateError, match=r"SSL_CERT_FILE.*name PEM files"):
            make("https://scoring.example.com", timeout_s=1)
