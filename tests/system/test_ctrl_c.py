"""Ctrl-C at any moment: the command ends soon, says so by its exit code, and nothing is left running."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.system.front_door import INTERRUPTED, System, alive, ctrl_c, eventually, start

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow(reason="each starts a whole system, and stops it")]


class Run(NamedTuple):
    system: System
    process: subprocess.Popen[bytes]
    out: Path

    def text(self) -> str:
        return self.out.read_text(encoding="utf-8", errors="replace")

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a moment of the run; it must come before the run's end."""
        eventually(lambda: condition() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def family(self) -> list[int]:
        """The command and every process below it."""
        return [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]


@pytest.fixture
def begin(tmp_path) -> Callable[..., Run]:
    def run(command: str, *arguments: object, system: System | None = None) -> Run:
        target = system or System(tmp_path / "run")
        out = tmp_path / "out"
        return Run(target, start(command, "--state", target.folder, *arguments, out=out), out)

    return run


def stops_clean(run: Run) -> None:
    family = run.family()
    assert len(family) > 1
    assert ctrl_c(run.process) == INTERRUPTED
    assert "Traceback" not in run.text()
    eventually(lambda: alive(family) == [], within_s=10)
    assert not (run.system.folder / "state.json").exists()


@pytest.mark.parametrize("command", [("demo",), ("demo", "--keep"), ("up",)], ids=" ".join)
def test_ctrl_c_while_starting_leaves_nothing(begin, command):
    run = begin(*command)
    state = run.system.folder / "state.json"
    run.until(lambda: state.exists() and "intake" in run.system.state["processes"])
    stops_clean(run)


def test_ctrl_c_while_the_demo_plays_leaves_nothing(begin, tmp_path):
    verdict = tmp_path / "verdict.json"
    run = begin("demo", "--applications", 3_000, "--json", verdict)
    run.until((run.system.folder / "manifest.json").exists)
    stops_clean(run)
    assert "stopped after" in run.text()
    assert "verdict: ok" not in run.text()
    assert verdict.read_text() == ""


def test_ctrl_c_while_sending_keeps_the_system_and_what_was_sent(begin, served, tmp_path):
    manifest = tmp_path / "manifest.json"
    run = begin("send", "--applications", 1_000, "--pace", 60, "--manifest", manifest, system=served)
    run.until(manifest.exists)
    assert ctrl_c(run.process) == INTERRUPTED
    assert "stopped after" in run.text()
    assert json.loads(manifest.read_text())["status"] == "stopped"
    assert len(alive(served.pids())) == len(served.pids())


def test_ctrl_c_while_verifying_prints_no_traceback(begin, served):
    run = begin("verify", system=served)
    # Its helpers are those that recount.
    run.until(lambda: len(run.family()) > 1)
    family = run.family()
    assert ctrl_c(run.process) == INTERRUPTED
    assert "Traceback" not in run.text()
    assert "Future exception" not in run.text()
    eventually(lambda: alive(family) == [], within_s=10)
