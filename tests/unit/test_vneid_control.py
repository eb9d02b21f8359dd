"""The control API: an operator reads and changes the plan, and every change is on record."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest
from pydantic import SecretStr

from runtime.errors import FatalError
from services.vneid_mock import control
from services.vneid_mock.app import build
from services.vneid_mock.control import MAX_BODY_BYTES, PlanState, control_app
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.settings import VneidSettings

TOKEN = "a-token-of-the-operator"


@pytest.fixture
def state() -> PlanState:
    return PlanState(load_plan("mild"), seed=7)


@pytest.fixture
async def client(state: PlanState) -> AsyncIterator[httpx.AsyncClient]:
    app = control_app(state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        yield client


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert {"type", "title", "detail"} <= set(body)
    return body


async def test_an_operator_reads_the_plan_in_force(client):
    body = (await client.get("/plan")).json()
    assert body == {"plan": load_plan("mild").model_dump(mode="json"), "seed": 7, "changed_by_hand": 0}


async def test_an_operator_sees_the_menu_of_plans(client):
    plans = (await client.get("/plans")).json()["plans"]
    assert [plan["name"] for plan in plans] == ["calm", "mild", "rough"]


async def test_the_schema_accepts_every_named_plan(client):
    response = await client.get("/plan/schema")
    schema = response.json()
    jsonschema.Draft202012Validator.check_schema(schema)
    for plan in (await client.get("/plans")).json()["plans"]:
        jsonschema.validate(plan, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "silent_share": 2}, schema)


async def test_a_named_plan_takes_force_and_is_counted(client, state):
    body = (await client.put("/plan", json={"name": "rough"})).json()
    assert state.plan is load_plan("rough")
    assert (body["plan"]["name"], body["changed_by_hand"]) == ("rough", 1)


async def test_a_whole_plan_replaces_every_field(client, state):
    await client.put("/plan", json={"name": "mine", "silent_share": 0.5})
    assert (state.plan.name, state.plan.silent_share, state.plan.late_answer_share) == ("mine", 0.5, 0.0)


async def test_a_patch_changes_the_given_fields_only(client, state):
    await client.patch("/plan", json={"unreachable": {"dat_dai": 0.2}})
    assert state.plan.unreachable == {"dat_dai": 0.2}
    assert state.plan.late_answer_share == load_plan("mild").late_answer_share
    override = {"match": {"province": "01"}, "set": {"silent_share": 0.9}}
    await client.patch("/plan", json={"overrides": [override]})
    await client.patch("/plan", json={"slow_share": 0.02})
    body = (await client.get("/plan")).json()
    assert body["plan"]["overrides"][0]["set"] == {"silent_share": 0.9}
    assert body["changed_by_hand"] == 3


async def test_a_change_that_changes_nothing_is_not_counted(client, state):
    await client.put("/plan", json={"name": "mild"})
    await client.patch("/plan", json={"silent_share": load_plan("mild").silent_share})
    await client.post("/plan/reset")
    assert state.changed_by_hand == 0


async def test_a_reset_brings_the_first_plan_back_but_stays_on_record(client, state):
    await client.put("/plan", json={"name": "rough"})
    body = (await client.post("/plan/reset")).json()
    assert body["plan"]["name"] == "mild"
    assert body["changed_by_hand"] == 2


async def test_a_bad_field_is_named_and_nothing_changes(client, state):
    response = await client.patch("/plan", json={"silent_share": 1.5, "silence": 1})
    body = problem(response)
    assert response.status_code == 422
    assert {error["key"] for error in body["errors"]} == {"silent_share", "silence"}
    assert all(error["remedy"] for error in body["errors"])
    assert (state.plan, state.changed_by_hand) == (load_plan("mild"), 0)


@pytest.mark.parametrize("name", ["stormy", "/etc/plan.toml"])
async def test_an_unknown_plan_is_not_found(client, name):
    response = await client.put("/plan", json={"name": name})
    assert response.status_code == 404
    assert "calm, mild, rough" in problem(response)["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b"\xff", 400),
        (b"[" * 50_000, 400),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
    ids=["half", "list", "bytes", "deep", "large"],
)
async def test_a_body_that_is_no_plan_is_refused(client, body, status):
    response = await client.put("/plan", content=body)
    assert response.status_code == status
    assert problem(response)["detail"].startswith("body: ")


async def test_a_wrong_method_or_path_is_a_problem_document_too(client):
    response = await client.delete("/plan")
    assert (response.status_code, problem(response)["title"]) == (405, "Method Not Allowed")
    assert response.headers["allow"] == "GET, PATCH, PUT"
    assert problem(await client.get("/nothing"))["title"] == "Not Found"


async def test_health_is_served_beside_the_plan():
    async with mock() as client:
        assert (await client.get("/health")).json()["plan"] == "mild"
        assert "paperless_member_ready 0.0" in (await client.get("/metrics")).text


async def test_who_names_metrics_is_told_of_them_only():
    async with mock() as client:
        asked = {"name[]": ["paperless_member_ready", "paperless_dead_letters_total", "no_such_metric"]}
        samples = [line for line in (await client.get("/metrics", params=asked)).text.splitlines() if line[0] != "#"]
    assert samples == ["paperless_member_ready 0.0"]


def test_a_seed_beyond_64_bits_is_refused_at_the_start():
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        PlanState(load_plan("calm"), seed=2**64)


async def test_a_body_that_never_ends_is_given_up(client, monkeypatch):
    monkeypatch.setattr(control, "BODY_WITHIN_S", 0.01)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    response = await client.put("/plan", content=body())
    assert response.status_code == 408
    assert problem(response)["detail"].startswith("body: not here after")


def mock(**settings: Any) -> httpx.AsyncClient:
    app: Any = build(VneidSettings(**settings)).app
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/plan", "/plans", "/plan/reset", "/plan/schema"])
async def test_no_part_of_the_control_api_opens_without_the_operators_token(path):
    async with mock(http_host="0.0.0.0", control_tokens=SecretStr(TOKEN)) as client:
        method = "POST" if path == "/plan/reset" else "GET"
        assert (await client.request(method, path)).status_code == 401
        opened = await client.request(method, path, headers={"authorization": f"Bearer {TOKEN}"})
        assert opened.status_code == 200


async def test_an_operator_who_asks_too_often_is_told_so():
    async with mock(control_per_minute=1) as client:
        assert [(await client.get("/plan")).status_code for _ in range(2)] == [200, 429]


def test_a_mock_that_others_reach_does_not_start_without_a_token():
    with pytest.raises(FatalError, match="VNEID_CONTROL_TOKENS_FILE"):
        build(VneidSettings(http_host="0.0.0.0"))


def test_the_demo_says_that_its_mock_is_open():
    assert build(VneidSettings(http_host="0.0.0.0", control_open=True)).plan.changed_by_hand == 0
