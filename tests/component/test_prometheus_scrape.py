"""A real Prometheus scrapes the real services with our configuration, and has every metric that they declare."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import yaml
from testcontainers.core.container import DockerContainer

from contracts.topics import APPLICATIONS_DECIDED
from paperless.http_client import async_http_client
from paperless.local.ports import Ports
from paperless.testing.engine import free_port
from runtime.metrics import metric_name
from tests.support.brokers import Broker
from tests.support.observe_files import OBSERVE, declared, processes_of, rules
from tests.support.service_flow import CONSUMERS, EVENTS, file_all, flow_on, producer_of, send_poison

pytestmark = [pytest.mark.container, pytest.mark.timeout(180)]

IMAGE, WITHIN_S = "prom/prometheus:v2.53.3", 60
JOBS = {"portal", "intake", "vneid_mock", "scoring", "scoring_api"}
FOLDER = "/etc/prometheus"


class Prometheus:
    """What its HTTP API says."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    async def get(self, path: str, **parameters: str) -> Any:
        async with async_http_client(timeout_s=5) as client:
            answer = await client.get(f"{self.address}{path}", params=parameters)
        return answer.json()["data"] if answer.status_code == 200 else None

    async def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/api/v1/query", query=expression) or {}).get("result", [])
        return found

    async def eventually(self, expression: str, count: int = 1) -> list[dict[str, Any]]:
        """Ask until there are so many series."""
        found: list[dict[str, Any]] = []
        for _ in range(WITHIN_S * 4):
            try:
                found = await self.query(expression)
            except httpx.TransportError:
                found = []
            if len(found) >= count:
                return found
            await asyncio.sleep(0.25)
        pytest.fail(f"{expression}: {len(found)} series within {WITHIN_S} s, {count} are expected")


def configuration(ports: dict[str, int]) -> str:
    """Return our configuration with addresses of 127.0.0.1 instead of names that only compose resolves."""
    given = yaml.safe_load((OBSERVE / "prometheus.yml").read_text("utf-8"))
    assert {job["job_name"] for job in given["scrape_configs"]} == JOBS == ports.keys()
    given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in given["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    return yaml.safe_dump(given)


@contextmanager
def prometheus_of(ports: dict[str, int]) -> Iterator[Prometheus]:
    port = free_port()
    container = (
        DockerContainer(IMAGE, network_mode="host")
        .with_copy_into_container(configuration(ports).encode(), f"{FOLDER}/prometheus.yml")
        .with_copy_into_container((OBSERVE / "alerts.yml").read_bytes(), f"{FOLDER}/alerts.yml")
        .with_command(
            [
                f"--config.file={FOLDER}/prometheus.yml",
                f"--web.listen-address=127.0.0.1:{port}",
                "--storage.tsdb.path=/prometheus",
            ]
        )
    )
    with container:
        try:
            yield Prometheus(port)
        except BaseException:
            print(b"".join(container.get_logs()).decode())  # noqa: T201  pytest shows it with the failure
            raise


@pytest.fixture
def api(tmp_path) -> Iterator[int]:
    """The scoring API as a process, on the store that the services of this test write."""
    port = Ports().take("scoring_api")
    env = {"SCORING_API_STORE": f"sqlite:///{tmp_path / 'scoring.db'}", "SCORING_API_HTTP_PORT": str(port)}
    with (tmp_path / "api.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.scoring.api"], env={**os.environ, **env}, stdout=log, stderr=log
        )
    yield port
    process.terminate()
    process.wait(20)


@pytest.mark.slow(reason="starts Prometheus, which scrapes each process once a second")
async def test_prometheus_has_every_declared_metric(embedded: Broker, api: int, tmp_path):
    async with flow_on(embedded, tmp_path) as flow:
        async with producer_of(flow) as producer:
            await send_poison(producer)
        services = [flow.start("portal"), *await flow.start_all()]
        await services[0].ready()
        ports = dict(zip(("portal", *CONSUMERS), [service.port for service in services], strict=True))
        await file_all(flow, EVENTS)
        async with async_http_client(services[0].url, timeout_s=5) as client:
            # The same once more; of the other one's id the broken records came first.
            assert (await client.post("/applications", json=EVENTS[1])).status_code == 202
        await flow.read(APPLICATIONS_DECIDED.name, len(EVENTS))
        with prometheus_of({**ports, "scoring_api": api}) as prometheus:
            await prometheus.eventually("up == 1", len(JOBS))
            async with async_http_client(timeout_s=5) as client:
                await client.get(f"http://127.0.0.1:{api}/rates")
            for process in sorted(JOBS):
                await all_of(process, prometheus)
            await lag_by_partition(prometheus)
            await counted_as_it_was(prometheus)
            # The two minutes and more that alerts look back over are promtool's (alerts_test.yml).
            loaded = (await prometheus.get("/api/v1/rules", type="alert"))["groups"]
            assert {rule["name"] for group in loaded for rule in group["rules"]} == {
                rule["alert"] for rule in rules() if "alert" in rule
            }


async def all_of(process: str, prometheus: Prometheus) -> None:
    for metric in declared(process):
        name = metric_name(metric, process)
        series = f"{name}_count" if metric.kind == "histogram" else name
        found = await prometheus.eventually(f'{series}{{job="{process}"}}')
        assert set(metric.labels) <= found[0]["metric"].keys(), name
    kinds = {"counter": "counter", "gauge": "gauge", "histogram": "histogram"}
    known = await prometheus.get("/api/v1/metadata")
    for metric in declared(process):
        [one] = {entry["type"] for entry in known[metric_name(metric, process)]}
        assert one == kinds[metric.kind]


async def lag_by_partition(prometheus: Prometheus) -> None:
    found = await prometheus.eventually('paperless_consumer_lag_records{job="intake"}', 4)
    places = {(one["metric"]["topic"], one["metric"]["partition"]) for one in found}
    assert places == {
        (topic, partition) for topic in ("applications.submitted", "documents.provided") for partition in ("0", "1")
    }


async def counted_as_it_was(prometheus: Prometheus) -> None:
    await prometheus.eventually(f"sum(intake_outcomes_total) >= {len(EVENTS)}")
    await prometheus.eventually(f"sum(scoring_outcomes_total) >= {len(EVENTS)}")
    dead = await prometheus.eventually('paperless_dead_letters_total{job="intake", reason="not_json"}')
    assert dead[0]["value"][1] == "2"
    looked_up = await prometheus.eventually('sum(vneid_mock_look_ups_total{answer="found"})')
    assert float(looked_up[0]["value"][1]) > 0
    ready = await prometheus.eventually("sum by (job) (paperless_member_ready)", 3)
    assert {one["value"][1] for one in ready} == {"1"}


def test_every_job_scrapes_a_process_that_declares_metrics():
    for process in JOBS:
        assert all(process in processes_of(metric_name(one, process)) for one in declared(process))
