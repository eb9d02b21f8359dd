"""`paperless load` on a running system: what it measures must show what the system did, however unpleasant."""

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.front_door import INTERRUPTED, System, alive, ctrl_c, eventually, running_system, start

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow(reason="a load takes the seconds that it measures")]

STALL_S = 3.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of its own: each run adds applications."""
    with running_system(tmp_path_factory.mktemp("loaded"), "--plan", "calm") as system:
        yield system


@pytest.fixture
def loaded(running: System) -> Iterator[System]:
    """After each run all is decided and nothing lost; what is left undecided would be taken for the next one's."""
    yield running
    code, verdict = running.verify()
    assert code == 0, verdict


@contextmanager
def frozen(system: System, name: str) -> Iterator[None]:
    pid = system.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def stalling(system: System, name: str) -> Iterator[None]:
    """Freeze a part for three seconds, two seconds after the first outcome of what is being sent."""
    before, ended = system.decided(), threading.Event()

    def stall() -> None:
        while not ended.wait(0.1) and system.decided() == before:
            pass
        if not ended.wait(2.0):
            with frozen(system, name):
                ended.wait(STALL_S)

    thread = threading.Thread(target=stall)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def load(system: System, folder: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    """Run `paperless load` and return its JSON."""
    path = folder / "load.json"
    ended = system.run("load", "--json", path, *arguments)
    assert ended.code == code, ended
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def stored(result: dict[str, Any]) -> Callable[[str], float]:
    """Return the percentiles of the latency to the stored cell, in ms."""
    found = result["measured"]["to_stored"]
    return lambda name: float(found["max"] if name == "max" else found["percentiles"][name])


def test_a_stall_of_three_seconds_appears_in_the_percentiles(loaded, tmp_path):
    page = tmp_path / "load.html"
    with stalling(loaded, "broker"):
        result = load(loaded, tmp_path, "--rate", 200, "--seconds", 6, "--warm-up", 1, "--report", page)
    found, measured = stored(result), result["measured"]
    # Of six seconds three were stalled: who was due at the stall's beginning waited for all of it.
    assert found("90") >= 1_500
    assert found("99") >= 2_000
    assert found("max") >= 2_900
    assert max(second["backlog"] for second in measured["series"]) >= 300
    counts = measured["counts"]
    assert counts["sent"] == counts["acknowledged"] == counts["stored"] > 1_000
    assert counts["missing"] == 0
    assert result["plan_name"] == "calm"
    assert {"command", "seed", "versions", "machine", "ceiling", "started_at", "notes"} <= result.keys()
    addresses = set(re.findall(r"(?:\w+:)?//[^\s\"'<>)]+", page.read_text()))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_a_closed_loop_hides_the_same_stall_in_its_maximum_and_says_so(loaded, tmp_path):
    with stalling(loaded, "broker"):
        result = load(loaded, tmp_path, "--closed", 1, "--seconds", 6, "--warm-up", 0)
    # The one in flight may have its cell already while its outcome still waits to be read.
    waits = [result["measured"][moment]["max"] for moment in ("to_outcome", "to_stored")]
    assert max(waits) >= 2_500
    assert stored(result)("50") < 1_500
    assert any("coordinated omission" in note for note in result["notes"])


def test_what_is_not_stored_in_time_is_missing_and_the_exit_code_says_so(loaded, tmp_path):
    with frozen(loaded, "scoring"):
        result = load(loaded, tmp_path, "--rate", 20, "--seconds", 1, "--warm-up", 0, "--drain-s", 1, code=1)
    counts, stored_ = result["measured"]["counts"], result["measured"]["to_stored"]
    assert counts["missing"] == counts["sent"] == stored_["unfinished"] == stored_["count"] > 0
    assert stored_["percentiles"]["50"] >= 1_000


def test_a_search_on_a_system_that_is_never_quick_enough_ends_with_nothing(loaded, tmp_path):
    limits = ("--limit-p99-ms", 1, "--rate", 1.9, "--seconds", 2, "--warm-up", 0)
    result = load(loaded, tmp_path, "--max", *limits, code=1)
    assert result["measured"] is None
    [step] = result["steps"]
    assert not step["sustained"]
    assert "is over 1" in step["why"]


def test_ctrl_c_ends_a_load_and_keeps_what_was_measured(loaded, tmp_path):
    path, out = tmp_path / "load.json", tmp_path / "out"
    run = start(
        *("load", "--state", loaded.folder, "--rate", 50, "--seconds", 60, "--warm-up", 0, "--json", path), out=out
    )
    before = loaded.decided()
    eventually(lambda: loaded.decided() > before + 20 or run.poll() is not None)
    assert run.poll() is None, out.read_text()
    assert ctrl_c(run) == INTERRUPTED
    assert "Traceback" not in out.read_text()
    result = json.loads(path.read_text())
    assert result["interrupted"]
    assert result["measured"]["to_stored"]["count"] > 0
    assert json.loads((loaded.folder / "manifest.json").read_text())["status"] == "stopped"
    assert len(alive(loaded.pids())) == len(loaded.pids())
