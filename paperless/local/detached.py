"""A supervisor as a process of its own: `paperless up` starts it, `paperless down` stops it."""

import argparse
import asyncio
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from paperless.local.errors import AlreadyRunningError, LocalSystemError, NotRunningError, disk_errors
from paperless.local.fleet import ProcessView
from paperless.local.layout import LocalOptions, environment, module_command
from paperless.local.processes import Usage, with_tail
from paperless.local.state import SUPERVISOR, RunState, StateDirectory, Status, is_locked, kill_leftovers
from paperless.local.supervisor import LocalSystem

SERVICES = "paperless.local.layout:services"
POLL_S = 0.05
# On top of the services' grace: the broker's, and the supervisor's own way out.
STOP_MARGIN_S = 10.0
EXIT_FAILED = 1
# Supervisors that this process launched and left running: kept, so that stopping one here also reaps it.
_launched: list[subprocess.Popen[bytes]] = []


class AttachedSystem:
    """A running system seen from another process, through its state file; every reading is at most 1 s old."""

    def __init__(self, directory: StateDirectory) -> None:
        self.directory = directory

    @property
    def state(self) -> RunState:
        """Raises `NotRunningError`, with the reason if the run failed."""
        state = self.directory.read()
        if state is None or not state.supervisor.alive:
            why = f": {state.reason}" if state and state.reason else ""
            raise NotRunningError(f"nothing is running in {self.directory.path}{why}; start it with `paperless up`")
        return state

    @property
    def address(self) -> str:
        return self.state.address

    @property
    def endpoints(self) -> Mapping[str, str]:
        return self.state.endpoints

    def processes(self) -> tuple[ProcessView, ...]:
        return tuple(ProcessView(name, one.pid, one.restarts) for name, one in self.state.processes.items())

    def rss_and_cpu(self) -> Mapping[str, Usage]:
        return {name: Usage(one.peak_rss_bytes, one.cpu_s) for name, one in self.state.processes.items()}

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        processes = self.state.processes
        if name not in processes:
            raise LocalSystemError(f"no process {name!r} here; there are: {', '.join(processes)}")
        if processes[name].alive:
            os.kill(processes[name].pid, number)


def attach(state_dir: Path) -> AttachedSystem:
    """The system that runs in this directory; raises `NotRunningError` when none does."""
    system = AttachedSystem(StateDirectory(state_dir))
    _ = system.state
    return system


def start(options: LocalOptions, *, layout: str = SERVICES, create_topics: str = "") -> AttachedSystem:
    """Launch a supervisor that outlives us and return when its system is ready.

    `layout` and `create_topics` are named as `module:attribute`. Raises `AlreadyRunningError`, or a
    `LocalSystemError` with the supervisor's reason; nothing is left running then, nor after Ctrl-C.
    """
    directory = StateDirectory(options.state_dir)
    directory.create()
    if is_locked(directory):
        raise AlreadyRunningError(
            f"a system is already running in {directory.path}; stop it with `paperless down`, or use another --state"
        )
    process = _launch(directory, options, layout, create_topics)
    try:
        system = _until_ready(directory, process)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    _launched.append(process)
    return system


def _launch(
    directory: StateDirectory, options: LocalOptions, layout: str, create_topics: str
) -> subprocess.Popen[bytes]:
    command = module_command(
        "paperless.local.supervisor",
        *("--state", str(directory.path)),
        *("--options", options.model_dump_json(exclude={"state_dir"})),
        *("--layout", layout),
        *("--create-topics", create_topics),
    )
    log = directory.log(SUPERVISOR)
    with disk_errors(directory.path), log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), start_new_session=True
        )


def _until_ready(directory: StateDirectory, process: subprocess.Popen[bytes]) -> AttachedSystem:
    while True:
        ended = process.poll() is not None
        state = directory.read()
        own = state if state and state.supervisor.pid == process.pid else None
        if own and own.status is Status.HEALTHY and not ended:
            return AttachedSystem(directory)
        if ended:
            if own and own.reason:
                raise LocalSystemError(own.reason)
            raise LocalSystemError(with_tail("the supervisor could not start", directory.log(SUPERVISOR)))
        time.sleep(POLL_S)


def stop(state_dir: Path, grace_s: float = 10.0) -> tuple[str, ...]:
    """Stop what runs in this directory and return the names of its processes; empty when nothing ran.

    The supervisor gets `grace_s` plus a margin before SIGKILL; what is left after that is killed one by one.
    """
    directory = StateDirectory(state_dir)
    state = directory.read()
    if state is None:
        return ()
    running = state.supervisor.alive
    if running:
        _stop_supervisor(state, grace_s + STOP_MARGIN_S)
    # A service restarted in the last moment is only in the newest file.
    left = [pid for known in (directory.read(), state) if known for pid in kill_leftovers(known)]
    directory.forget()
    _launched[:] = [process for process in _launched if process.poll() is None]
    return tuple(state.processes) if running or left else ()


def _stop_supervisor(state: RunState, within_s: float) -> None:
    supervisor = state.supervisor
    deadline = time.monotonic() + within_s
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor.pid, signal.SIGTERM)
        while supervisor.alive and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if supervisor.alive:
            os.kill(supervisor.pid, signal.SIGKILL)


def named(path: str) -> object:
    """The object at `module:attribute`; raises `LocalSystemError` when there is none."""
    module, _, attribute = path.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LocalSystemError(
            f"{path!r} names nothing that can be imported ({error}); write module:attribute"
        ) from error
    return found


async def _supervise(options: LocalOptions, layout: str, create_topics: str) -> None:
    log = structlog.get_logger(SUPERVISOR)
    hook = named(create_topics) if create_topics else None
    system = LocalSystem(options, layout=named(layout), create_topics=hook, tell=log.info)  # type: ignore[arg-type]
    async with system:
        log.info("the system is ready", address=system.address, **system.endpoints)
        await asyncio.Event().wait()


def main() -> None:
    """`python -m paperless.local.supervisor`: JSON lines on standard output; exit code 1 and the reason on failure."""
    parser = argparse.ArgumentParser(prog="supervisor", description="Supervise the embedded system in one directory.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--options", default="{}", help="further LocalOptions as JSON")
    parser.add_argument("--layout", default=SERVICES)
    parser.add_argument("--create-topics", default="")
    given = parser.parse_args()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    options = LocalOptions.model_validate_json(given.options).model_copy(update={"state_dir": given.state})
    try:
        asyncio.run(_supervise(options, given.layout, given.create_topics))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except LocalSystemError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_FAILED)
