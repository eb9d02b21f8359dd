"""The portal's HTTP interface over a log in memory: filing once, limits, and what is answered when the log is away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contracts.records import header_maker
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, DOCUMENTS_REQUESTED, MAX_RECORD_BYTES
from runtime.tracing.recording import Recording
from services.portal.identity import id_of_key
from tests.support.fakes_portal import FakeLog, portal_on
from tests.support.golden import golden

NAME = "passport-database-unreachable"
EXAMPLE: dict[str, Any] = golden(APPLICATIONS_SUBMITTED, NAME).fields
DATA = {name: value for name, value in EXAMPLE.items() if name != "application_id"}
KEY = {"idempotency-key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
async def portal(log: FakeLog) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(log) as client:
        yield client


def client_of(log: FakeLog, **settings: object) -> httpx.AsyncClient:
    """A portal of its own on the same log: one that was started anew."""
    transport = httpx.ASGITransport(portal_on(log, **settings))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8100")


def submissions(log: FakeLog) -> list[Any]:
    return [each for place, of in log._records.items() for each in of if place.topic == APPLICATIONS_SUBMITTED.name]


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    found: dict[str, Any] = response.json()
    return found


async def test_an_application_is_accepted_with_the_link_to_its_status(portal, log):
    response = await portal.post("/applications", json=EXAMPLE)
    assert response.status_code == 202
    [record] = submissions(log)
    assert json.loads(record.value) == EXAMPLE
    assert record.key.decode() == EXAMPLE["application_id"]
    assert dict(record.headers)["ce_id"].decode() == f"{EXAMPLE['application_id']}/submitted"
    assert response.headers["location"] == f"/applications/{EXAMPLE['application_id']}?at={record.offset}"
    assert response.json()["links"]["status"] == response.headers["location"]
    status = (await portal.get(response.headers["location"])).json()
    assert (status["state"], status["complete"]) == ("received", True)


async def test_a_repeated_request_is_one_application_even_after_a_restart(portal, log):
    first = (await portal.post("/applications", json=DATA, headers=KEY)).json()
    again = (await portal.post("/applications", json=DATA, headers=KEY)).json()
    async with client_of(log) as restarted:
        later = (await restarted.post("/applications", json=DATA, headers=KEY)).json()
    assert first["application_id"] == id_of_key("8e03978e-40d5-43dd-bc93-6894a57f9324")
    assert (first["repeated"], again) == (False, {**first, "repeated": True})
    assert later == again
    assert len(submissions(log)) == 1


async def test_a_key_that_was_used_for_another_application_is_refused_even_after_a_restart(portal, log):
    await portal.post("/applications", json=DATA, headers=KEY)
    other = {**DATA, "consent": not DATA["consent"]}
    async with client_of(log) as restarted:
        for one in (portal, restarted):
            found = problem(await one.post("/applications", json=other, headers=KEY), 422)
            assert (found["errors"][0]["field"], found["reason"]) == ("Idempotency-Key", "key_reused")
    named = problem(await portal.post("/applications", json=EXAMPLE, headers=KEY), 422)
    assert named["reason"] == "key_reused"
    assert len(submissions(log)) == 1


async def test_another_application_under_the_same_id_is_a_conflict(portal, log):
    await portal.post("/applications", json=EXAMPLE)
    assert (await portal.post("/applications", json=EXAMPLE)).json()["repeated"]
    found = problem(await portal.post("/applications", json={**EXAMPLE, "assisted": not EXAMPLE["assisted"]}), 409)
    assert found["reason"] == "id_reused"
    assert len(submissions(log)) == 1


async def test_the_same_submission_in_another_clients_json_is_a_repeat(portal, log):
    text = json.dumps(dict(reversed(EXAMPLE.items())), indent=1).encode()
    log.add((APPLICATIONS_SUBMITTED.name, EXAMPLE["application_id"].encode(), text, []))
    assert (await portal.post("/applications", json=EXAMPLE)).json()["repeated"]


async def test_the_same_request_at_the_same_time_is_filed_once(portal, log):
    answers = await asyncio.gather(*(portal.post("/applications", json=DATA, headers=KEY) for _ in range(8)))
    assert len(submissions(log)) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert 202 in {answer.status_code for answer in answers}


async def test_without_a_key_each_request_is_an_application(portal, log):
    names = {(await portal.post("/applications", json=DATA)).json()["application_id"] for _ in range(3)}
    assert len(names) == len(submissions(log)) == 3


async def test_a_fault_is_told_with_field_and_reason_and_nothing_is_written(portal, log):
    found = problem(await portal.post("/applications", json={**DATA, "procedure": "9.999999"}), 422)
    assert (found["reason"], found["errors"][0]["field"]) == ("unknown_procedure", "procedure")
    assert found["instance"] == "/applications"
    assert submissions(log) == []


async def test_a_body_that_is_too_large_is_refused(portal):
    problem(await portal.post("/applications", json={**DATA, "x": "x" * MAX_RECORD_BYTES}), 413)


async def test_a_caller_files_so_often_and_no_more_and_may_still_ask(log):
    async with client_of(log, filings_per_minute=2) as portal:
        codes = [(await portal.post("/applications", json=DATA)).status_code for _ in range(3)]
        refused = await portal.post("/applications", json=DATA)
        assert codes == [202, 202, 429]
        assert 0 < int(refused.headers["retry-after"]) <= 61
        assert problem(refused, 429)["detail"].startswith("over 2 applications a minute")
        assert (await portal.get("/health")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_told_the_right_one(portal, method):
    response = await portal.request(method, "/applications")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


async def test_with_the_broker_away_an_application_is_not_accepted_and_the_id_to_repeat_is_told(portal, log):
    log.away = "the broker did not acknowledge within 5 s"
    response = await portal.post("/applications", json=DATA)
    found = problem(response, 503)
    assert int(response.headers["retry-after"]) > 0
    assert log.away in found["detail"]
    log.away = ""
    again = await portal.post("/applications", json={**DATA, "application_id": found["application_id"]})
    assert again.status_code == 202
    problem(await portal.get(f"/applications/{id_of_key('x')}"), 404)
    log.away = "the broker is away"
    problem(await portal.get(f"/applications/{id_of_key('x')}"), 503)
    problem(await portal.post("/applications", json=DATA, headers=KEY), 503)
    health = await portal.get("/health")
    assert (health.status_code, health.json()["reasons"]) == (503, ["the broker is away"])


async def test_an_unknown_application_is_told_how_far_was_looked(portal):
    found = problem(await portal.get(f"/applications/{id_of_key('nobody')}"), 404)
    assert "not among the newest 600 submissions" in found["detail"]
    problem(await portal.get("/applications/1"), 422)
    problem(await portal.get(f"/applications/{id_of_key('nobody')}?at=-1"), 422)


async def test_a_refused_application_is_found_by_its_id_with_the_reason(portal, log):
    record = log.add((APPLICATIONS_SUBMITTED.name, EXAMPLE["application_id"].encode(), b"{}", []))
    log.set_aside(record, "intake", "breaks_contract")
    found = (await portal.get(f"/applications/{EXAMPLE['application_id']}")).json()
    assert (found["state"], found["refused"]["reason"]) == ("refused", "breaks_contract")


async def test_events_show_records_and_no_citizen_number(portal, log):
    filed = (await portal.post("/applications", json=EXAMPLE)).json()
    page = await portal.get(filed["links"]["events"])
    [event] = page.json()["events"]
    assert (event["topic"], event["offset"]) == (APPLICATIONS_SUBMITTED.name, filed["offset"])
    assert EXAMPLE["citizen_number"] not in page.text


def later(log: FakeLog, topic: Any) -> None:
    fields = golden(topic, NAME).fields
    value = json.dumps(fields).encode()
    log.add((topic.name, fields["application_id"].encode(), value, header_maker("/any", topic.event_type)("id")))


async def test_an_application_begins_its_trace_which_its_events_name(log):
    exporter = InMemorySpanExporter()
    tracing = Recording("portal", SimpleSpanProcessor(exporter))
    transport = httpx.ASGITransport(portal_on(log, tracing))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8100") as portal:
        filed = (await portal.post("/applications", json=EXAMPLE)).json()
        [event] = (await portal.get(filed["links"]["events"])).json()["events"]
    [span] = exporter.get_finished_spans()
    assert span.name == f"send {APPLICATIONS_SUBMITTED.name}"
    assert span.context
    assert event["trace_id"] == f"{span.context.trace_id:032x}"


async def test_a_stream_tells_each_change_and_ends_with_the_outcome(portal, log):
    filed = (await portal.post("/applications", json=EXAMPLE)).json()
    asyncio.get_running_loop().call_later(0.3, later, log, DOCUMENTS_REQUESTED)
    asyncio.get_running_loop().call_later(0.8, later, log, APPLICATIONS_DECIDED)
    response = await portal.get(filed["links"]["stream"], timeout=10)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line[:5] == "data:"]
    assert [event["state"] for event in events] == ["received", "asking", "decided"]


async def test_so_many_streams_and_no_more(log):
    async with client_of(log, streams=1) as portal:
        filed = (await portal.post("/applications", json=EXAMPLE)).json()
        following = asyncio.create_task(portal.get(filed["links"]["stream"], timeout=10))
        await asyncio.sleep(0.3)
        refused = await portal.get(filed["links"]["stream"])
        assert "1 applications are being followed" in problem(refused, 503)["detail"]
        later(log, APPLICATIONS_DECIDED)
        assert (await following).status_code == 200


async def test_tokens_guard_the_portal_but_not_its_health(log):
    async with client_of(log, tokens="a-token-of-the-operator") as portal:
        problem(await portal.post("/applications", json=DATA), 401)
        token = {"authorization": "Bearer a-token-of-the-operator"}
        assert (await portal.post("/applications", json=DATA, headers=token)).status_code == 202
        assert (await portal.get("/health")).status_code == 200
