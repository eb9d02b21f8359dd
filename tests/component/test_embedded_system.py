"""The embedded system with stand-ins for its services: what an operator sees when things die."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from paperless.http_client import http_client
from paperless.local.errors import (
    AlreadyRunningError,
    BrokerError,
    LocalSystemError,
    NotReadyError,
    NotRunningError,
    PortTakenError,
    ServiceFailedError,
)
from paperless.local.layout import LocalOptions, environment, module_command
from paperless.local.processes import is_alive
from paperless.local.state import ProcessState, RunState, StateDirectory, Status
from paperless.local.supervisor import supervise
from paperless.local.system import LocalSystem, attach, running, start, stop
from runtime.settings import KafkaAccess
from tests.support.embedded_fakes import broken_service, stubborn_service, two_services, unready_service

FAKES = module_command("tests.support.supervise_fakes", "two_services")
WITHIN_S = 20.0


def options(folder: Path, **changes: object) -> LocalOptions:
    return LocalOptions.model_validate({"state_dir": folder, "ready_within_s": WITHIN_S, **changes})


def recorded(folder: Path) -> RunState:
    state = StateDirectory(folder).read()
    assert state is not None
    return state


def started(folder: Path) -> list[ProcessState]:
    return list(recorded(folder).processes.values())


def ready(folder: Path) -> bool:
    state = StateDirectory(folder).read()
    return state is not None and state.status is Status.HEALTHY


def restarts(system: LocalSystem) -> dict[str, int]:
    return {name: process.restarts for name, process in system.state.processes.items()}


def kill(system: LocalSystem, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(system.state.processes[name].pid, number)


def nobody_left(processes: Iterable[ProcessState]) -> bool:
    return not any(is_alive(each.pid, each.started) for each in processes)


@contextlib.asynccontextmanager
async def supervised(options: LocalOptions, **given: Any) -> AsyncIterator[tuple[LocalSystem, asyncio.Task[None]]]:
    """A ready system, and its supervisor as a task of this process; cancelled in the end."""
    task: asyncio.Task[None] = asyncio.create_task(supervise(options, **{"layout": two_services, **given}))
    try:
        await eventually(lambda: task.done() or ready(options.state_dir))
        yield LocalSystem(StateDirectory(options.state_dir)), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LocalSystemError):
            await task


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


async def test_a_system_becomes_ready_and_cancelling_its_supervisor_leaves_nothing(tmp_path):
    asked: list[str] = []

    async def create_topics(access: KafkaAccess) -> None:
        asked.append(access.kafka_servers)

    async with supervised(options(tmp_path), prepare=create_topics) as (system, _):
        state = system.state
        assert answers(state.endpoints["scoring"])
        assert list(state.processes) == ["broker", "intake", "scoring"]
        assert min(process.peak_rss_bytes for process in state.processes.values()) > 1_000_000
    assert asked == [state.address]
    assert nobody_left(state.processes.values())
    assert StateDirectory(tmp_path).read() is None


def answers(url: str) -> bool:
    try:
        with http_client(url, timeout_s=5) as client:
            return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


async def test_a_killed_service_comes_back_on_its_port(tmp_path):
    heard: list[str] = []
    async with supervised(options(tmp_path), tell=heard.append) as (system, _):
        before = system.state
        kill(system, "intake")
        await eventually(lambda: restarts(system)["intake"] == 1)
        after = system.state
        assert restarts(system) == {"broker": 0, "intake": 1, "scoring": 0}
        await eventually(lambda: answers(before.endpoints["intake"]))
    assert after.processes["intake"].pid != before.processes["intake"].pid
    assert after.processes["scoring"].pid == before.processes["scoring"].pid
    assert heard == ["intake died (signal 9); it starts again in 0.2 s"]


async def test_a_service_that_refuses_is_not_restarted(tmp_path):
    async with supervised(options(tmp_path)) as (system, supervisor):
        processes = started(tmp_path)
        kill(system, "scoring", signal.SIGUSR1)
        with pytest.raises(LocalSystemError, match="too many dead letters") as failure:
            await system.watched(asyncio.sleep(WITHIN_S))
        assert "scoring refused to go on (exit code 78)" in str(failure.value)
        with pytest.raises(ServiceFailedError, match="too many dead letters"):
            await supervisor
    assert nobody_left(processes)
    assert recorded(tmp_path).status is Status.FAILED
    assert "exit code 78" in recorded(tmp_path).reason


async def test_the_brokers_death_ends_the_run(tmp_path):
    async with supervised(options(tmp_path)) as (system, supervisor):
        processes = started(tmp_path)
        kill(system, "broker")
        with pytest.raises(LocalSystemError, match="broker died"):
            await system.watched(asyncio.sleep(WITHIN_S))
        with pytest.raises(BrokerError, match="broker died"):
            await supervisor
    assert nobody_left(processes)


async def test_work_on_a_system_that_is_stopped_meanwhile_ends(tmp_path):
    async with supervised(options(tmp_path)) as (system, supervisor):
        assert await system.watched(asyncio.sleep(0, "done")) == "done"
        supervisor.cancel()
        with pytest.raises(NotRunningError):
            await system.watched(asyncio.sleep(WITHIN_S))


async def test_an_unready_service_is_named_with_its_reason(tmp_path):
    with pytest.raises(NotReadyError, match="scoring: no_assignment") as failure:
        await supervise(options(tmp_path, ready_within_s=5), layout=unready_service)
    assert "intake" not in str(failure.value)
    assert nobody_left(started(tmp_path))


async def test_a_service_that_cannot_start_shows_its_log(tmp_path):
    with pytest.raises(ServiceFailedError, match="INTAKE_ATTEMPTS must be a number"):
        await supervise(options(tmp_path), layout=broken_service)


async def test_a_service_deaf_to_sigterm_is_killed(tmp_path):
    async with supervised(options(tmp_path, grace_s=0.2), layout=stubborn_service):
        processes = started(tmp_path)
    assert nobody_left(processes)


async def test_failing_topics_leave_no_broker_behind(tmp_path):
    async def create_topics(access: KafkaAccess) -> None:
        raise LocalSystemError("applications.submitted has 3 partitions, not 6")

    with pytest.raises(LocalSystemError, match="3 partitions"):
        await supervise(options(tmp_path), layout=two_services, prepare=create_topics)
    assert recorded(tmp_path).status is Status.FAILED
    assert len(started(tmp_path)) == 1
    assert nobody_left(started(tmp_path))


async def test_a_full_disk_ends_no_run_and_the_state_says_so(tmp_path):
    heard: list[str] = []
    async with supervised(options(tmp_path), tell=heard.append) as (system, _):
        # What is drafted there finds no room; the state itself has kept some.
        full(tmp_path)
        await eventually(lambda: "is full" in system.state.trouble)
        kill(system, "intake")
        await eventually(lambda: restarts(system)["intake"] == 1)
        (tmp_path / "state.tmp").unlink()
        await eventually(lambda: not system.state.trouble)
        assert restarts(system) == {"broker": 0, "intake": 1, "scoring": 0}
    trouble, died, well = heard
    assert trouble.startswith(f"the disk under {tmp_path} is full (No space left on device); make room")
    assert (died[:11], well) == ("intake died", "state and logs can be written again")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("state.")]


def full(folder: Path) -> None:
    (folder / "state.tmp").symlink_to("/dev/full")


async def test_a_run_that_fails_on_a_full_disk_says_why(tmp_path):
    async with supervised(options(tmp_path)) as (system, supervisor):
        full(tmp_path)
        kill(system, "broker")
        with pytest.raises(LocalSystemError, match="broker died"):
            await system.watched(asyncio.sleep(WITHIN_S))
        with pytest.raises(BrokerError, match="broker died"):
            await supervisor
    assert recorded(tmp_path).status is Status.FAILED
    assert "broker died" in recorded(tmp_path).reason


async def test_who_works_with_the_system_is_told_of_a_full_disk_once(tmp_path):
    async with supervised(options(tmp_path)) as (_, supervisor):
        heard: list[str] = []
        system = LocalSystem(StateDirectory(tmp_path), heard.append)
        full(tmp_path)
        await eventually(lambda: "is full" in system.state.trouble)
        await system.watched(asyncio.sleep(0.5))
        assert [line[:14] for line in heard] == ["the disk under"]
        assert not supervisor.done()


async def test_a_state_that_cannot_be_written_at_all_ends_no_run(tmp_path):
    heard: list[str] = []
    async with supervised(options(tmp_path), tell=heard.append) as (system, supervisor):
        (tmp_path / "state.tmp").mkdir()
        kill(system, "intake")
        await eventually(lambda: len(heard) == 2)
        await eventually(lambda: answers(system.state.endpoints["intake"]))
        assert not supervisor.done()
        (tmp_path / "state.tmp").rmdir()
        await eventually(lambda: restarts(system)["intake"] == 1)
    assert sorted(line.partition(" ")[0] for line in heard[:2]) == [str(tmp_path), "intake"]


async def test_a_directory_that_is_removed_is_made_again_so_that_the_run_can_be_stopped(tmp_path):
    folder = tmp_path / "run"
    async with supervised(options(folder)) as (system, _):
        run_id = system.state.run_id
        shutil.rmtree(folder)
        await eventually(lambda: ready(folder))
        assert system.state.run_id == run_id


async def test_a_service_whose_log_cannot_be_opened_starts_without_one(tmp_path):
    async with supervised(options(tmp_path)) as (system, _):
        log = StateDirectory(tmp_path).log("intake")
        log.unlink()
        log.mkdir()
        kill(system, "intake")
        await eventually(lambda: restarts(system)["intake"] == 1)
        await eventually(lambda: answers(system.state.endpoints["intake"]))


def test_a_supervisor_whose_own_log_is_full_goes_on(tmp_path):
    with Path("/dev/full").open("wb") as log:
        supervisor = launch(tmp_path, log=log)
    system = attach(tmp_path)
    kill(system, "intake")
    wait_for(lambda: restarts(system)["intake"] == 1)
    supervisor.terminate()
    assert supervisor.wait(WITHIN_S) == 128 + signal.SIGTERM


async def test_two_systems_side_by_side_do_not_meet(tmp_path):
    async with (
        supervised(options(tmp_path / "one")) as (first, _),
        supervised(options(tmp_path / "two")) as (second, _),
    ):
        ports = [*first.state.ports.values(), *second.state.ports.values()]
        assert len(set(ports)) == 6
        assert first.state.address != second.state.address
        kill(second, "intake")
        await eventually(lambda: restarts(second)["intake"] == 1)
        assert set(restarts(first).values()) == {0}


async def test_a_directory_in_use_refuses_a_second_system(tmp_path):
    async with supervised(options(tmp_path)) as (system, _):
        run_id = system.state.run_id
        with pytest.raises(AlreadyRunningError, match="paperless down"):
            await supervise(options(tmp_path), layout=two_services)
        assert system.state.run_id == run_id
        assert answers(system.state.endpoints["intake"])


async def test_a_port_asked_for_but_taken_is_named(tmp_path):
    async with supervised(options(tmp_path / "one")) as (system, _):
        port = system.state.ports["broker"]
        asked = options(tmp_path / "two", ports={"broker": port})
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1, asked for broker"):
            await supervise(asked, layout=two_services)


def test_an_exception_in_the_block_stops_everything(tmp_path):
    with pytest.raises(ZeroDivisionError), running(options(tmp_path), FAKES, print) as system:
        processes = [*system.state.processes.values(), system.state.supervisor]
        _ = 1 // 0
    assert nobody_left(processes)
    assert StateDirectory(tmp_path).read() is None


def test_a_run_that_fails_in_the_block_keeps_its_reason(tmp_path):
    heard: list[str] = []
    with (
        pytest.raises(LocalSystemError, match="broker died"),
        running(options(tmp_path), FAKES, heard.append) as system,
    ):
        processes = [*system.state.processes.values(), system.state.supervisor]
        kill(system, "intake")
        wait_for(lambda: restarts(system)["intake"] == 1)
        kill(system, "broker")
        asyncio.run(system.watched(asyncio.sleep(WITHIN_S)))
    assert heard == ["intake died (signal 9); it starts again in 0.2 s"]
    assert nobody_left(processes)
    with pytest.raises(NotRunningError, match="broker died"):
        attach(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_system_ends_with_the_process_that_runs_it(tmp_path, number):
    code = (
        "import sys, time\n"
        "from paperless.local.layout import LocalOptions\n"
        "from paperless.local.system import running\n"
        "with running(LocalOptions.model_validate_json(sys.argv[1]), sys.argv[2:], print) as system:\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, options(tmp_path).model_dump_json(), *FAKES]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as owner:
        directory = StateDirectory(tmp_path)
        wait_for(lambda: ready(tmp_path))
        state = recorded(tmp_path)
        owner.send_signal(number)
        ended = owner.wait(WITHIN_S)
    if number is signal.SIGKILL:
        wait_for(lambda: nobody_left([*state.processes.values(), state.supervisor]))
        return
    assert ended == (-signal.SIGINT if number is signal.SIGINT else 128 + number)
    assert nobody_left([*state.processes.values(), state.supervisor])
    assert directory.read() is None


def launch(folder: Path, layout: str = "two_services", log: IO[bytes] | None = None) -> "subprocess.Popen[bytes]":
    """A supervisor that this test owns, ready."""
    command = module_command("tests.support.supervise_fakes", layout, options(folder).model_dump_json())
    process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
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


def test_ctrl_c_three_times_leaves_nothing_and_prints_no_traceback(tmp_path):
    code = (
        "import sys, time\n"
        "from paperless.local.layout import LocalOptions\n"
        "from paperless.local.system import running\n"
        "from runtime.command_line import interruptible, run\n"
        "def work():\n"
        "    interruptible()\n"
        "    with running(LocalOptions.model_validate_json(sys.argv[1]), sys.argv[2:], print) as system:\n"
        "        time.sleep(60)\n"
        "run(work)\n"
    )
    fakes = module_command("tests.support.supervise_fakes", "stubborn_service")
    command = [sys.executable, "-c", code, options(tmp_path).model_dump_json(), *fakes]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as owner:
        wait_for(lambda: ready(tmp_path))
        state = recorded(tmp_path)
        owner.send_signal(signal.SIGINT)
        wait_for((tmp_path / "asked_to_stop").exists)
        for _ in range(2):
            owner.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert owner.communicate(timeout=WITHIN_S)[1] == b"stopped\n"
    assert owner.returncode == 130
    wait_for(lambda: nobody_left([*state.processes.values(), state.supervisor]))
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
        attach(tmp_path)
    second = launch(tmp_path)
    assert recorded(tmp_path).run_id != run_id
    second.terminate()
    second.wait(WITHIN_S)


def test_up_runs_on_until_down_stops_it(tmp_path):
    system = start(options(tmp_path), FAKES)
    processes = system.state.processes
    supervisor = system.state.supervisor
    with pytest.raises(AlreadyRunningError):
        start(options(tmp_path), FAKES)
    kill(system, "intake")
    wait_for(lambda: system.state.processes["intake"].pid != processes["intake"].pid)
    wait_for(lambda: system.state.processes["scoring"].cpu_s > 0)
    assert stop(tmp_path) == ("broker", "intake", "scoring")
    assert nobody_left([*processes.values(), supervisor])
    assert stop(tmp_path) == ()


def test_up_says_why_a_service_did_not_start(tmp_path):
    with pytest.raises(LocalSystemError, match="INTAKE_ATTEMPTS must be a number"):
        start(options(tmp_path), module_command("tests.support.supervise_fakes", "broken_service"))
    assert nobody_left(recorded(tmp_path).processes.values())
