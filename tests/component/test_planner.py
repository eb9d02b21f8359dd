"""What if over HTTP: the answers of `paperless whatif`, drawn beside the server, and what is said meanwhile."""

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from paperless.planner.app import create_app
from paperless.planner.jobs import Jobs, Working
from paperless.planner.planner import Planner
from paperless.planner.playing import played
from paperless.whatif.answer import answer
from paperless.whatif.levers import load_levers
from paperless.whatif.model import Model, load_model

APPLICATIONS = 2_000
SETTING = {"fee_online": 1.0, "land_data": 0.5}
QUERY = "lever=land_data%3D0.5&lever=fee_online%3D1"


def drawn(province: str | None) -> Model:
    return load_model(province=province, seeds=[1], applications=APPLICATIONS, cache=None)


@pytest.fixture(scope="module")
def model() -> Model:
    return drawn(None)


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    made = Planner(drawn)
    yield made
    made.close()


@pytest.fixture
async def api(planner) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(planner))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8105") as client:
        yield client


async def answered(api: httpx.AsyncClient, path: str, method: str = "GET") -> httpx.Response:
    """Return the answer once it is there; until then it says for how long it has been worked on."""
    for _ in range(800):
        response = await api.request(method, path)
        if response.status_code != 202:
            return response
        assert response.json().keys() == {"since_s"}
        await asyncio.sleep(0.05)
    raise TimeoutError(path)


async def told(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    response = await answered(api, path)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_the_levers_are_there_before_any_day_is_drawn():
    unable = Planner(lambda _: pytest.fail("no day is needed"))
    transport = httpx.ASGITransport(create_app(unable))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8105") as client:
        rows = (await client.get("/levers")).json()["levers"]
        assert (await client.get("/health")).status_code == 200
    assert [row["name"] for row in rows] == list(load_levers())
    assert all(row["low"] == 0 and row["high"] == 1 and row["source"] and row["evidence"] for row in rows)


async def test_an_answer_is_that_of_the_command(api, model):
    expected = answer(model, SETTING, run_by="ministry").to_json()
    found = await told(api, f"/answer?by=ministry&{QUERY}")
    assert found == {name: _plain(value) for name, value in expected.items() if name in found}
    assert expected.keys() - found.keys() == {"levers", "target", "uncertainty"}


async def test_a_target_is_reached_as_the_command_says(api, model):
    expected = answer(model, target=0.6).to_json()
    found = await told(api, "/target?target=0.6")
    assert found["target"] == _plain(expected["target"])
    assert [row["shapley"] for row in found["gains"]] == [row["shapley"] for row in expected["levers"]]


async def test_the_band_goes_over_the_accepted_draws(api, model):
    found = await told(api, f"/uncertainty?{QUERY}")
    d1 = answer(model, SETTING).rates["province"].d1
    assert found["draws"] > 100
    assert found["d1"]["low"] < found["d1"]["middle"] < found["d1"]["high"]
    assert abs(found["d1"]["middle"] - d1) < 0.05


async def test_a_province_is_a_day_of_its_own(api):
    found = await told(api, "/answer?province=79")
    assert (found["place"], [row["code"] for row in found["provinces"]]) == ("79", ["79"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("lever=magic%3D1", "no lever 'magic'"),
        ("lever=fee_online%3D2", "0 (as today) to 1"),
        ("lever=fee_online", "write a number"),
        ("lever=fee_online%3D1&lever=fee_online%3D1", "named twice"),
        ("lever=presence_lifted%3D0.5", "is a decision"),
        ("by=nobody", "province, ministry, all"),
        ("province=99", "99"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_to_write(api, query, said):
    response = await answered(api, f"/answer?{query}")
    assert response.status_code == 422
    assert said in response.json()["detail"]


async def test_without_numpy_the_package_to_install_is_named():
    def load(_: str | None) -> Model:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    transport = httpx.ASGITransport(create_app(Planner(load)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8105") as client:
        response = await answered(client, "/answer")
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert 'pip install "paperless[whatif]"' in response.json()["detail"]


async def test_a_setting_is_played_by_the_command_and_its_words_are_passed_on():
    told = {"rates": {}, "played": {"equal": True, "differing": 0, "verified": True}}
    commands = list[Sequence[str]]()

    def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        commands.append(command)
        if "79" in command:
            return subprocess.CompletedProcess(command, 2, "", "starting\nno memory is free")
        return subprocess.CompletedProcess(command, 0, json.dumps(told), "")

    transport = httpx.ASGITransport(create_app(Planner(drawn, partial(played, run=run))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8105") as client:
        found = await answered(client, f"/play?{QUERY}", "POST")
        refused = await answered(client, "/play?province=79", "POST")
        assert (await client.get("/play")).status_code == 405
    assert found.json() == {"rates": {}, **told["played"]}
    words = ("--play", "--json", "--lever", "fee_online=1", "--lever", "land_data=0.5", "--cache")
    assert [word for word in commands[0] if word in words] == list(words)
    assert (refused.status_code, refused.json()["detail"]) == (503, "no memory is free")


async def test_where_no_system_can_be_started_the_page_is_told_so():
    transport = httpx.ASGITransport(create_app(Planner(drawn, None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8105") as client:
        assert (await client.get("/levers")).json()["plays"] is False
        assert (await client.post("/play")).status_code == 422


def test_who_asks_meanwhile_is_told_for_how_long_and_the_work_is_done_once():
    now, done, gate = [5.0], [0], threading.Event()

    def work() -> int:
        gate.wait(10)
        done[0] += 1
        return done[0]

    jobs: Jobs[int] = Jobs(1, lambda: now[0])
    jobs.get("one", work)
    now[0] = 7.5
    assert jobs.get("one", work) == Working(2.5)
    gate.set()
    while isinstance(found := jobs.get("one", work), Working):
        pass
    assert (found, done) == (1, [1])
    jobs.close()


def test_only_what_was_asked_for_last_is_kept_and_a_failure_is_tried_again():
    done = list[str]()

    def work(name: str) -> str:
        done.append(name)
        if done.count(name) == 1:
            raise KeyError(name)
        return name

    def ask(name: str) -> str:
        while isinstance(found := jobs.get(name, lambda: work(name)), Working):
            pass
        return found

    jobs: Jobs[str] = Jobs(1)
    for name in ("one", "two"):
        with pytest.raises(KeyError):
            ask(name)
        assert ask(name) == name
    assert ask("two") == "two"
    assert done == ["one", "one", "two", "two"]
    assert ask("one") == "one"
    assert done[4:] == ["one"]
    jobs.close()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: lists, no tuples."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
