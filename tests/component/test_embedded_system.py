"""The embedded system with stand-ins for its services: what an operator sees when things die."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from paperless.local import detached
from paperless.local.errors import (
    AlreadyRunningError,
    BrokerError,
    LocalSystemError,
    NotReadyError,
    NotRunningError,
    PortTakenError,
    ServiceFailedError,
)
from paperless.local.layout import LocalOptions, environment
from paperless.local.processes import is_alive
from paperless.local.state import ProcessState, RunState, StateDirectory, Status
from paperless.local.supervisor import LocalSystem
from runtime.settings import KafkaAccess
from tests.support.embedded_fakes import broken_service, stubborn_service, two_services, unready_service

FAKES = "tests.support.embedded_fakes"
WITHIN_S = 20.0


def options(folder: Path, **changes: object) -> LocalOptions:
    return LocalOptions.model_validate({"state_dir": folder, "ready_within_s": WITHIN_S, **changes})


def recorded(folder: Path) -> RunState:
    state = StateDirectory(folder).read()
    assert state is not None
    return state


def started(system: LocalSystem) -> list[ProcessState]:
    return list(recorded(system.directory.path).processes.values())


def nobody_left(processes: Iterable[ProcessState]) -> bool:
    return not any(is_alive(one.pid, one.started) for one in processes)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


async def test_entering_gives_a_ready_system_and_leaving_nothing(tmp_path):
    asked: list[str] = []

    async def create_topics(access: KafkaAccess) -> None:
        asked.append(access.kafka_servers)

    async with LocalSystem(options(tmp_path), layout=two_services, create_topics=create_topics) as system:
        processes = started(system)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(system.endpoints["scoring"] + "/health")
        assert answer.status_code == 200
        assert recorded(tmp_path).status is Status.HEALTHY
        assert [view.name for view in system.processes()] == ["broker", "intake", "scoring"]
        assert min(usage.peak_rss_bytes for usage in system.rss_and_cpu().values()) > 1_000_000
    assert asked == [system.address]
    assert len(processes) == 3
    assert nobody_left(processes)
    assert StateDirectory(tmp_path).read() is None


async def test_a_killed_service_comes_back_on_its_port(tmp_path):
    heard: list[str] = []
    async with LocalSystem(options(tmp_path), layout=two_services, tell=heard.append) as system:
        before = {view.name: view for view in system.processes()}
        system.kill("intake")
        await eventually(lambda: {v.name: v.restarts for v in system.processes()}["intake"] == 1)
        await system.wait_ready()
        after = {view.name: view for view in system.processes()}
        await eventually(lambda: recorded(tmp_path).processes["intake"].pid == after["intake"].pid)
    assert after["intake"].pid != before["intake"].pid
    assert after["scoring"] == before["scoring"]
    assert heard == ["intake died (signal 9); it starts again in 0.2 s"]


async def test_a_service_that_refuses_is_not_restarted(tmp_path):
    with pytest.raises(ServiceFailedError, match="too many dead letters") as failure:
        async with LocalSystem(options(tmp_path), layout=two_services) as system:
            processes = started(system)
            system.kill("scoring", signal.SIGUSR1)
            await asyncio.sleep(WITHIN_S)
    assert "scoring refused to go on (exit code 78)" in str(failure.value)
    assert nobody_left(processes)
    assert recorded(tmp_path).status is Status.FAILED
    assert "exit code 78" in recorded(tmp_path).reason


async def test_the_brokers_death_ends_the_run(tmp_path):
    with pytest.raises(BrokerError, match="broker died"):
        async with LocalSystem(options(tmp_path), layout=two_services) as system:
            processes = started(system)
            system.kill("broker")
            await asyncio.sleep(WITHIN_S)
    assert nobody_left(processes)


async def test_an_unready_service_is_named_with_its_reason(tmp_path):
    with pytest.raises(NotReadyError, match="scoring: no_assignment") as failure:
        async with LocalSystem(options(tmp_path, ready_within_s=5), layout=unready_service):
            pass
    assert "intake" not in str(failure.value)
    assert nobody_left(recorded(tmp_path).processes.values())


async def test_a_service_that_cannot_start_shows_its_log(tmp_path):
    with pytest.raises(ServiceFailedError, match="INTAKE_ATTEMPTS must be a number"):
        async with LocalSystem(options(tmp_path), layout=broken_service):
            pass


async def test_a_service_deaf_to_sigterm_is_killed(tmp_path):
    async with LocalSystem(options(tmp_path, grace_s=0.2), layout=stubborn_service) as system:
        processes = started(system)
    assert nobody_left(processes)


async def test_an_exception_in_the_body_stops_everything(tmp_path):
    with pytest.raises(ZeroDivisionError):
        async with LocalSystem(options(tmp_path), layout=two_services) as system:
            processes = started(system)
            _ = 1 // 0
    assert nobody_left(processes)


async def test_failing_topics_leave_no_broker_behind(tmp_path):
    async def create_topics(access: KafkaAccess) -> None:
        raise LocalSystemError("applications.submitted has 3 partitions, not 6")

    system = LocalSystem(options(tmp_path), layout=two_services, create_topics=create_topics)
    with pytest.raises(LocalSystemError, match="3 partitions"):
        await system.__aenter__()
    assert recorded(tmp_path).status is Status.FAILED
    assert nobody_left(started(system))


async def test_two_systems_side_by_side_do_not_meet(tmp_path):
    one, two = options(tmp_path / "one"), options(tmp_path / "two")
    async with LocalSystem(one, layout=two_services) as first, LocalSystem(two, layout=two_services) as second:
        ports = [*recorded(one.state_dir).ports.values(), *recorded(two.state_dir).ports.values()]
        assert len(set(ports)) == 6
        assert first.address != second.address
        second.kill("intake")
        await eventually(lambda: {v.name: v.restarts for v in second.processes()}["intake"] == 1)
        await second.wait_ready()
        assert all(view.restarts == 0 for view in first.processes())


async def test_a_directory_in_use_refuses_a_second_system(tmp_path):
    async with LocalSystem(options(tmp_path), layout=two_services) as system:
        with pytest.raises(AlreadyRunningError, match="paperless down"):
            await LocalSystem(options(tmp_path), layout=two_services).__aenter__()
        await system.wait_ready()
        assert recorded(tmp_path).run_id == system.run_id


async def test_a_port_asked_for_but_taken_is_named(tmp_path):
    async with LocalSystem(options(tmp_path / "one"), layout=two_services) as system:
        port = int(system.address.rpartition(":")[2])
        asked = options(tmp_path / "two", ports={"broker": port})
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1, asked for broker"):
            await LocalSystem(asked, layout=two_services).__aenter__()


def launch(folder: Path, layout: str = "two_services") -> "subprocess.Popen[bytes]":
    """A supervisor that this test owns, ready."""
    command = [sys.executable, "-m", "paperless.local.supervisor", "--state", str(folder)]
    process = subprocess.Popen([*command, "--layout", f"{FAKES}:{layout}"], env=environment())
    directory = StateDirectory(folder)

    def ready() -> bool:
        state = directory.read()
        return state is not None and state.status is Status.HEALTHY and state.supervisor.pid == process.pid

    wait_for(ready)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 128 + signal.SIGINT), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_stop_signal_leaves_nothing_running(tmp_path, number, code):
    supervisor = launch(tmp_path)
    processes = recorded(tmp_path).processes.values()
    supervisor.send_signal(number)
    assert supervisor.wait(WITHIN_S) == code
    assert nobody_left(processes)
    assert StateDirectory(tmp_path).read() is None


def test_a_second_ctrl_c_does_not_wait_for_the_grace_time(tmp_path):
    supervisor = launch(tmp_path, "stubborn_service")
    processes = recorded(tmp_path).processes
    supervisor.send_signal(signal.SIGINT)
    # The service ignores SIGTERM for its whole grace time: that it is asked shows that stopping has begun.
    wait_for((tmp_path / "asked_to_stop").exists)
    supervisor.send_signal(signal.SIGINT)
    supervisor.wait(WITHIN_S)
    assert nobody_left(processes.values())
    assert StateDirectory(tmp_path).read() is None


def test_a_killed_supervisor_takes_everything_with_it(tmp_path):
    supervisor = launch(tmp_path)
    processes = recorded(tmp_path).processes.values()
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: nobody_left(processes))


def test_a_stale_directory_is_cleaned_and_used_again(tmp_path):
    first = launch(tmp_path)
    run_id = recorded(tmp_path).run_id
    first.kill()
    first.wait()
    with pytest.raises(NotRunningError):
        detached.attach(tmp_path)
    second = launch(tmp_path)
    assert recorded(tmp_path).run_id != run_id
    second.terminate()
    second.wait(WITHIN_S)


def test_up_runs_on_until_down_stops_it(tmp_path):
    system = detached.start(options(tmp_path), layout=f"{FAKES}:two_services")
    processes = system.state.processes
    supervisor = system.state.supervisor
    with pytest.raises(AlreadyRunningError):
        detached.start(options(tmp_path), layout=f"{FAKES}:two_services")
    pid = {view.name: view.pid for view in system.processes()}["intake"]
    system.kill("intake")
    wait_for(lambda: {view.name: view.pid for view in system.processes()}["intake"] != pid)
    wait_for(lambda: system.rss_and_cpu()["scoring"].cpu_s > 0)
    assert detached.stop(tmp_path) == ("broker", "intake", "scoring")
    assert nobody_left([*processes.values(), supervisor])
    assert detached.stop(tmp_path) == ()


def test_up_says_why_a_service_did_not_start(tmp_path):
    with pytest.raises(LocalSystemError, match="INTAKE_ATTEMPTS must be a number"):
        detached.start(options(tmp_path), layout=f"{FAKES}:broken_service")
    assert nobody_left(recorded(tmp_path).processes.values())
