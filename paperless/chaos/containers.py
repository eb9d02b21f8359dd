"""Faults of containers of a compose project, by the Docker Engine's HTTP API on its unix socket.

Compose restarts what ended by itself only; what the engine killed or stopped for us, it starts again for us.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from paperless.chaos.plan import Fault, Kind
from paperless.chaos.port import ChaosError

SOCKET: Final = Path("/var/run/docker.sock")
LABEL: Final = "com.docker.compose"
# Longer than what a container gets to end by itself.
ANSWER_WITHIN_S: Final = 180.0
GRACE_S: Final = 30
# The kernel cannot freeze what is starting a process just then, a health check for example; a service that waits for
# its broker is started again with growing pauses, of a minute at most.
TRIES, AGAIN_S = 480, 0.25
_NOT_MODIFIED: Final = 304
# So it is already, or by a request whose answer came too late.
_DONE: Final = ("is already paused", "is not paused", "already exists in network", "is not connected to")


class ContainerFaults:
    """The port of a compose project; an async context manager.

    Raises:
        ChaosError: on entering, when the engine does not answer or no container of the project runs.

    """

    def __init__(self, project: str, engine: httpx.AsyncBaseTransport) -> None:
        self._project = project
        self._client = httpx.AsyncClient(transport=engine, base_url="http://engine", timeout=ANSWER_WITHIN_S)

    @classmethod
    def of(cls, project: str, socket: Path = SOCKET) -> Self:
        """Return the port of a project whose engine listens at this socket."""
        return cls(project, httpx.AsyncHTTPTransport(uds=str(socket)))

    async def __aenter__(self) -> Self:
        try:
            await self._check()
        except BaseException:
            await self._client.aclose()
            raise
        return self

    async def _check(self) -> None:
        if not await self._containers():
            raise ChaosError(f"project {self._project}: no container of it; name another with --containers")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    @property
    def joined(self) -> Mapping[str, str]:
        """Nobody: a container needs Compose to join."""
        return {}

    def hold(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Return the context in which a fault lasts."""
        match fault.kind:
            case Kind.KILL:
                return self._between(fault, "kill?signal=KILL", "start")
            case Kind.STOP:
                return self._between(fault, f"stop?t={GRACE_S}", "start")
            case Kind.FREEZE | Kind.LONG_FREEZE | Kind.SILENCE:
                return self._between(fault, "pause", "unpause")
            case Kind.DISCONNECT:
                return self._cut_off(fault)
            case Kind.BURST:
                # In the schedule of the arrivals: nothing is done to the system.
                return nullcontext()
            case _:
                raise ChaosError(f"{fault.kind}: containers know no such fault")

    @asynccontextmanager
    async def _between(self, fault: Fault, begin: str, end: str) -> AsyncIterator[None]:
        container = await self._container(fault.part)
        await self._until_done(f"/containers/{container}/{begin}")
        try:
            yield
        finally:
            await self._until_done(f"/containers/{container}/{end}")

    @asynccontextmanager
    async def _cut_off(self, fault: Fault) -> AsyncIterator[None]:
        container = await self._container(fault.part)
        network = f"/networks/{self._project}_{fault.target.partition('/')[2]}"
        await self._do(f"{network}/disconnect", {"Container": container})
        try:
            yield
        finally:
            # Under the name by which the others know it.
            again = {"Container": container, "EndpointConfig": {"Aliases": [fault.part]}}
            await self._do(f"{network}/connect", again)

    async def _container(self, service: str) -> str:
        """Return the first container of a service."""
        found = [each for each in await self._containers() if each["Labels"][f"{LABEL}.service"] == service]
        if not found:
            raise ChaosError(f"project {self._project}: no container of {service} runs; start the system first")
        first = min(found, key=lambda each: int(each["Labels"][f"{LABEL}.container-number"]))
        return str(first["Id"])

    async def _containers(self) -> list[dict[str, Any]]:
        labels = [f"{LABEL}.project={self._project}", f"{LABEL}.oneoff=False"]
        answer = await self._ask(
            "GET", "/containers/json", params={"all": "true", "filters": json.dumps({"label": labels})}
        )
        containers: list[dict[str, Any]] = answer.json()
        return containers

    async def _until_done(self, path: str) -> None:
        for tried in range(TRIES):
            try:
                return await self._do(path)
            except ChaosError:
                if tried == TRIES - 1:
                    raise
            await asyncio.sleep(AGAIN_S)
        return None

    async def _do(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **given)
        except httpx.HTTPError as error:
            raise ChaosError(
                f"the container engine does not answer ({str(error) or type(error).__name__}); is its socket mounted,"
                " and may this user write to it?"
            ) from error
        done = answer.is_success or answer.status_code == _NOT_MODIFIED or any(said in answer.text for said in _DONE)
        if not done:
            raise ChaosError(f"the container engine refuses {path}: HTTP {answer.status_code} {answer.text.strip()}")
        return answer
