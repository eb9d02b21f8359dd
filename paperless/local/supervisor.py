"""Runs broker and services as processes of this machine, and leaves nothing behind.

`async with LocalSystem(options) as system:` supervises in the calling process; `python -m paperless.local.supervisor
--state DIR` is the same as a process of its own, which `detached.start` launches.
"""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from paperless.local.broker import EmbeddedBroker
from paperless.local.errors import LocalSystemError
from paperless.local.fleet import BROKER, Fleet, ProcessView
from paperless.local.health import wait_ready
from paperless.local.layout import Layout, LocalOptions, Site, services
from paperless.local.memory import check_memory
from paperless.local.ports import Ports
from paperless.local.processes import Usage
from paperless.local.state import DirectoryLock, RunState, StateDirectory, Status, this_process
from runtime.settings import KafkaAccess

TEND_EVERY_S = 0.1
SAMPLE_EVERY_S = 1.0
# The shell's convention for "ended by signal n".
EXIT_BY_SIGNAL = 128
CreateTopics = Callable[[KafkaAccess], Awaitable[object]]


class LocalSystem:
    """The embedded system, from entering (returns when every service is ready) to leaving (nothing is left).

    Entering raises a `LocalSystemError`: directory in use, port taken, disk full, not enough memory, broker or service
    not starting. When the broker dies or a service refuses to go on (exit code 78), the body is cancelled and leaving
    raises `BrokerError` or `ServiceFailedError`. SIGTERM and SIGHUP stop the system and raise `SystemExit`.
    Enter it in the main thread. `tell` hears one sentence per event worth showing.
    """

    def __init__(
        self,
        options: LocalOptions,
        *,
        layout: Layout = services,
        create_topics: CreateTopics | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.options = options
        self.directory = StateDirectory(options.state_dir)
        self.run_id = secrets.token_hex(4)
        self.address = ""
        self.endpoints: Mapping[str, str] = {}
        self._layout, self._create_topics, self._tell = layout, create_topics, tell
        self._ports = Ports(options.ports)
        self._fleet = Fleet(tell)
        self._status = Status.STARTING
        self._started_at = datetime.now(UTC)
        self._ending: BaseException | None = None
        self._owner: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._held = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        try:
            await self._start()
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    def processes(self) -> tuple[ProcessView, ...]:
        """The broker and every service, with its current pid and how often it was restarted."""
        return self._fleet.views()

    def rss_and_cpu(self) -> Mapping[str, Usage]:
        """Per process: peak memory in bytes, CPU seconds, lives before a restart included."""
        return self._fleet.usage()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process. Raises `LocalSystemError` for a name that is not there."""
        self._fleet.kill(name, number)

    async def wait_ready(self, within_s: float | None = None) -> None:
        """Return when every service is ready (again); raises `NotReadyError` after `within_s` seconds."""
        specs = [keeper.spec for keeper in self._fleet.keepers.values()]
        await wait_ready(specs, self.directory.log, within_s or self.options.ready_within_s)

    async def _start(self) -> None:
        check_memory(self.options.applications)
        self.directory.create()
        self._held.enter_context(DirectoryLock(self.directory))
        self._held.enter_context(_on_stop_signals(self._end))
        for pid in self.directory.clean():
            self._tell(f"stopped process {pid}, left over from an earlier run")
        self._record()
        broker = await self._start_broker()
        if self._create_topics is not None:
            await self._create_topics(KafkaAccess(kafka_servers=self.address))
        self._start_services(broker)
        self._watch = asyncio.create_task(self._tend(), name="supervisor")
        await self.wait_ready()
        self._status, self._fleet.starting = Status.HEALTHY, False
        self._record()

    async def _start_broker(self) -> EmbeddedBroker:
        broker = EmbeddedBroker(self._ports.take(BROKER), self.directory.log(BROKER))
        self._fleet.broker = broker
        await broker.start()
        self.address = broker.address
        return broker

    def _start_services(self, broker: EmbeddedBroker) -> None:
        site = Site(
            options=self.options,
            kafka_servers=broker.address,
            capabilities=broker.capabilities,
            store_url=self.directory.store_url,
            signing_key=self.directory.signing_key(),
            ports=self._ports,
        )
        specs = self._layout(site)
        self.endpoints = {spec.name: spec.url for spec in specs}
        for spec in specs:
            self._fleet.start(spec, self.directory.log(spec.name))
            self._record()

    async def _tend(self) -> None:
        recorded = 0.0
        try:
            while True:
                now = time.monotonic()
                if self._fleet.tend(now) or now - recorded > SAMPLE_EVERY_S:
                    recorded = now
                    self._record()
                await asyncio.sleep(TEND_EVERY_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, services must not run on untended
            self._end(error)

    def _end(self, reason: BaseException) -> None:
        """Wake the body up; the first reason is the one that leaving reports."""
        if self._ending is None and self._owner is not None:
            self._ending = reason
            self._owner.cancel()

    async def _leave(self, error: BaseException | None) -> None:
        """Stop everything even when cancelled meanwhile; then turn our own cancellation into its reason.

        A second Ctrl-C cancels the stopping itself, which then does not wait for the grace time.
        """
        stopping = asyncio.ensure_future(self._stop(error))
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()
        if self._ending is not None and (error is None or isinstance(error, asyncio.CancelledError)):
            if self._owner is not None:
                self._owner.uncancel()
            raise self._ending from None

    async def _stop(self, error: BaseException | None) -> None:
        with self._held:
            if self._watch is not None:
                self._watch.cancel()
            try:
                await self._fleet.stop(self.options.grace_s)
            finally:
                self._close_state(self._ending or error)

    def _close_state(self, reason: BaseException | None) -> None:
        state = self.directory.read()
        if state is None or state.run_id != self.run_id:  # another supervisor's: we never held the lock
            return
        if not isinstance(reason, LocalSystemError):
            self.directory.forget()
            return
        self._status = Status.FAILED
        # A disk that is full must not hide why the run failed.
        with contextlib.suppress(LocalSystemError):
            self._record(str(reason))

    def _record(self, reason: str = "") -> None:
        self.directory.write(
            RunState(
                run_id=self.run_id,
                status=self._status,
                reason=reason,
                seed=self.options.seed,
                plan=self.options.plan,
                started_at=self._started_at,
                supervisor=this_process(),
                address=self.address,
                ports=self._ports.taken,
                endpoints=self.endpoints,
                processes=self._fleet.states(),
            )
        )


@contextlib.contextmanager
def _on_stop_signals(end: Callable[[BaseException], None]) -> Iterator[None]:
    """SIGTERM and SIGHUP end the run in order. (SIGINT already cancels the main task, by `asyncio.run`.)"""
    loop, installed = asyncio.get_running_loop(), []
    for number in (signal.SIGTERM, signal.SIGHUP):
        before = signal.getsignal(number)
        # Only the main thread may; elsewhere the caller handles signals.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, end, SystemExit(EXIT_BY_SIGNAL + number))
            installed.append((number, before))
    try:
        yield
    finally:
        for number, before in installed:
            loop.remove_signal_handler(number)
            signal.signal(number, before)


if __name__ == "__main__":
    from paperless.local.detached import main

    main()
