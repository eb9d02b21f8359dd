"""How far the store has come, as the API tells it and as who measures a load hears it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from paperless.verification.scoring_client import Moved, ScoringApiError, follow
from services.scoring.api.app import create_app
from services.scoring.api.progress import Progress
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from tests.support.scoring_examples import as_log, decided

SOON_S = 30.0


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/scoring.db"


@pytest.fixture
def store(url):
    with Store(url) as store:
        store.apply(as_log([decided(1)]))
        yield store


async def next_offsets(events: AsyncIterator[bytes]) -> dict[str, int]:
    async with asyncio.timeout(SOON_S):
        event = await anext(events)
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    moved = orjson.loads(event[6:])
    assert moved["unseen_ms"] >= 0
    offsets: dict[str, int] = moved["next_offsets"]
    return offsets


async def test_the_position_is_told_at_once_and_whenever_it_moves(url, store):
    events = Progress(StoreReader(url), lambda: False).events()
    first = await next_offsets(events)
    store.apply(as_log([decided(number) for number in range(1, 9)]))
    moved = await next_offsets(events)
    assert sum(first.values()) < sum(moved.values())
    assert moved == {str(partition): offset for partition, offset in StoreReader(url).state().offsets.items()}
    await events.aclose()


async def test_a_store_that_stands_still_is_told_all_the_same(url, store, monkeypatch):
    monkeypatch.setattr("services.scoring.api.progress.HEARTBEAT_S", 0.01)
    events = Progress(StoreReader(url), lambda: False).events()
    assert await next_offsets(events) == await next_offsets(events)
    await events.aclose()


async def test_a_stream_ends_with_the_process_and_is_open_no_more(url, store):
    ending = [False, True]
    progress = Progress(StoreReader(url), lambda: ending.pop(0))
    async with asyncio.timeout(SOON_S):
        assert len([event async for event in progress.events()]) == 1
    assert progress.open == 0


async def test_a_stream_ends_where_the_store_cannot_be_read(tmp_path):
    progress = Progress(StoreReader(f"sqlite:///{tmp_path}/none.db"), lambda: False)
    async with asyncio.timeout(SOON_S):
        assert [event async for event in progress.events()] == []


async def test_a_stream_ends_where_another_store_takes_the_place(url, store, tmp_path):
    progress = Progress(StoreReader(url), lambda: False)
    events = progress.events()
    await next_offsets(events)
    store.close()
    (tmp_path / "scoring.db").rename(tmp_path / "aside.db")
    Store(url).close()
    async with asyncio.timeout(SOON_S):
        assert [event async for event in events] == []
    assert progress.open == 0


def client_of(url: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(StoreReader(url)))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_a_store_that_cannot_be_read_is_a_problem(tmp_path):
    async with client_of(f"sqlite:///{tmp_path}/none.db") as client:
        response = await client.get("/progress")
        assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
        with pytest.raises(ScoringApiError, match=r"/progress: store .*has the scoring consumer been started"):
            await anext(follow(client))


async def test_more_streams_than_may_be_are_refused(url, store, monkeypatch):
    monkeypatch.setattr("services.scoring.api.progress.MOST_STREAMS", 0)
    async with client_of(url) as client:
        response = await client.get("/progress")
    assert response.status_code == 503
    assert "follow the store" in response.json()["detail"]


async def test_who_follows_gets_offsets_by_number_and_leaves_out_what_is_no_event():
    body = b': nothing yet\n\ndata: {"next_offsets":{"0":7,"5":1},"unseen_ms":2.5}\n\n'
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert [moved async for moved in follow(client)] == [Moved({0: 7, 5: 1}, 0.0025)]
