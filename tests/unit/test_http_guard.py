"""What stands before the HTTP APIs: who may call, how often, and what is told to those who may not."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from runtime.errors import FatalError
from runtime.host_guard import HostGuard
from runtime.http_guard import TokenGuard, token_digests

TOKEN = "first-token-of-an-operator"
NEXT = "second-token-of-an-operator"
OUTSIDE = "0.0.0.0"


async def page(_: Request) -> Response:
    return PlainTextResponse("secret figures", headers={"etag": "1"})


def guarded(*tokens: str, per_minute: int = 100) -> HostGuard:
    app = Starlette(routes=[Route(path, page) for path in ("/rates", "/health", "/metrics")])
    digests = token_digests("ANY", OUTSIDE, SecretStr("\n".join(tokens)) if tokens else None, open_to_all=True)
    return HostGuard(TokenGuard(app, digests, per_minute), "api, api.example")


def calling(guard: HostGuard, address: str = "10.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(guard, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://api")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with calling(guarded(TOKEN, NEXT)) as client:
        yield client


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    return body


@pytest.mark.parametrize("token", [TOKEN, NEXT], ids=["old", "new"])
async def test_every_valid_token_opens_the_api_while_one_replaces_the_other(client, token):
    response = await client.get("/rates", headers=bearer(token))
    assert (response.status_code, response.text) == (200, "secret figures")


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(TOKEN + "x"), bearer(TOKEN[:-1]), bearer(""), bearer(f"{TOKEN}\t{NEXT}"), {"authorization": TOKEN}],
    ids=["none", "longer", "shorter", "empty", "two", "no-scheme"],
)
async def test_a_caller_without_a_valid_token_learns_nothing_but_how_to_call(client, headers):
    response = await client.get("/rates", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="paperless"'
    body = problem(response)
    assert "Authorization: Bearer" in body["detail"]
    assert (body["title"], body["instance"]) == ("Unauthorized", "/rates")
    assert TOKEN not in response.text


async def test_an_unknown_address_is_no_way_to_ask_what_exists(client):
    assert (await client.get("/made-up")).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/metrics"])
async def test_a_probe_needs_no_token_and_is_never_turned_away(path):
    async with calling(guarded(TOKEN, per_minute=1)) as client:
        assert [(await client.get(path)).status_code for _ in range(3)] == [200, 200, 200]


async def test_an_open_api_asks_nobody():
    async with calling(guarded()) as client:
        assert (await client.get("/rates")).status_code == 200


async def test_beyond_its_rate_a_caller_is_told_when_to_come_back():
    async with calling(guarded(TOKEN, per_minute=2)) as client:
        answers = [await client.get("/rates", headers=bearer(TOKEN)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 61
    assert "over 2 requests a minute" in problem(answers[2])["detail"]


async def test_guessing_tokens_is_limited_and_does_not_use_up_the_operators_rate():
    async with calling(guarded(TOKEN, per_minute=2)) as client:
        guesses = [(await client.get("/rates", headers=bearer(f"guess-number-{n:06}"))).status_code for n in range(4)]
        assert guesses == [401, 401, 429, 429]
        assert (await client.get("/rates", headers=bearer(TOKEN))).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"), [(f"/rates?{'a' * 20_000}", {}), ("/rates", {"x-long": "a" * 20_000})], ids=["url", "header"]
)
async def test_an_overlong_request_is_turned_away(client, path, headers):
    response = await client.get(path, headers=bearer(TOKEN) | headers)
    assert response.status_code == 431
    assert "over 16384 bytes" in problem(response)["detail"]


async def test_one_address_does_not_use_up_the_rate_of_another():
    guard = guarded(per_minute=1)
    async with calling(guard, "10.0.0.1") as one, calling(guard, "10.0.0.2") as other:
        assert [(await one.get("/rates")).status_code for _ in range(2)] == [200, 429]
        assert (await other.get("/rates")).status_code == 200


@pytest.mark.parametrize("path", ["/rates", "/health", "/nothing"])
@pytest.mark.parametrize("token", [TOKEN, "wrong"])
async def test_every_answer_carries_the_safe_headers(client, path, token):
    response = await client.get(path, headers=bearer(token))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"


async def status_of(headers: list[tuple[bytes, bytes]], server: str = "10.0.0.7") -> int:
    """Return the answer to a request as the server hands it on; a client would not send some of them."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "root_path": ""}
    await guarded()(scope | {"headers": headers, "server": (server, 8104), "client": None}, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["elsewhere.example"],
        ["api.elsewhere.example"],
        ["api@elsewhere.example"],
        ["elsewhere.example@api"],
        ["api:80:80"],
        ["api/"],
        ["[api"],
        ["[::2]"],
        ["10.9.9.9"],
        ["api", "elsewhere.example"],
        ["api", "api"],
    ],
    ids=str,
)
async def test_what_is_no_host_of_ours_is_misdirected(hosts):
    assert await status_of([(b"host", host.encode()) for host in hosts]) == 421


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("api", "10.0.0.7"),
        ("API.example:8104", "10.0.0.7"),
        ("localhost:8104", "10.0.0.7"),
        ("[::1]:8104", "10.0.0.7"),
        ("10.0.0.7:8104", "10.0.0.7"),
        ("10.0.0.7:8104", "::ffff:10.0.0.7"),
        ("[fd00::7]:8104", "fd00::7"),
    ],
)
async def test_loopback_the_called_address_and_the_allowed_names_are_hosts(host, server):
    assert await status_of([(b"host", host.encode())], server) == 200


