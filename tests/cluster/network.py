"""The network between processes and brokers: connections with latency, that are cut, slow, or break."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.cluster.draws import Draws
from tests.cluster.simulated_loop import CURRENT, Process, SimulatedLoop

LATENCY_S = (0.0005, 0.004)
_UNREACHABLE_S = 3.0


class Server(Protocol):
    """A broker, as the network sees it."""

    host: str
    up: bool

    def receive(self, frame: bytes, connection: "Connection") -> None:
        """Take a request, and call `connection.answer` once when it is done with it."""


@dataclass(slots=True)
class Link:
    """The way between one process and one broker. What is sent while it is cut arrives when it is mended."""

    cut: bool = False
    slower: float = 1.0
    held: deque[Callable[[], None]] = field(default_factory=deque)


class Network:
    """All connections; replaces the loop's `create_connection`."""

    def __init__(self, loop: SimulatedLoop, draws: Draws) -> None:
        self.loop, self._draws = loop, draws
        self.servers: dict[str, Server] = {}
        self.connections: list[Connection] = []
        # The first error of a broker, which would otherwise look like one that keeps silent.
        self.error: Exception | None = None
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, process: str, host: str) -> Link:
        """Return the way between a process and a broker, by name."""
        return self._links.setdefault((process, host), Link())

    def mend(self, process: str, host: str) -> None:
        """Let what was held back arrive, and all that follows."""
        link = self.link(process, host)
        link.cut, link.slower = False, 1.0
        while link.held:
            link.held.popleft()()

    def break_connections(self, chosen: Callable[["Connection"], bool]) -> None:
        """Reset connections: both ends are told."""
        for connection in [connection for connection in self.connections if chosen(connection)]:
            connection.reset()

    def forget(self, process: Process) -> None:
        """Close the connections of a killed process, as its operating system does."""
        for connection in [each for each in self.connections if each.process is process]:
            connection.end()

    async def connect(self, factory: Callable[[], Any], host: str, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Open a connection of the running process, as `loop.create_connection` does."""
        process = CURRENT.get()
        name = process.name if process else "world"
        server, link = self.servers[host], self.link(name, host)
        await asyncio.sleep(self._draws.of(f"connect/{name}/{host}").uniform(*LATENCY_S) * link.slower)
        if link.cut:
            await asyncio.sleep(_UNREACHABLE_S)
            raise TimeoutError(f"{host} is unreachable")
        if not server.up:
            raise ConnectionRefusedError(f"{host} refuses")
        protocol = factory()
        latency = self._draws.of(f"latency/{name}/{host}")
        connection = Connection(self, server, link, protocol, lambda: latency.uniform(*LATENCY_S))
        self.connections.append(connection)
        protocol.connection_made(connection)
        return connection, protocol


class Connection(asyncio.Transport):
    """A connection as its client's transport. Requests are answered one after the other, as Kafka does."""

    def __init__(
        self,
        network: Network,
        server: Server,
        link: Link,
        protocol: Any,
        latency: Callable[[], float],
    ) -> None:
        super().__init__()
        self._network, self.server, self._link, self.process = network, server, link, CURRENT.get()
        self._protocol, self._latency = protocol, latency
        self.client = self.process.name if self.process else "world"
        self._context = contextvars.copy_context()
        self._arrives = [0.0, 0.0]
        self._requests: deque[bytes] = deque()
        self._answering = False
        # What was sent before a process closes its connection, or dies, still arrives; not what a broken one had.
        self.open, self._lost = True, False

    def write(self, data: Any) -> None:
        """Send a request: aiokafka writes each as one piece."""
        if self.open:
            self._deliver(0, self._receive, bytes(data))

    def _deliver(self, way: int, then: Callable[..., None], *arguments: object) -> None:
        """Call after the latency, in the order of sending, and not while the link is cut."""
        loop = self._network.loop
        when = max(self._arrives[way], loop.time() + self._latency() * self._link.slower)
        self._arrives[way] = when
        loop.in_world(self._arrive, then, arguments, after=when - loop.time())

    def _arrive(self, then: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if self._link.cut or self._link.held:
            self._link.held.append(lambda: then(*arguments))
        else:
            then(*arguments)

    def _receive(self, frame: bytes) -> None:
        if not self.server.up or self._lost:
            return
        if self._answering:
            self._requests.append(frame)
        else:
            self._answering = True
            self.server.receive(frame, self)

    def answer(self, answer: bytes | None) -> None:
        """Send the answer to the request that the server has; None: none ever comes. The next one is its now."""
        if answer is not None and self.open:
            self._deliver(1, self._hand_over, answer)
        if self._requests:
            self.server.receive(self._requests.popleft(), self)
        else:
            self._answering = False

    def _hand_over(self, answer: bytes) -> None:
        if self.open:
            self._network.loop.call_soon(self._protocol.data_received, answer, context=self._context)

    def reset(self, error: Exception | None = None) -> None:
        """End the connection for both sides."""
        self._lost = True
        if self.end():
            broken = error or ConnectionResetError("the connection was reset")
            self._network.loop.call_soon(self._protocol.connection_lost, broken, context=self._context)

    def end(self) -> bool:
        """End the connection without telling the client; return whether it was open."""
        was_open, self.open = self.open, False
        if was_open:
            self._network.connections.remove(self)
        return was_open

    def close(self) -> None:
        """Close the client's side."""
        if self.end():
            self._network.loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close at once."""
        self.close()

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return not self.open

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return nothing: there is no socket."""
        return default
