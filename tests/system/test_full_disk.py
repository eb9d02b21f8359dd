"""A disk that is full for a while: nothing dies, what waits says so, and in the end nothing is lost."""

import resource
from collections.abc import Iterator

import pytest

from tests.system.front_door import System, eventually, running_system

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow(reason="a system waits for room, and is verified afterwards")]

APPLICATIONS = 1_500
# No file grows beyond it: to a process that is as a full disk, and it needs no rights to take it back.
ROOM_BYTES = 65_536


@pytest.fixture
def running(tmp_path) -> Iterator[System]:
    with running_system(tmp_path, "--seed", 7, "--plan", "calm") as system:
        yield system


def limit(system: System, room: int) -> None:
    """Give all of our processes so much room for each file; the broker has none."""
    broker = system.pid("broker")
    for pid in system.pids():
        if pid != broker:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def test_a_run_waits_for_room_on_the_disk_and_loses_nothing(running):
    limit(running, ROOM_BYTES)
    running.must("send", "--applications", APPLICATIONS)
    waits = eventually(lambda: (ended := running.run("status")).code == 2 and ended)
    assert "scoring      the store does not take records" in waits.out
    assert waits.err.startswith("error: not ready: ")
    decided = running.decided()
    assert decided < APPLICATIONS
    limit(running, resource.RLIM_INFINITY)
    code, verdict = running.verify()
    assert (code, verdict["counts"]["decided"]) == (0, APPLICATIONS)
    running.must("status")
    assert {running.restarts(name) for name in running.state["processes"]} == {0}