@given(st.one_of(st.text(st.characters(max_codepoint=255)), st.from_regex(r"[a-z0-9.@:/\[\]-]{1,20}", fullmatch=True)))
async def test_whatever_else_is_sent_as_a_host_is_misdirected(text):
    name = text.lower().partition(":")[0].strip("[]")
    assume(name not in {"api", "api.example", "localhost", "127.0.0.1", "10.0.0.7"} and "::1" not in text)
    assert await status_of([(b"host", text.encode("latin-1"))]) == 421


@pytest.mark.parametrize("server", ["elsewhere.example", "/run/api.socket"])
async def test_only_an_address_is_known_by_having_been_called(server):
    assert await status_of([(b"host", b"elsewhere.example")], server) == 421


@pytest.mark.parametrize(
    ("origins", "status"),
    [
        (["http://api:8104"], 200),
        (["https://API:8104"], 200),
        (["http://api"], 403),
        (["http://api:8105"], 403),
        (["http://elsewhere.example"], 403),
        (["null"], 403),
        ([""], 403),
        (["http://api:8104", "http://elsewhere.example"], 403),
    ],
    ids=str,
)
async def test_a_page_calls_its_own_origin_only(origins, status):
    headers = [(b"host", b"api:8104"), *((b"origin", origin.encode()) for origin in origins)]
    assert await status_of(headers) == status


async def test_the_apps_own_headers_stay(client):
    assert (await client.get("/rates", headers=bearer(TOKEN))).headers["etag"] == "1"


def test_an_api_that_others_reach_does_not_start_without_a_token():
    with pytest.raises(FatalError, match=r"others reach 0\.0\.0\.0.*ANY_TOKENS_FILE.*ANY_OPEN=true"):
        token_digests("ANY", OUTSIDE, None, open_to_all=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_an_api_may_be_open(host):
    assert token_digests("ANY", host, None, open_to_all=False) == ()


def test_whoever_says_open_gets_an_open_api():
    assert token_digests("ANY", OUTSIDE, None, open_to_all=True) == ()


@pytest.mark.parametrize("host", ["127.0.0.1", OUTSIDE])
def test_tokens_are_asked_for_wherever_they_are_set(host):
    assert len(token_digests("ANY", host, SecretStr(f"{TOKEN}\n{NEXT}\n"), open_to_all=True)) == 2


@pytest.mark.parametrize("text", ["", "\n", "short", f"{TOKEN} short"], ids=["empty", "blank", "short", "one-short"])
def test_a_token_file_that_protects_nothing_is_refused_and_not_repeated(text):
    with pytest.raises(FatalError, match="under 16 characters") as refused:
        token_digests("ANY", "127.0.0.1", SecretStr(text), open_to_all=True)
    assert TOKEN not in str(refused.value)


def test_a_token_is_kept_as_its_digest_only():
    assert TOKEN not in repr(vars(guarded(TOKEN)._app))
