"""Traces as a collector sees them: several processes, a broker between them, spans over the wire."""

import asyncio
import json
import signal
from typing import Any

import pytest

from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
)
from domain import load_domain
from paperless.population.scenario import load_scenario
from paperless.traffic.driver import DrivePlan, drive
from tests.support.brokers import Broker
from tests.support.otlp_receiver import Receiver, black_hole, receiving
from tests.support.service_flow import Flow, flow_on
from tests.support.service_processes import Service

APPLICATIONS, SHARE, WITHIN_S = 600, 0.1, 30
SUBMITTED, REQUESTED = APPLICATIONS_SUBMITTED.name, DOCUMENTS_REQUESTED.name
PROVIDED, DECIDED = DOCUMENTS_PROVIDED.name, APPLICATIONS_DECIDED.name
CORRECTED = CORRECTIONS_REQUESTED.name
# What every run has; `calm` answers at once and completely.
CALM_EDGES = {
    ("-", f"driver: send {SUBMITTED}"),
    (f"driver: send {SUBMITTED}", f"intake: process {SUBMITTED}"),
    (f"intake: process {SUBMITTED}", f"intake: send {REQUESTED}"),
    # Refused at filing, or nothing to look up.
    (f"intake: process {SUBMITTED}", f"intake: send {DECIDED}"),
    (f"intake: send {REQUESTED}", f"vneid_mock: process {REQUESTED}"),
    (f"vneid_mock: process {REQUESTED}", f"vneid_mock: send {PROVIDED}"),
    (f"vneid_mock: send {PROVIDED}", f"intake: process {PROVIDED}"),
    (f"intake: process {PROVIDED}", f"intake: send {DECIDED}"),
    (f"intake: send {DECIDED}", f"scoring: process {DECIDED}"),
    # What a database lacks has no reason to wait for a fault.
    (f"intake: process {PROVIDED}", f"intake: send {CORRECTED}"),
    (f"intake: send {CORRECTED}", f"vneid_mock: process {CORRECTED}"),
    ("scoring: process batch", "scoring: apply outcome"),
    *{("-", f"{service}: process batch") for service in ("intake", "vneid_mock", "scoring")},
}


@pytest.fixture
def sampled(monkeypatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(SHARE))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")


async def send_day(broker: Broker) -> None:
    scenario = load_scenario("national-day", load_domain())
    plan = DrivePlan(scenario=scenario, seed=3, applications=APPLICATIONS)
    await drive(plan, access=broker.access)


async def all_idle(services: list[Service]) -> None:
    for service in services:
        await service.wait_until(_idle)


def _idle(health: dict[str, Any]) -> bool:
    return bool(health["ready"]) and health["open"] == 0 and not any(health["lag"].values())


async def stop_all(services: list[Service]) -> list[int]:
    for service in services:
        service.process.send_signal(signal.SIGTERM)
    return await asyncio.gather(*[service.exit_code() for service in services])


async def play(flow: Flow, broker: Broker, **of_the_driver: str) -> list[Service]:
    services = [flow.start("intake"), flow.start("vneid_mock", plan="calm"), flow.start("scoring")]
    await asyncio.gather(*[service.ready() for service in services])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in of_the_driver.items():
            patch.setenv(name, value)
        await send_day(broker)
    await flow.read(DECIDED, APPLICATIONS)
    await all_idle(services)
    return services


def stored_traces(receiver: Receiver) -> set[bytes]:
    return {span.trace_id for span in receiver.spans() if span.name == f"scoring: process {DECIDED}"}


def assert_all_json(service: Service, name: str) -> None:
    lines = [json.loads(line) for line in service.log.read_text("utf-8").splitlines()]
    assert lines
    assert {line["service"] for line in lines} == {name}
    assert all(line["level"] and line["timestamp"].endswith("Z") and line["event"] for line in lines)


@pytest.mark.slow(reason="starts every service, and six hundred applications pass through them")
@pytest.mark.usefixtures("sampled")
async def test_every_sampled_application_is_one_whole_trace(embedded: Broker, tmp_path, monkeypatch):
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        async with flow_on(embedded, tmp_path) as flow:
            services = await play(flow, embedded)
            assert await stop_all(services) == [0, 0, 0]
        assert receiver.edges() == CALM_EDGES
        filed = {span.trace_id: span.key for span in receiver.spans() if span.name == f"driver: send {SUBMITTED}"}
        assert 0.4 * SHARE * APPLICATIONS < len(filed) < 2 * SHARE * APPLICATIONS
        assert stored_traces(receiver) == filed.keys()
        assert {span.key for span in receiver.spans() if span.trace_id in filed} == set(filed.values())
        for service, name in zip(services, ("intake", "vneid_mock", "scoring"), strict=True):
            assert_all_json(service, name)


@pytest.mark.slow(reason="a stop waits for the viewer as long as tracing allows")
@pytest.mark.usefixtures("sampled")
async def test_a_viewer_that_does_not_answer_holds_nothing_up(embedded: Broker, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    with black_hole() as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        async with flow_on(embedded, tmp_path) as flow:
            services = await play(flow, embedded, OTEL_EXPORTER_OTLP_TIMEOUT="1")
            async with asyncio.timeout(WITHIN_S):
                assert await stop_all(services) == [0, 0, 0]
