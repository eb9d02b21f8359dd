"""The system as its user has it: the `paperless` command as a process, HTTP, and the files of a state directory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from paperless.http_client import http_client

COMMAND = Path(sys.executable).with_name("paperless")
# A bound for what hangs, no measurement: beside the rest of the suite everything takes several times longer than alone.
WITHIN_S = 180.0
POLL_S = 0.1
INTERRUPTED = 130
# A proxy that leads nowhere, for every command of these tests: what it calls on this machine goes past it.
_DEAD = "127.0.0.1:1"
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://{_DEAD}")
PROXIES |= dict.fromkeys(("ALL_PROXY", "all_proxy"), f"socks://{_DEAD}")
# In English, whatever the locale of whoever runs the tests.
SURROUNDINGS = {**PROXIES, "PAPERLESS_LANG": "en"}


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def paperless(*arguments: object, within_s: float = WITHIN_S) -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
        env={**os.environ, **SURROUNDINGS},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, out: Path) -> subprocess.Popen[bytes]:
    """Start the command as a terminal does, in a process group of its own; its output goes to a file."""
    with out.open("wb") as file:
        return subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **SURROUNDINGS},
        )


def ctrl_c(process: subprocess.Popen[bytes]) -> int:
    """Press Ctrl-C: the signal goes to the whole foreground group. The exit code."""
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(WITHIN_S)


def eventually(condition: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Return the condition's first truthy value; fails when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{condition} never came true"
        time.sleep(POLL_S)
    return found


def alive(pids: Sequence[int]) -> list[int]:
    """Those of these processes that still run; a zombie does not."""
    return [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class System:
    """The system of one state directory."""

    folder: Path

    def run(self, command: str, *arguments: object, within_s: float = WITHIN_S) -> Ended:
        return paperless(command, "--state", self.folder, *arguments, within_s=within_s)

    def must(self, command: str, *arguments: object) -> str:
        """Run a command that has to succeed; its output."""
        ended = self.run(command, *arguments)
        assert ended.code == 0, ended
        return ended.out

    def verify(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """The exit code of `paperless verify` and what it says as JSON."""
        path = self.folder / "verdict.json"
        ended = self.run("verify", "--json", path, *arguments)
        assert ended.code in {0, 1}, ended
        return ended.code, json.loads(path.read_text())

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def pid(self, name: str) -> int:
        return int(self.state["processes"][name]["pid"])

    def pids(self) -> list[int]:
        """Every process of the system, the supervisor included."""
        state = self.state
        return [state["supervisor"]["pid"], *(one["pid"] for one in state["processes"].values())]

    def restarts(self, name: str) -> int:
        return int(self.state["processes"][name]["restarts"])

    def get(self, service: str, path: str) -> Any:
        """The JSON that a service answers, None while it does not."""
        try:
            with http_client(self.state["endpoints"][service], timeout_s=5) as client:
                answer = client.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def decided(self) -> int:
        """How many applications the live store holds now."""
        # Asked again: an answer that did not come, or came to somebody who asks too often, is not "none".
        rates = eventually(lambda: self.get("scoring_api", "/rates?authority=all"))
        return int(rates["total"]["applications"])

    def kill(self, name: str) -> None:
        """kill -9, and wait until the supervisor has started it again."""
        before, pid = self.restarts(name), self.pid(name)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.restarts(name) > before)


@contextmanager
def running_system(folder: Path, *options: object) -> Iterator[System]:
    """A system that is started with these options, and leaves no process behind."""
    system = System(folder)
    system.must("up", *options)
    pids = system.pids()
    try:
        yield system
    finally:
        system.must("down")
    assert alive(pids) == []


def differs(verdict: dict[str, Any], *words: str) -> bool:
    """Whether one line of the differences has all these words."""
    return any(all(word in line for word in words) for line in verdict["differences"])
