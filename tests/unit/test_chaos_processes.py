"""Faults of processes, on small stand-ins under a state file of their own."""

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from paperless.chaos.plan import Fault, Kind
from paperless.chaos.port import ChaosError
from paperless.chaos.processes import ROOM_BYTES, ProcessFaults, can_limit_files, locked
from paperless.local.state import ProcessState, RunState, StateDirectory, Status, this_process
from paperless.local.system import LocalSystem

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


class Stand:
    """A system of one process, called `intake`."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(SLEEP, env={"INTAKE_HTTP_PORT": "1", "INTAKE_GROUP_ID": "ours"})
        self.seen = psutil.Process(self.process.pid)
        directory = StateDirectory(folder)
        directory.create()
        own = ProcessState(pid=self.process.pid, started=self.seen.create_time())
        directory.write(
            RunState(
                run_id="r", status=Status.HEALTHY, seed=1, plan="calm", started_at=datetime.now(UTC),
                supervisor=this_process(), processes={"intake": own},
            )
        )  # fmt: skip
        self.port = ProcessFaults(LocalSystem(directory))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.process.kill()
    stand.process.wait()


def fault(kind: Kind, target: str = "intake") -> Fault:
    return Fault(kind, target, 0.0, 0.0)


@pytest.mark.parametrize(("kind", "number"), [(Kind.KILL, signal.SIGKILL), (Kind.STOP, signal.SIGTERM)])
async def test_a_process_is_killed_or_stopped(stand, kind, number):
    async with stand.port.hold(fault(kind)):
        assert await asyncio.to_thread(stand.process.wait, 10) == -number


@pytest.mark.parametrize("kind", [Kind.FREEZE, Kind.LONG_FREEZE, Kind.SILENCE])
async def test_a_frozen_process_goes_on_however_the_fault_ends(stand, kind):
    with pytest.raises(asyncio.CancelledError):
        async with stand.port.hold(fault(kind)):
            assert await becomes(stand, psutil.STATUS_STOPPED)
            raise asyncio.CancelledError
    assert await becomes(stand, psutil.STATUS_SLEEPING)


async def becomes(stand: Stand, status: str) -> bool:
    return await eventually(lambda: stand.seen.status() == status)


async def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(1_000):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.skipif(not can_limit_files(), reason="files of another process can be limited on Linux only")
async def test_a_full_disk_is_a_limit_that_is_taken_back(stand):
    before = stand.seen.rlimit(resource.RLIMIT_FSIZE)
    async with stand.port.hold(fault(Kind.DISK_FULL)):
        assert stand.seen.rlimit(resource.RLIMIT_FSIZE)[0] == ROOM_BYTES
    assert stand.seen.rlimit(resource.RLIMIT_FSIZE) == before


async def test_a_new_member_has_the_settings_of_the_first_but_a_port_and_a_name_of_its_own(stand):
    # Other tests of this worker may have left helpers of multiprocessing.
    before = {each.pid for each in psutil.Process().children()}
    async with stand.port.hold(fault(Kind.MEMBER_JOINS, "intake_9")):
        [url] = stand.port.joined.values()
        [child] = [each for each in psutil.Process().children() if each.pid not in before]
        assert await eventually(lambda: child.cmdline() == SLEEP)
        settings = child.environ()
        assert (settings["INTAKE_GROUP_ID"], settings["INTAKE_CLIENT_ID"]) == ("ours", "intake_9")
        assert url == f"http://127.0.0.1:{settings['INTAKE_HTTP_PORT']}"
    assert stand.port.joined == {}
    assert not child.is_running()


async def test_a_burst_and_a_fault_of_containers_do_nothing_to_processes(stand):
    async with stand.port.hold(fault(Kind.BURST, "load")):
        assert stand.process.poll() is None
    with pytest.raises(ChaosError, match="processes of this machine know no such fault"):
        stand.port.hold(fault(Kind.DISCONNECT, "intake/log"))


def write(path: Path) -> None:
    with sqlite3.connect(path, timeout=0.0) as store:
        store.execute("INSERT INTO cells VALUES (1)")
    store.close()


async def test_while_the_store_is_locked_nobody_writes_and_afterwards_everybody(tmp_path):
    path = tmp_path / "scoring.db"
    store = sqlite3.connect(path)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("CREATE TABLE cells (n)")
    store.close()
    async with locked(path):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write(path)
    write(path)
