"""The system in containers as its operator has it: `docker compose`, `docker`, and what the published ports answer.

    with Compose("my-test", image=image) as system:     # removed at the end, its logs shown if the test failed
        system.up()                             # every service healthy
        system.send("--applications", 3000)
        system.kill("intake")                   # kill -9 of the container, or pause, disconnect, crash ...
        system.up()
        code, verdict = system.verify()         # `paperless verify` in a container

For faults in a cluster: `Compose("my-test", image=image, files=(BASE, CLUSTER))`, then `kill("kafka-2")`.
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
from paperless.testing.kafka import QUICK_JAVA
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
BROKERS = ("kafka", "kafka-2", "kafka-3")
TOPICS = "/opt/kafka/bin/kafka-topics.sh"
UNDER_MIN_INSYNC = (TOPICS, "--describe", "--under-min-isr-partitions", "--bootstrap-server")
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
    ended = _ended(["docker", *map(str, arguments)], within_s)
    assert ended.code == 0, (arguments, ended)
    return ended.out.strip()


def _ended(command: Sequence[str], within_s: float, env: Mapping[str, str] | None = None) -> Ended:
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


class Compose:
    """One compose project on ports of its own; a context manager that leaves nothing behind.

    `runner` is the service whose container runs commands beside the others.
    """

    def __init__(
        self,
        project: str,
        *,
        image: str,
        files: Sequence[str] = (BASE,),
        env: Mapping[str, str] | None = None,
        runner: str = "demo",
    ) -> None:
        self.project, self.runner = project, runner
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
            "PAPERLESS_IMAGE": image,
            "PAPERLESS_KAFKA_JVM": QUICK_JAVA,
        }
        self.env = {**os.environ, **{name: str(value) for name, value in given.items()}, **(env or {})}

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
        return _ended(command, within_s, self.env)

    def must(self, *arguments: object, within_s: float = WITHIN_S) -> str:
        """Run a `docker compose` command that has to succeed; its output."""
        ended = self.compose(*arguments, within_s=within_s)
        assert ended.code == 0, (arguments, ended, self.state())
        return ended.out

    def start_run(self, *command: object) -> "subprocess.Popen[str]":
        """Start a command in a container of its own and return at once: traffic that goes on under a fault."""
        files = [part for file in self.files for part in ("--file", str(ROOT / file))]
        arguments = ["run", "--rm", "--no-deps", "--no-TTY", self.runner, *map(str, command)]
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
        return self.compose("run", "--rm", "--no-deps", "--no-TTY", self.runner, *command, within_s=within_s)

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
        # Not `docker compose exec`, which reads all files first: half a second of processor time, and tests ask often.
        return _ended(["docker", "exec", self._container(service, index), *map(str, command)], within_s)

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
        docker("start", self._container(service, index))

    def pause(self, service: str, index: int = 1) -> None:
        """Freeze a container: its connections stay open and nothing answers."""
        container = self._container(service, index)
        # The kernel cannot freeze what is starting a process just then, and the engine waits a minute for one that it
        # caught at its start. What is healthy has one long health check, anything else starts one again and again.
        eventually(lambda: self.inspect(container)["State"]["Health"]["Status"] == "healthy", WITHIN_S)
        eventually(
            lambda: subprocess.run(["docker", "pause", container], capture_output=True, check=False).returncode == 0
        )

    def unpause(self, service: str, index: int = 1) -> None:
        """Let a frozen container go on."""
        docker("unpause", self._container(service, index))

    def disconnect(self, service: str, *networks: str) -> None:
        """Cut a container off from networks of the project: log and host, which brokers share, store or front."""
        for network in networks:
            docker("network", "disconnect", f"{self.project}_{network}", self._container(service, 1))

    def connect(self, service: str, *networks: str) -> None:
        """Put a container back on networks, under the name by which the others know it."""
        for network in networks:
            docker("network", "connect", "--alias", service, f"{self.project}_{network}", self._container(service, 1))

    def logs(self, *services: str, tail: int = 50) -> str:
        """The last lines of the services' logs."""
        return self.compose("logs", "--no-color", "--tail", tail, *services).out

    def state(self) -> str:
        """What an operator would look at first, the most telling last; for a failure's report."""
        containers = docker("ps", "--all", *self._of("oneoff=False"), "--format", "{{.Names}}").split()
        checks = [f"{name}: {said}" for name in sorted(containers) if (said := _failed_check(self.inspect(name)))]
        return "\n".join([self.logs(tail=8), self.compose("ps", "--all").out, *checks, self._partitions()])

    def _partitions(self) -> str:
        """The partitions whose records cannot be acknowledged, or why nobody could say."""
        brokers = [name for service in BROKERS for name in self.containers(service)]
        servers = ",".join(f"{service}:9092" for service in BROKERS)
        asked = [_ended(["docker", "exec", broker, *UNDER_MIN_INSYNC, servers], within_s=60) for broker in brokers[-1:]]
        return "\n".join(f"{answer.out}{answer.err}"[-1500:] or "every partition has its replicas" for answer in asked)

    def healthy(self) -> bool:
        """Whether every container that should run does and, where it has a health check, is healthy."""
        states = docker("ps", "--all", *self._of("oneoff=False"), "--format", "{{.State}} {{.Status}}").splitlines()
        return bool(states) and all(map(_fine, states))

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

    def _container(self, service: str, index: int) -> str:
        return f"{self.project}-{service}-{index}"


def _failed_check(inspected: dict[str, Any]) -> str:
    """What a container's health check said last, as `docker inspect` has it; empty where it found nothing amiss."""
    checks = (inspected["State"].get("Health") or {}).get("Log") or [{"ExitCode": 0}]
    return f"exit {checks[-1]['ExitCode']}, {checks[-1]['Output'][-500:].strip()}" if checks[-1]["ExitCode"] else ""


def _fine(state: str) -> bool:
    """Whether a container's state is one to go on with: `exited Exited (0) 2 minutes ago`, `running Up 3 seconds`."""
    if state.startswith("exited "):
        return "(0)" in state
    return state.startswith("running ") and "(unhealthy)" not in state and "(health: starting)" not in state
