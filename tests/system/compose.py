"""The system in containers as its operator has it: `docker compose`, `docker`, and what the published ports answer.

    with Compose("my-test") as system:          # removed at the end, its logs shown if the test failed
        system.up()                             # every service healthy
        system.send("--applications", 3000)
        system.kill("intake")                   # kill -9 of the container, or pause, disconnect, crash ...
        system.up()
        code, verdict = system.verify()         # `paperless verify` in a container

For faults in a cluster: `Compose("my-test", files=(BASE, CLUSTER))`, then `kill("kafka-2")`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from paperless.http_client import http_client
from paperless.testing.engine import free_port
from tests.system.front_door import Ended, eventually

ROOT = Path(__file__).parents[2]
BASE = "docker-compose.yml"
CLUSTER = "deploy/compose/cluster.yml"
# Kafka's and PostgreSQL's first start on a machine that does other things too.
WITHIN_S = 240.0
LABEL = "label=com.docker.compose"
# What /health of this port of a container says, where it is ready.
READ_HEALTH = """
from paperless.http_client import http_client
print(http_client("http://127.0.0.1:{}", timeout_s=5).get("/health").raise_for_status().text)
"""
# Kills every child of the container's init process: what `kill -9` on the machine would do, so it counts as a crash.
CRASH = """
import os, pathlib, signal
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    pid, parent = stat.parent.name, stat.read_text().rpartition(")")[2].split()[1]
    if parent == "1":
        os.kill(int(pid), signal.SIGKILL)
