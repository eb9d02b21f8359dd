"""A scaled service is one name with several addresses: rest means that every member rests, and that none is missing."""

import socket
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from paperless.http_client import async_http_client
from paperless.language import message
from paperless.verification import quiescence
from paperless.verification.members import ask_members, unowned
from paperless.verification.quiescence import Target, VerifyError, wait_for_quiescence
from runtime.settings import KafkaAccess

PARTITIONS = 6
URLS = {"intake": "http://intake:8101"}
TARGET = Target(kafka=KafkaAccess(kafka_servers="127.0.0.1:9"), health_urls=URLS, api_url="http://127.0.0.1:2")


def body(*partitions: int, lag: int = 0) -> dict[str, Any]:
    return {
        "ready": True,
        "reasons": [],
        "open": 0,
        "unsent": 0,
        "lag": {"documents.provided": lag},
        "partitions": list(partitions),
    }


Answers = Mapping[str, Any]


@pytest.fixture
def members(monkeypatch) -> Callable[[list[Answers]], None]:
    """Let `intake` resolve to these addresses, which answer so: one mapping for each time it is asked."""

    def given(moments: list[Answers]) -> None:
        now: list[Answers] = [{}]

        def resolve(host: object, port: int, **_: object) -> list[Any]:
            assert host == "intake"
            now[0] = moments.pop(0) if len(moments) > 1 else moments[0]
            if not now[0]:
                raise socket.gaierror("no such name")
            # A name server gives them in any order, and may repeat one.
            return [(2, 1, 6, "", (address, port)) for address in (*reversed(list(now[0])), *now[0])]

        async def getaddrinfo(_: object, host: object, port: int, **options: object) -> list[Any]:
            return resolve(host, port, **options)

        def answer(request: httpx.Request) -> httpx.Response:
            host = request.url.host
            found = next(iter(now[0].values())) if host == "intake" and now[0] else now[0].get(host)
            if found is None:
                raise httpx.ConnectError("refused")
            return httpx.Response(200, json=found)

        real = httpx.AsyncClient
        monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
        monkeypatch.setattr(httpx, "AsyncClient", lambda **_: real(transport=httpx.MockTransport(answer)))
        monkeypatch.setattr(quiescence, "POLL_S", 0.0)

    return given


async def ask() -> dict[str, Any]:
    async with async_http_client(timeout_s=5) as client:
        return await ask_members(client, URLS)


async def test_every_address_behind_a_name_is_asked(members):
    members([{"10.0.0.2": body(0, 1, 2), "10.0.0.3": body(3, 4, 5)}])
    assert await ask() == {"intake@10.0.0.2": body(0, 1, 2), "intake@10.0.0.3": body(3, 4, 5)}


async def test_a_single_member_keeps_its_name(members):
    members([{"10.0.0.2": body(*range(6))}])
    assert await ask() == {"intake": body(*range(6))}


async def test_a_service_that_is_down_does_not_answer(members):
    members([{}])
    assert (await ask())["intake"]["ready"] is False


async def test_the_lag_of_any_member_is_movement(members):
    members([{"10.0.0.2": body(0, 1, 2), "10.0.0.3": body(3, 4, 5, lag=7)}])
    with pytest.raises(VerifyError, match=r"intake@10\.0\.0\.3: documents\.provided lag 7"):
        await wait_for_quiescence(TARGET, partitions=PARTITIONS, within_s=0)


async def test_a_member_that_left_is_no_longer_waited_for(members):
    both = {"10.0.0.2": body(0, 1, 2), "10.0.0.3": None}
    members([both, both, {"10.0.0.2": body(*range(6))}])
    assert list(await wait_for_quiescence(TARGET, partitions=PARTITIONS, within_s=30)) == ["intake"]


async def test_partitions_that_nobody_has_are_movement(members):
    """After a kill -9 the others have no lag: what the dead one had is nobody's until the group notices."""
    members([{"10.0.0.2": body(0, 1), "10.0.0.3": body(2, 3)}])
    with pytest.raises(VerifyError, match="intake: no member has partitions 4, 5"):
        await wait_for_quiescence(TARGET, partitions=PARTITIONS, within_s=0)


def test_members_with_names_of_their_own_are_one_consumer():
    assert unowned({"intake": body(0, 2, 4), "intake_2": body(1, 3, 5), "scoring": body(*range(6))}, PARTITIONS) == []
    assert unowned({"intake": body(0), "scoring": body(*range(5))}, PARTITIONS) == [
        message("backlog.unowned", service="intake", partitions="1, 2, 3, 4, 5"),
        message("backlog.unowned", service="scoring", partitions="5"),
    ]
