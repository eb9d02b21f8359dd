"""Faults of containers, held against an engine that records what it is asked."""

import json
from typing import Any

import httpx
import pytest

from paperless.chaos.containers import ContainerFaults
from paperless.chaos.hazards import container_hazards
from paperless.chaos.plan import Fault, Kind
from paperless.chaos.port import ChaosError


def container(service: str, number: int) -> dict[str, Any]:
    labels = {"com.docker.compose.service": service, "com.docker.compose.container-number": str(number)}
    return {"Id": f"{service}-{number}", "Labels": labels}


RUNNING = [container("intake", 2), container("intake", 1), container("kafka", 1), container("scoring", 1)]


class Engine:
    """Answers as the Docker Engine; `refusals` are the answers to the next requests that change something."""

    def __init__(self, containers: list[dict[str, Any]] = RUNNING) -> None:
        self.containers, self.refusals, self.says = containers, list[int](), "not now"
        self.asked: list[str] = []
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            filters = json.loads(request.url.params["filters"])
            assert filters == {"label": ["com.docker.compose.project=ours", "com.docker.compose.oneoff=False"]}
            return httpx.Response(200, json=self.containers)
        self.asked.append(request.url.raw_path.decode())
        self.bodies.append(json.loads(request.content or "null"))
        return httpx.Response(self.refusals.pop(0) if self.refusals else 204, text=self.says)

    def port(self) -> ContainerFaults:
        return ContainerFaults("ours", httpx.MockTransport(self))


def fault(kind: Kind, target: str) -> Fault:
    return Fault(kind, target, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "begins", "ends"),
    [
        (Kind.KILL, "kill?signal=KILL", "start"),
        (Kind.STOP, "stop?t=30", "start"),
        (Kind.FREEZE, "pause", "unpause"),
        (Kind.LONG_FREEZE, "pause", "unpause"),
        (Kind.SILENCE, "pause", "unpause"),
    ],
)
async def test_what_a_fault_begins_it_ends_on_the_first_container_of_the_service(kind, begins, ends):
    engine = Engine()
    async with engine.port() as port, port.hold(fault(kind, "intake")):
        assert engine.asked == [f"/containers/intake-1/{begins}"]
    assert engine.asked[1:] == [f"/containers/intake-1/{ends}"]


async def test_a_container_that_was_cut_off_is_put_back_under_its_name():
    engine = Engine()
    async with engine.port() as port, port.hold(fault(Kind.DISCONNECT, "scoring/store")):
        assert engine.asked == ["/networks/ours_store/disconnect"]
    assert engine.asked[1:] == ["/networks/ours_store/connect"]
    assert engine.bodies == [
        {"Container": "scoring-1"},
        {"Container": "scoring-1", "EndpointConfig": {"Aliases": ["scoring"]}},
    ]


async def test_a_fault_ends_when_its_run_is_stopped():
    engine = Engine()
    with pytest.raises(KeyboardInterrupt):
        async with engine.port() as port, port.hold(fault(Kind.FREEZE, "kafka")):
            raise KeyboardInterrupt
    assert engine.asked == ["/containers/kafka-1/pause", "/containers/kafka-1/unpause"]


async def test_what_the_engine_refuses_for_a_moment_is_tried_again():
    engine = Engine()
    engine.refusals = [500, 204, 304]
    async with engine.port() as port, port.hold(fault(Kind.FREEZE, "kafka")):
        pass
    assert engine.asked == [f"/containers/kafka-1/{what}" for what in ("pause", "pause", "unpause")]


async def test_a_fault_that_an_answer_that_came_too_late_has_ended_is_ended():
    engine = Engine()
    async with engine.port() as port, port.hold(fault(Kind.FREEZE, "kafka")):
        engine.refusals, engine.says = [500], '{"message":"Container 1f is not paused"}'
    assert engine.asked == ["/containers/kafka-1/pause", "/containers/kafka-1/unpause"]


async def test_a_service_that_is_being_started_again_is_waited_for():
    engine = Engine()
    engine.refusals, engine.says = [409, 409, 204], '{"message":"container 1f is not running"}'
    async with engine.port() as port, port.hold(fault(Kind.FREEZE, "intake")):
        assert engine.asked == ["/containers/intake-1/pause"] * 3


async def test_a_burst_asks_the_engine_for_nothing():
    engine = Engine()
    async with engine.port() as port, port.hold(fault(Kind.BURST, "load")):
        assert port.joined == {}
    assert engine.asked == []


async def test_the_port_knows_every_kind_of_the_containers_hazards():
    parts = {hazard.target.partition("/")[0] for hazard in container_hazards()} - {"load"}
    async with Engine([container(part, 1) for part in parts]).port() as port:
        for hazard in container_hazards():
            async with port.hold(fault(hazard.kind, hazard.target)):
                pass
        with pytest.raises(ChaosError, match="containers know no such fault"):
            port.hold(fault(Kind.STORE_LOCKED, "store"))


async def test_a_project_without_containers_and_a_service_that_does_not_run_are_named():
    with pytest.raises(ChaosError, match="project ours: no container of it"):
        async with Engine([]).port():
            pass
    async with Engine().port() as port:
        with pytest.raises(ChaosError, match="no container of postgres runs"):
            async with port.hold(fault(Kind.KILL, "postgres")):
                pass


async def test_an_engine_that_does_not_answer_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(ChaosError, match="is its socket mounted"):
        async with ContainerFaults.of("ours", tmp_path / "none.sock"):
            pass