"""


def docker(*arguments: object, within_s: float = 60.0) -> str:
    """Run a docker command that has to succeed; its output."""
    done = subprocess.run(
        ["docker", *map(str, arguments)], capture_output=True, text=True, timeout=within_s, check=False
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout.strip()


class Compose:
    """One compose project on ports of its own; a context manager that leaves nothing behind."""

    def __init__(
        self, project: str, *, files: Sequence[str] = (BASE,), env: Mapping[str, str] | None = None, demo: str = "demo"
    ) -> None:
        self.project = project
        self.files = tuple(files)
        self.reports = Path(tempfile.gettempdir()) / f"{project}-reports"
        self.api_port, self.mock_port, self.kafka_port = free_port(), free_port(), free_port()
        self.portal_port = free_port()
        given = {
            "PAPERLESS_PORTAL_PORT": self.portal_port,
            "PAPERLESS_API_PORT": self.api_port,
            "PAPERLESS_MOCK_PORT": self.mock_port,
            "PAPERLESS_KAFKA_PORT": self.kafka_port,
            "PAPERLESS_KAFKA_2_PORT": free_port(),
            "PAPERLESS_KAFKA_3_PORT": free_port(),
            "PAPERLESS_REPORTS": self.reports,
        }
        self.env = {**os.environ, **{name: str(value) for name, value in given.items()}, **(env or {})}
        self._demo = demo

    def __enter__(self) -> Self:
        self.reports.mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stderr.write(self.state())
        try:
            self.down()
        finally:
            shutil.rmtree(self.reports)

    def compose(self, *arguments: object, within_s: float = WITHIN_S) -> Ended:
        """Run `docker compose` to its end."""
        files = [part for file in self.files for part in ("--file", str(ROOT / file))]
        command = ["docker", "compose", "--project-name", self.project, *files, *map(str, arguments)]
        done = subprocess.run(
            command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: object, within_s: float = WITHIN_S) -> str:
        """Run a `docker compose` command that has to succeed; its output."""
        ended = self.compose(*arguments, within_s=within_s)
        assert ended.code == 0, (arguments, ended, self.state())
        return ended.out

    def start_run(self, *command: object) -> "subprocess.Popen[str]":
        """Start a command in a container of its own and return at once: traffic that goes on under a fault."""
        files = [part for file in self.files for part in ("--file", str(ROOT / file))]
        arguments = ["run", "--rm", "--no-deps", "--no-TTY", self._demo, *map(str, command)]
        return subprocess.Popen(
            ["docker", "compose", "--project-name", self.project, *files, *arguments],
            env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def up(self, *services: str, scale: Mapping[str, int] | None = None, within_s: float = WITHIN_S) -> None:
        """Start what does not run, and return when everything is healthy."""
        scales = [part for name, count in (scale or {}).items() for part in ("--scale", f"{name}={count}")]
        self.must("up", "--detach", "--no-build", *scales, *services, within_s=within_s)
        self.wait_healthy(within_s=within_s)

    def down(self, *, volumes: bool = True) -> None:
        """Stop and remove the project, its data too unless `volumes` is false."""
        runs = docker("ps", "--all", "--quiet", *self._of("oneoff=True"))
        if runs:
            # Compose leaves a run that is still going, and then the network and the volume that it uses.
            docker("rm", "--force", *runs.split())
        flags = ["--volumes"] if volumes else []
        self.must("down", "--remove-orphans", "--timeout", 40, *flags)
        if volumes:
            left = docker("volume", "ls", "--quiet", *self._of()) + docker("network", "ls", "--quiet", *self._of())
            assert not left, f"`docker compose down --volumes` left {left}"

    def run(self, *command: object, within_s: float = WITHIN_S) -> Ended:
        """Run a command in a container of its own beside the running services: `run("paperless", "rates")`."""
        return self.compose("run", "--rm", "--no-deps", "--no-TTY", self._demo, *command, within_s=within_s)

    def send(self, *arguments: object) -> None:
        """`paperless send` until all is with the broker."""
        ended = self.run("paperless", "send", *arguments)
        assert ended.code == 0, (ended, self.state())

    def verify(self, *arguments: object, within_s: float = WITHIN_S) -> tuple[int, dict[str, Any]]:
        """The exit code of `paperless verify` and what it says as JSON."""
        command = f"paperless verify --json /tmp/verdict {' '.join(map(str, arguments))} 1>&2; code=$?"
        ended = self.run("sh", "-c", f"{command}; cat /tmp/verdict; exit $code", within_s=within_s)
        assert ended.code in {0, 1}, (ended, self.state())
        return ended.code, json.loads(ended.out)

    def exec(self, service: str, *command: object, index: int = 1, within_s: float = 60.0) -> Ended:
        """Run a command inside a running container."""
        return self.compose("exec", "--no-TTY", f"--index={index}", service, *command, within_s=within_s)

    def containers(self, service: str, *, stopped: bool = False) -> list[str]:
        """The containers of a service, in the order of their numbers."""
        flags = ["--all"] if stopped else []
        wanted = self._of(f"service={service}", "oneoff=False")
        listed = docker("ps", *flags, *wanted, "--format", "{{.Names}}")
        return sorted(listed.split(), key=lambda name: int(name.rpartition("-")[2]))

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine says of a container."""
        found: dict[str, Any] = json.loads(docker("inspect", container))[0]
        return found

    def kill(self, service: str, index: int = 1) -> None:
        """kill -9 of a container by its operator: it stays down until `up` or `start`."""
        docker("kill", self._container(service, index))

    def crash(self, service: str, index: int = 1) -> None:
        """Kill -9 of a service's process: the container ends, and its restart policy decides."""
        container = self._container(service, index)
        before = self.inspect(container)["State"]["StartedAt"]
        self.exec(service, "python", "-c", CRASH, index=index)
        eventually(lambda: self.inspect(container)["State"]["StartedAt"] != before)

    def stop(self, service: str, index: int = 1) -> int:
        """SIGTERM, then SIGKILL after the service's grace time; the exit code."""
        container = self._container(service, index)
        docker("stop", "--time", 40, container)
        return int(self.inspect(container)["State"]["ExitCode"])

    def start(self, service: str, index: int = 1) -> None:
        """Start a container that was stopped or killed."""
        docker("start", self._container(service, index, stopped=True))

    def pause(self, service: str, index: int = 1) -> None:
        """Freeze a container: its connections stay open and nothing answers."""
        container = self._container(service, index)
        # The kernel cannot freeze what is starting a process just then, a health check for example.
        eventually(
            lambda: subprocess.run(["docker", "pause", container], capture_output=True, check=False).returncode == 0
        )

    def unpause(self, service: str, index: int = 1) -> None:
        """Let a frozen container go on."""
        docker("unpause", self._container(service, index))

    def disconnect(self, service: str, network: str = "log", index: int = 1) -> None:
        """Cut a container off from a network of the project: log, store or front."""
        docker("network", "disconnect", f"{self.project}_{network}", self._container(service, index))

    def connect(self, service: str, network: str = "log", index: int = 1) -> None:
        """Put a container back on a network, under the name by which the others know it."""
        docker("network", "connect", "--alias", service, f"{self.project}_{network}", self._container(service, index))

    def logs(self, *services: str, tail: int = 50) -> str:
        """The last lines of the services' logs."""
        return self.compose("logs", "--no-color", "--tail", tail, *services).out

    def state(self) -> str:
        """What an operator would look at first; for a failure's report."""
        return f"{self.compose('ps', '--all').out}\n{self.logs()}"

    def healthy(self) -> bool:
        """Whether every container that should run does and, where it has a health check, is healthy."""
        return all(_fine(row) for row in self.status())

    def status(self) -> list[dict[str, Any]]:
        """The project's containers as `docker compose ps` tells them."""
        return [json.loads(line) for line in self.must("ps", "--all", "--format", "json").splitlines()]

    def wait_healthy(self, *, within_s: float = WITHIN_S) -> None:
        """Wait until everything is healthy."""
        eventually(self.healthy, within_s)

    def get(self, path: str, *, port: int | None = None) -> Any:
        """The JSON that the scoring API (or another published port) answers, None while it does not."""
        try:
            with http_client(f"http://127.0.0.1:{port or self.api_port}", timeout_s=10) as client:
                answer = client.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def decided(self) -> int:
        """How many applications the live store holds now."""
        rates = self.get("/rates?authority=all")
        return int(rates["total"]["applications"]) if rates else 0

    def consumed(self) -> int:
        """How many outcomes scoring has taken from the log; repeats move it too, unlike `decided`."""
        health = self.get("/health")
        return sum(health["next_offsets"].values()) if health else 0

    def _of(self, *labels: str) -> list[str]:
        """Options of `docker ps`: the project's containers with these labels of Compose."""
        return [part for one in (f"project={self.project}", *labels) for part in ("--filter", f"{LABEL}.{one}")]

    def _container(self, service: str, index: int, *, stopped: bool = False) -> str:
        found = [name for name in self.containers(service, stopped=stopped) if name.endswith(f"-{index}")]
        assert found, f"no container {index} of {service}: {self.containers(service, stopped=True)}"
        return found[0]


def _fine(row: Mapping[str, Any]) -> bool:
    if row["State"] == "exited":
        return bool(row["ExitCode"] == 0)
    return bool(row["State"] == "running" and row["Health"] in {"", "healthy"})
