"""The portal as a process, beside the services, on a broker: filed, followed, refused, and the broker away."""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.http_client import async_http_client
from paperless.local.broker import EmbeddedBroker
from paperless.local.ports import Ports
from paperless.traffic.personas import persona
from services.portal.identity import id_of_key
from tests.support.brokers import Broker
from tests.support.service_flow import Flow, flow_on, producer_of

pytestmark = pytest.mark.timeout(120)
WITHIN_S = 30


async def start_portal(flow: Flow, **options: object) -> Any:
    service = flow.start("portal", **options)
    await service.ready()
    return service


async def settled(portal: httpx.AsyncClient, link: str) -> dict[str, Any]:
    """The status, once it is decided or refused."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await portal.get(link)
            status: dict[str, Any] = answer.json()
            if answer.status_code == 200 and status["state"] in {"decided", "refused"}:
                return status
            await asyncio.sleep(0.1)


async def test_an_application_is_filed_and_followed_to_its_outcome(broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow:
        service = await start_portal(flow)
        await flow.start_all()
        async with async_http_client(service.url, timeout_s=15) as portal:
            key = {"idempotency-key": f'"{uuid.uuid4()}"'}
            for name in ("birth", "passport", "patience"):
                filed = await portal.post("/applications", json=dict(persona(name).application))
                assert filed.status_code == 202, filed.text
                status = await settled(portal, filed.json()["links"]["status"])
                assert status["decided"]["outcome"] in persona(name).expects
                assert status["decided"]["presumed"] == persona(name).presumed
                events = (await portal.get(filed.json()["links"]["events"])).json()["events"]
                assert [event["topic"] for event in events][:: len(events) - 1] == [
                    APPLICATIONS_SUBMITTED.name,
                    "applications.decided",
                ]
            first = (await portal.post("/applications", json=dict(persona("land").application), headers=key)).json()
        service.kill()
        restarted = await start_portal(flow)
        async with async_http_client(restarted.url, timeout_s=15) as portal:
            again = (await portal.post("/applications", json=dict(persona("land").application), headers=key)).json()
            assert again == {**first, "repeated": True}
            other = await portal.post("/applications", json=dict(persona("birth").application), headers=key)
            assert (other.status_code, other.json()["reason"]) == (422, "key_reused")
            by_id_alone = await settled(portal, f"/applications/{first['application_id']}")
            assert by_id_alone["decided"]["outcome"] == "partly_online"


async def test_what_another_client_filed_wrongly_is_found_as_refused(broker, tmp_path):
    async with flow_on(broker, tmp_path) as flow:
        service = await start_portal(flow)
        await flow.start_all()
        name = id_of_key(str(uuid.uuid4()))
        wrong = json.dumps({**persona("birth").application, "application_id": name, "procedure": "9.999999"}).encode()
        async with producer_of(flow) as producer:
            await producer.send_and_wait(APPLICATIONS_SUBMITTED.name, wrong, key=name.encode())
        async with async_http_client(service.url, timeout_s=15) as portal:
            status = await settled(portal, f"/applications/{name}")
        assert (status["state"], status["refused"]["reason"]) == ("refused", "unknown_procedure")


@pytest.fixture
async def pausable(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(Ports().take("broker"), tmp_path / "pausable.log")
    await broker.start()
    yield broker
    await broker.stop()


async def test_a_broker_that_stands_still_is_told_at_once_and_all_goes_on_with_it(pausable, tmp_path):
    async with flow_on(Broker.embedded(pausable), tmp_path) as flow:
        service = await start_portal(flow, filed_within_s=1, read_within_s=1)
        async with async_http_client(service.url, timeout_s=15) as portal:
            os.kill(pausable.child.pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                refused = await portal.post("/applications", json=dict(persona("birth").application))
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
                assert time.monotonic() - began < 4
                async with asyncio.timeout(8):
                    await service.wait_until(lambda health: not health["ready"])
                assert "does not answer" in (await portal.get("/health")).json()["reasons"][0]
            finally:
                os.kill(pausable.child.pid, signal.SIGCONT)
            await service.ready()
            name = refused.json()["application_id"]
            again = await portal.post("/applications", json={**persona("birth").application, "application_id": name})
            assert again.status_code == 202


async def test_a_stream_ends_when_the_portal_is_told_to_stop(embedded, tmp_path):
    async with flow_on(embedded, tmp_path) as flow:
        service = await start_portal(flow)
        async with async_http_client(service.url, timeout_s=15) as portal:
            filed = (await portal.post("/applications", json=dict(persona("birth").application))).json()
            async with portal.stream("GET", filed["links"]["stream"]) as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: status"
                service.process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                async for _ in lines:
                    pass
        assert await service.exit_code() == 0
        assert time.monotonic() - began < 5


async def test_a_body_that_never_ends_and_many_connections_do_not_stop_it(embedded, tmp_path):
    async with flow_on(embedded, tmp_path) as flow:
        service = await start_portal(flow)
        slow = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(50)]
        for _, writer in slow:
            head = b"POST /applications HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            writer.write(head + b"content-length: 60000\r\n\r\n{")
        async with async_http_client(service.url, timeout_s=15) as portal:
            assert (await portal.get("/health")).status_code == 200
            filed = await portal.post("/applications", json=dict(persona("birth").application))
            assert filed.status_code == 202
        reader, _ = slow[0]
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        for _, writer in slow:
            writer.close()
