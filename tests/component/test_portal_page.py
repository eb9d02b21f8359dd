"""The page's own part of the portal: its files, what it passes on, and the stream of ticks, over parts in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from paperless.planner.app import create_app as planner_app
from paperless.planner.planner import Planner
from paperless.whatif.levers import LeverError
from runtime.metrics import metric_name
from services.portal.figures import FLOW_METRICS
from services.portal.live import Live
from services.portal.parts import Part, PartsOfSystem
from services.portal.problems import TooManyStreamsError
from services.scoring.api.app import create_app
from services.scoring.app import METRICS as METRICS_OF_SCORING
from services.scoring.store.engines import open_session
from services.scoring.store.publication import publish
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from services.vneid_mock.control import PlanState, control_app
from services.vneid_mock.plan_files import load_plan
from tests.support.fakes_portal import FakeLog, portal_on
from tests.support.scoring_examples import BIRTH, as_log, decided

MANY = 1_000_000
METRICS = """# TYPE paperless_window_open_records gauge
paperless_window_open_records{partition="0"} 3.0
paperless_window_open_records{partition="1"} 4.0
# TYPE paperless_consumer_lag_records gauge
paperless_consumer_lag_records{topic="a",partition="0"} 20.0
# TYPE paperless_dead_letters counter
paperless_dead_letters_total{topic="a",reason="not_json"} 2.0
# TYPE scoring_outcomes counter
scoring_outcomes_total{result="applied"} 90.0
scoring_outcomes_total{result="overruled"} 5.0
"""


class Counted(httpx.AsyncBaseTransport):
    """Carries requests to an app in this process, and counts them by path; `away` is a part that does not answer."""

    def __init__(self, app: Any) -> None:
        self._inside = httpx.ASGITransport(app)
        self.paths: list[str] = []
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        return await self._inside.handle_async_request(request)


async def metrics_app(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": METRICS.encode()})


def no_day(province: str | None) -> Any:
    raise LeverError(f"no day of {province}")


class World:
    """A store with outcomes, a mock with its plan, a service with metrics, and the parts by which they are asked."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/scoring.db"
        self.store = Store(self.url)
        self.plan = PlanState(load_plan("mild"), seed=7)
        self.scoring = Counted(create_app(StoreReader(self.url), per_minute=MANY))
        self.mock = Counted(control_app(self.plan, per_minute=MANY))
        self.service = Counted(metrics_app)
        self.planner = Counted(planner_app(Planner(no_day)))
        self.parts = PartsOfSystem(
            Part("the scoring API", "http://localhost:1", transport=self.scoring),
            Part("the VNeID mock", "http://localhost:2", transport=self.mock),
            Part("the planner", "http://localhost:4", transport=self.planner),
            (Part("intake", "http://localhost:3", transport=self.service),),
        )
        self.decided = 0

    def decide(self, many: int) -> None:
        numbers = range(self.decided + 1, self.decided + many + 1)
        self.store.apply(as_log([decided(number, procedure=BIRTH) for number in range(1, numbers[-1] + 1)]))
        self.decided += many


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path)
    with made.store:
        yield made


