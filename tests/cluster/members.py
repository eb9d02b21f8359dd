"""Members of the services as processes of the simulation, wired as their own processes wire them, and supervised."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import SecretStr

from runtime.consumer import PartitionConsumer
from runtime.errors import FatalError
from runtime.health import unready_reasons
from runtime.tracing import Tracing
from services.intake import app as intake_app
from services.intake.settings import IntakeSettings
from services.scoring import app as scoring_app
from services.scoring.settings import ScoringSettings
from services.vneid_mock import app as mock_app
from services.vneid_mock.settings import VneidSettings
from tests.cluster.network import Network
from tests.cluster.simulated_loop import Process

SERVICES = ("intake", "vneid_mock", "scoring")
EXIT_FATAL = 78
GRACE_S = 30.0
_SIGNING_KEY = SecretStr("a-key-of-the-simulation")


class Options(NamedTuple):
    """What the members of one history are told; `fetch_wait_ms` only sets how often an idle member asks."""

    servers: str
    partitions: int
    store: str
    plan: str
    seed: int
    max_open: int = 1_000
    fetch_wait_ms: int = 500
    idempotent: bool = True

    def kafka(self) -> dict[str, Any]:
        """Return the settings that all services share."""
        return {
            "kafka_servers": self.servers,
            "partitions": self.partitions,
            "fetch_max_wait_ms": self.fetch_wait_ms,
            "idempotent_producer": self.idempotent,
        }


class Wired(NamedTuple):
    """A service that is wired and not started."""

    app: Any
    consumer: PartitionConsumer
    shutdown: Any


def wire(service: str, options: Options, client: str) -> Wired:
    """Wire a member of a service as its process does."""
    shared = {**options.kafka(), "client_id": client}
    if service == "intake":
        settings = IntakeSettings(**shared, signing_key=_SIGNING_KEY, max_open=options.max_open)
        built = intake_app.build(settings, tracing=Tracing())
        return Wired(built.app, built.kernel, built.shutdown)
    if service == "vneid_mock":
        mock = mock_app.build(VneidSettings(**shared, plan=options.plan, seed=options.seed), tracing=Tracing())
        return Wired(mock.app, mock.kernel, mock.shutdown)
    scoring = scoring_app.build(ScoringSettings(**shared, store=options.store), tracing=Tracing())
    return Wired(scoring.app, scoring.writer, scoring.shutdown)


class _Server:
    """Stands for uvicorn's server: the consumer asks it to end the process."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @property
    def should_exit(self) -> bool:
        """Whether it was asked."""
        return self.asked.is_set()

    @should_exit.setter
    def should_exit(self, _: bool) -> None:
        self.asked.set()


class SupervisedMember:
    """A member that is started again whenever it ends, but for the exit code of a fatal error, as its supervisor does.

    Attributes:
        process: what runs now, None between two.
        consumer: of that process, None before it is wired.
        fatal: why it stopped for good.

    """

    def __init__(
        self,
        name: str,
        service: str,
        options: Options,
        network: Network,
        tell: Callable[[str], None],
    ) -> None:
        self.name, self.service, self._options = name, service, options
        self._loop, self._network, self._tell = network.loop, network, tell
        self.process: Process | None = None
        self.consumer: PartitionConsumer | None = None
        self.fatal: str | None = None
        self._server: _Server | None = None

    def start(self) -> None:
        """Start a process now."""
        if self.fatal or self.process is not None:
            return
        self.process = process = Process(self.name)
        self.consumer = None
        self._tell(f"{self.name} starts")
        task = self._loop.spawn(process, self._main())
        task.add_done_callback(lambda ended: self._ended(process, ended), context=self._loop.world)

    async def _main(self) -> int:
        self._server = server = _Server()
        wired = wire(self.service, self._options, self.name)
        self.consumer = wired.consumer
        wired.shutdown.server = server
        try:
            await wired.app.start()
        except FatalError:
            return EXIT_FATAL
        await server.asked.wait()
        await wired.app.stop()
        if wired.consumer.fatal:
            return EXIT_FATAL
        return 1 if wired.consumer.broken else 0

    def _ended(self, process: Process, task: "asyncio.Task[int]") -> None:
        if process is not self.process:
            return
        self._network.forget(process)
        process.kill()
        self.process = None
        # Cancelled from within, which Python does not call an exception of the task, it ends as badly.
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        code = 1 if failure else task.result()
        self._tell(f"{self.name} ends with {code}" + (f": {failure!r}" if failure else ""))
        if code == EXIT_FATAL:
            self.fatal = (self.consumer.fatal if self.consumer else None) or "a fatal error at start"
        else:
            self._loop.in_world(self.start, after=1.0)

    def kill(self, restart_after_s: float = 1.0) -> None:
        """End the process as SIGKILL does and start another one later."""
        if self.process is None:
            return
        self._tell(f"{self.name} is killed")
        self._network.forget(self.process)
        self.process.kill()
        self.process = self.consumer = None
        self._loop.in_world(self.start, after=restart_after_s)

    def stop(self) -> None:
        """End the process as SIGTERM does, with SIGKILL after the grace period; it is started again."""
        process = self.process
        if process is None or self._server is None:
            return
        self._tell(f"{self.name} is asked to stop")
        self._loop.call_soon(self._server.asked.set, context=self._loop.context_of(process))
        self._loop.in_world(lambda: self.kill() if self.process is process else None, after=GRACE_S)

    def unready(self) -> list[str]:
        """Return why it is not ready, as /health says."""
        if self.process is None:
            return ["not running"]
        return unready_reasons(self.consumer) if self.consumer else ["starting"]
