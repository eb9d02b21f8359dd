"""Runs broker and services as processes of this machine, and leaves nothing behind.

The supervisor is a process of its own: `system.start` launches it with the command of an entry module, which calls
`main` (`paperless/supervise.py`; tests have another one).
"""

import asyncio
import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import structlog

from paperless.local.broker import EmbeddedBroker
from paperless.local.errors import LocalSystemError
from paperless.local.health import wait_ready
from paperless.local.layout import Layout, LayoutInputs, LocalOptions, services
from paperless.local.ports import Ports
from paperless.local.process_group import BROKER, ProcessGroup
from paperless.local.state import SUPERVISOR, RunState, StateDirectory, Status, this_process
from runtime.command_line import EXIT_BY_SIGNAL, unfailing_stderr
from runtime.settings import KafkaAccess

CHECK_EVERY_S = 0.1
SAMPLE_EVERY_S = 1.0
EXIT_FAILED = 1
Prepare = Callable[[KafkaAccess], Awaitable[object]]
_log = structlog.get_logger(SUPERVISOR)


def main(options: LocalOptions, *, layout: Layout = services, prepare: Prepare | None = None) -> NoReturn:
    """Supervise until a signal; exits with 128 + its number, or with 1 when the run failed.

    `prepare` is called when the broker answers and no service runs yet, to create topics. What its users should hear
    of stands as a warning in the log.
    """
    unfailing_stderr()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    try:
        code = asyncio.run(_until_signal(supervise(options, layout=layout, prepare=prepare, tell=_log.warning)))
    except LocalSystemError as error:
        sys.stderr.write(f"{error}\n")
        code = EXIT_FAILED
    sys.exit(code)


async def _until_signal(work: Coroutine[Any, Any, NoReturn]) -> int:
    """Cancel the work at the first signal; a second one cancels its clean-up, which then no longer waits."""
    working, received = asyncio.ensure_future(work), list[int]()

    def on_signal(number: int) -> None:
        received.append(number)
        working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return EXIT_BY_SIGNAL + received[0]


async def supervise(
    options: LocalOptions,
    *,
    layout: Layout = services,
    prepare: Prepare | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> NoReturn:
    """Run the system until cancelled, and then leave nothing of it; `state.json` says how far it is.

    Raises a `LocalSystemError` when it cannot start or go on: directory in use, port taken, disk full, broker dead, a
    service that is not ready in time or refuses to go on (exit code 78). Its text stays in `state.json` as the reason.
    `tell` hears one sentence per event worth showing. Cancelled again while it stops, it kills what has not ended yet.
    """
    directory = StateDirectory(options.state_dir)
    directory.create()
    with directory.lock():
        for pid in directory.clean():
            tell(f"stopped process {pid}, left over from an earlier run")
        await _Supervisor(options, directory, tell).run(layout, prepare)


class _Supervisor:
    """One run, in a directory whose lock is held."""

    def __init__(self, options: LocalOptions, directory: StateDirectory, tell: Callable[[str], object]) -> None:
        self._options, self._directory, self._tell = options, directory, tell
        self._ports = Ports(options.ports)
        self._processes = ProcessGroup(tell)
        self._state = RunState(
            run_id=secrets.token_hex(4),
            status=Status.STARTING,
            seed=options.seed,
            plan=options.plan,
            started_at=datetime.now(UTC),
            supervisor=this_process(),
        )

    async def run(self, layout: Layout, prepare: Prepare | None) -> NoReturn:
        try:
            # Once it can be written; later, that it cannot be is no reason to end the run.
            self._directory.write(self._state)
            await self._start(layout, prepare)
            await self._check_on()
        except LocalSystemError as error:
            # Whoever works with the system hears of it before the services have stopped.
            self._record(status=Status.FAILED, reason=str(error))
            raise
        finally:
            try:
                await self._processes.stop(self._options.grace_s)
            finally:
                if self._state.status is not Status.FAILED:
                    with contextlib.suppress(LocalSystemError):
                        self._directory.forget()

    async def _start(self, layout: Layout, prepare: Prepare | None) -> None:
        broker = EmbeddedBroker(self._ports.take(BROKER), self._directory.log(BROKER))
        self._processes.broker = broker
        await broker.start()
        self._record(address=broker.address, broker=broker.kind.name)
        if prepare is not None:
            await prepare(KafkaAccess(kafka_servers=broker.address))
        specs = layout(
            LayoutInputs(
                options=self._options,
                kafka_servers=broker.address,
                capabilities=broker.kind.capabilities,
                store_url=self._directory.store_url,
                signing_key=self._directory.signing_key(),
                ports=self._ports,
            )
        )
        self._record(endpoints={spec.name: spec.url for spec in specs})
        for spec in specs:
            self._processes.start(spec, self._directory.log(spec.name))
            self._record()

    async def _check_on(self) -> NoReturn:
        """Check the processes for ever; whether all are ready is asked beside it, until they are."""
        specs = [service.spec for service in self._processes.services.values()]
        ready = asyncio.create_task(wait_ready(specs, self._directory.log, self._options.ready_within_s))
        recorded = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if self._processes.check(now) or now - recorded > SAMPLE_EVERY_S:
                    recorded = now
                    self._record()
                if self._processes.starting and ready.done():
                    ready.result()
                    self._processes.starting = False
                    self._record(status=Status.HEALTHY)
                    _log.info("the system is ready", address=self._state.address, **self._state.endpoints)
                await asyncio.sleep(CHECK_EVERY_S)
        finally:
            ready.cancel()

    def _record(self, **changes: Mapping[str, str] | str) -> None:
        processes = {"ports": self._ports.taken, "processes": self._processes.states()}
        self._state = self._state.model_copy(update={**processes, **changes})
        trouble = self._write()
        if trouble != self._state.trouble:
            self._state = self._state.model_copy(update={"trouble": trouble})
            self._write()
            self._tell(trouble or "state and logs can be written again")

    def _write(self) -> str:
        """Write the state and return what is wrong with that; empty: nothing."""
        try:
            return self._directory.write(self._state)
        except LocalSystemError as error:
            return str(error)