@pytest.fixture
async def portal(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = portal_on(FakeLog(), None, world.parts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8100") as client:
        yield client


def problem(response: httpx.Response, status: int) -> str:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    return str(response.json()["detail"])


async def test_the_page_is_served_with_a_policy_that_lets_nothing_in(portal):
    response = await portal.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    script = await portal.get("/web/app.js")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert (await portal.get("/web/../app.py")).status_code == 404


async def test_the_page_opens_without_a_token_and_what_it_shows_does_not():
    app = portal_on(FakeLog(), tokens="a-token-of-the-operator")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8100") as portal:
        assert (await portal.get("/")).status_code == (await portal.get("/web/style.css")).status_code == 200
        for path in ("/scoring/rates", "/mock/plan", "/stream", "/stream/history"):
            problem(await portal.get(path), 401)


def test_the_metrics_that_the_page_asks_for_are_declared():
    assert {metric_name(metric, "scoring") for metric in METRICS_OF_SCORING} >= FLOW_METRICS.keys()


async def test_tables_are_passed_on_with_their_query_and_form(portal, world):
    world.decide(3)
    table = (await portal.get("/scoring/rates?authority=province")).json()
    assert table["total"]["rates"]["d1"]["denominator"] == 3
    sets = (await portal.get("/scoring/why/sets?province=01")).json()
    assert (sets["applications"], sets["end_to_end"], sets["sets"]) == (3, 3, [])
    assert (await portal.get("/scoring/why?province=01&format=csv")).headers["content-type"].startswith("text/csv")
    assert problem(await portal.get("/scoring/rates/00"), 404)


# The last two are dots that the client of this test leaves alone and a server reads as such.
@pytest.mark.parametrize("path", ["reading", "", "rates/%2e%2e/reading", "applications/%2E%2E%2Freading"])
async def test_only_tables_are_passed_on(portal, world, path):
    assert "the page asks for" in problem(await portal.get(f"/scoring/{path}"), 404)
    assert world.scoring.paths == []


async def test_what_if_is_asked_of_the_planner(portal, world):
    levers = (await portal.get("/planner/levers")).json()["levers"]
    assert len(levers) == 17
    assert "target=2" in problem(await portal.get("/planner/answer?target=2"), 422)
    assert problem(await portal.post("/planner/play?lever=x"), 422)
    assert world.planner.paths == ["/levers", "/answer", "/play"]
    assert "the page asks for" in problem(await portal.get("/planner/metrics"), 404)


@pytest.mark.parametrize(
    ("name", "there", "not_there"), [("scoring", "/rates", "/reading"), ("mock", "/plan", "/plan/schema")]
)
async def test_the_apis_behind_have_pages_of_what_is_passed_on(portal, world, name, there, not_there):
    world.decide(1)
    document = (await portal.get(f"/{name}/openapi.json")).json()
    assert document["servers"] == [{"url": f"/{name}"}]
    assert there in document["paths"]
    assert not_there not in document["paths"]
    for path in document["paths"]:
        assert (await portal.get(f"/{name}{path}")).status_code != 404 or "{" in path
    page = (await portal.get(f"/{name}/docs")).text
    assert f"/{name}/openapi.json" in page
    assert "://" not in page.replace("http://www.w3.org", "")


async def test_where_tokens_are_asked_for_no_page_asks_without_them(world):
    app = portal_on(FakeLog(), None, world.parts, tokens="a-token-of-the-operator")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8100") as portal:
        portal.headers["authorization"] = "Bearer a-token-of-the-operator"
        problem(await portal.get("/scoring/docs"), 404)
        assert (await portal.get("/scoring/openapi.json")).status_code == 200


async def test_the_fault_plan_is_read_changed_and_reset(portal, world):
    changed = await portal.patch("/mock/plan", json={"unreachable": {"dat_dai": 0.5}})
    assert changed.json()["plan"]["unreachable"] == {"dat_dai": 0.5}
    assert (await portal.get("/mock/plan")).json()["changed_by_hand"] == 1
    assert (await portal.put("/mock/plan", json={"name": "rough"})).json()["plan"]["name"] == "rough"
    assert (await portal.post("/mock/plan/reset")).json()["plan"]["name"] == "mild"
    assert [each["name"] for each in (await portal.get("/mock/plans")).json()["plans"]] == ["calm", "mild", "rough"]
    assert "late_answer_share" in problem(await portal.patch("/mock/plan", json={"late_answer_share": 2}), 422)


async def test_a_part_that_is_away_is_named(portal, world):
    world.scoring.away = world.mock.away = True
    response = await portal.get("/scoring/rates")
    assert problem(response, 503).startswith("the scoring API: does not answer")
    assert int(response.headers["retry-after"]) > 0
    assert problem(await portal.get("/mock/plan"), 503).startswith("the VNeID mock: does not answer")


async def test_a_part_that_the_portal_was_not_told_of_is_named():
    transport = httpx.ASGITransport(portal_on(FakeLog()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8100") as portal:
        assert "was not told where it is" in problem(await portal.get("/scoring/rates"), 503)


async def test_a_token_that_a_part_asks_for_is_not_the_callers_matter():
    app = control_app(PlanState(load_plan("mild"), seed=7), tokens=(b"digest",))
    mock = Part("the VNeID mock", "http://localhost:2", transport=httpx.ASGITransport(app))
    system = PartsOfSystem.nowhere()._replace(mock=mock)
    transport = httpx.ASGITransport(portal_on(FakeLog(), None, system))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8100") as portal:
        assert "asks for a token" in problem(await portal.get("/mock/plan"), 503)


async def ticks(
    live: Live,
    many: int,
    meanwhile: Callable[[int], object] = lambda _: None,
    enough: Callable[[Any], bool] = lambda _: True,
) -> list[dict[str, Any]]:
    """Return so many ticks at least, the last of which is `enough`; `meanwhile` is called with the number of each."""
    found: list[dict[str, Any]] = []
    async with aclosing(live.follow()) as events, asyncio.timeout(30):  # type: ignore[type-var]
        async for event in events:
            if event.startswith(b"event: tick"):
                assert len(event) <= 4096
                found.append(json.loads(event.partition(b"data: ")[2]))
                meanwhile(len(found))
                if len(found) >= many and enough(found[-1]):
                    break
    return found


async def first_tick(events: AsyncIterator[bytes]) -> None:
    """Read a stream, which stays open, until the version of the store is known."""
    async for event in events:
        if event.startswith(b"event: tick"):
            return


async def test_a_tick_comes_at_once_and_then_when_something_moves(world):
    world.decide(2)
    live = Live(world.parts, most=1, every_s=0.05)

    def move(number: int) -> None:
        if number == 1:
            world.decide(3)

    first, *later = await ticks(live, 2, move, lambda tick: tick["rows"][0][2] == 5)
    country = first["rows"][0]
    assert (country[0], country[2], country[3]) == ("national", 2, 2)
    assert any(tick["per_s"] > 0 for tick in later)
    flow = {"open": 7, "lag": 20, "overruled": 5, "dead_letters": 2, "away": []}
    assert (first["flow"], first["trouble"], first["plan"]) == (flow, [], "mild")
    assert [row[0] for row in first["rows"][1:3]] == ["01", "04"]


async def test_a_change_of_the_plan_is_a_tick_and_a_mark_of_the_time_line(world):
    live = Live(world.parts, most=1, every_s=0.05)

    def break_it(number: int) -> None:
        if number == 1:
            world.plan.change(load_plan("rough"))

    _, second = await ticks(live, 2, break_it)
    assert (second["plan"], second["changed_by_hand"]) == ("rough", 1)
    [(_, changes)] = live.history()["marks"]
    assert changes["unreachable"] == {"dat_dai": 0.05}
    assert changes["late_answer_share"] == 0.1


async def test_while_nobody_listens_nobody_is_asked(world):
    world.decide(1)
    live = Live(world.parts, most=1, every_s=0.01)
    await ticks(live, 1)
    assert live.listening == 0
    await asyncio.sleep(0.1)
    asked = len(world.scoring.paths)
    await asyncio.sleep(0.1)
    assert len(world.scoring.paths) == asked


async def test_the_rates_are_asked_for_only_when_the_store_has_moved(world):
    world.decide(1)
    live = Live(world.parts, most=1, every_s=0.01)

    async def wait() -> None:
        async with aclosing(live.follow()) as events:  # type: ignore[type-var]
            async for _ in events:
                if world.scoring.paths.count("/health") > 5:
                    return

    async with asyncio.timeout(30):
        await asyncio.gather(wait(), asyncio.sleep(0.2))
    assert world.scoring.paths.count("/rates") == 1


async def test_a_part_that_is_away_is_told_and_its_figures_stay(world):
    world.decide(2)
    live = Live(world.parts, most=1, every_s=0.02)

    def away(number: int) -> None:
        world.scoring.away = world.service.away = number == 1

    first, second = await ticks(live, 2, away)
    assert second["trouble"] == ["the scoring API"]
    assert second["flow"]["away"] == ["intake"]
    assert second["rows"] == first["rows"]


async def test_a_stream_ends_when_the_process_is_to_end(world):
    stopping = False
    live = Live(world.parts, most=1, stopping=lambda: stopping, every_s=0.02)
    events = []
    async with asyncio.timeout(30):
        async for event in live.follow():
            events.append(event)
            stopping = event.startswith(b"event: tick")
    assert events[-1] == b"event: end\ndata: {}\n\n"


async def test_more_watchers_than_allowed_are_refused(world):
    live = Live(world.parts, most=1, every_s=0.02)
    async with aclosing(live.follow()) as events:  # type: ignore[type-var]
        await anext(events)
        with pytest.raises(TooManyStreamsError, match="1 "):
            live.follow()


async def test_twenty_who_watch_ask_the_scoring_api_once(world):
    world.decide(3)
    live = Live(world.parts, most=20, every_s=0.02)

    async with aclosing(live.follow()) as events:  # type: ignore[type-var]
        await first_tick(events)
        before = world.scoring.paths.count("/why")
        answers = await asyncio.gather(*(live.tables.get("/why", "province=01", "application/json") for _ in range(20)))
        assert len({answer.body for answer in answers}) == 1
        assert world.scoring.paths.count("/why") == before + 1


async def test_a_month_that_is_published_is_shown_though_the_store_stands_still(world):
    world.decide(3)
    live = Live(world.parts, most=1, every_s=0.02)
    async with aclosing(live.follow()) as events:  # type: ignore[type-var]
        await first_tick(events)
        assert json.loads((await live.tables.get("/publications")).body) == []
        with closing(open_session(world.url)) as session:
            month = publish(session, "2025-10", datetime(2025, 11, 1, tzinfo=UTC)).month
        assert [each["month"] for each in json.loads((await live.tables.get("/publications")).body)] == [month]


def test_a_tick_of_a_large_run_fits(world):
    """34 provinces with six digits each."""
    row = ["79", 34, 999_999, 199_999, 899_999, 999_999, 99_999, 99_999_999, *[99_999] * 8]
    text = json.dumps({"rows": [row] * 35, "flow": {"open": 99_999, "lag": 999_999}}, separators=(",", ":"))
    assert len(text) < 4000
