"""The local system seen from outside: `start` launches its supervisor, `attach` finds it, `stop` ends it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from paperless.local.broker_kinds import KINDS
from paperless.local.errors import LocalSystemError, NotOursError, NotRunningError, disk_errors
from paperless.local.layout import LocalOptions, environment
from paperless.local.memory import check_memory
from paperless.local.process_group import BROKER
from paperless.local.processes import until_parent_ends, with_tail
from paperless.local.state import SUPERVISOR, RunState, StateDirectory, Status, kill_leftovers
from runtime.command_line import EXIT_BY_SIGNAL, ctrl_c_held_back

POLL_S = 0.05
WATCH_EVERY_S = 0.1
# On top of the services' grace: the broker's, and the supervisor's own way out.
STOP_MARGIN_S = 10.0
Result = TypeVar("Result")
Tell = Callable[[str], object]
# Supervisors that this process launched and left running: kept, so that stopping one here also reaps it.
_launched: list[subprocess.Popen[bytes]] = []


class LocalSystem:
    """A running system, through its state file, which is at most 1 s old; `tell` hears what the supervisor reports."""

    def __init__(self, directory: StateDirectory, tell: Tell = lambda _: None) -> None:
        self.directory = directory
        self._tell, self._told, self._trouble = tell, 0, ""

    @property
    def state(self) -> RunState:
        """Raises `NotRunningError`, with the reason if the run failed."""
        state = self.directory.read()
        if state is None or state.status is Status.FAILED or not state.supervisor.alive:
            why = f": {state.reason}" if state and state.reason else ""
            raise NotRunningError(f"nothing is running in {self.directory.path}{why}; start it with `paperless up`")
        return state

    def check_room(self, applications: int) -> None:
        """Raises `NotEnoughMemoryError` when the records of so many applications more would not fit into memory."""
        state = self.state
        resident = sum(process.peak_rss_bytes for name, process in state.processes.items() if name != BROKER)
        check_memory(applications, KINDS[state.broker], resident=resident)

    async def watched(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what the work returns; cancels it when the run ends before, and raises the run's reason."""
        working, watching = asyncio.create_task(work), asyncio.create_task(self._watch())
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            return await (working if working.done() else watching)
        finally:
            working.cancel()
            watching.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    def report(self) -> None:
        """Tell what the supervisor has reported since the last call: the warnings of its log."""
        log = self.directory.log(SUPERVISOR)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        for line in lines[self._told :]:
            with contextlib.suppress(ValueError):  # a traceback, for example
                entry = json.loads(line)
                if entry["level"] == "warning":
                    self._tell(entry["event"])
        self._told = len(lines)

    def _report_trouble(self, trouble: str) -> None:
        """Tell what its log cannot, because the disk is full for example."""
        if trouble and trouble != self._trouble:
            self._tell(trouble)
        self._trouble = trouble

    async def _watch(self) -> NoReturn:
        while True:
            self.report()
            state = self.directory.read()
            if state and state.status is Status.FAILED:
                raise LocalSystemError(state.reason)
            self._report_trouble(self.state.trouble)
            await asyncio.sleep(WATCH_EVERY_S)


def attach(state_dir: Path) -> LocalSystem:
    """The system that runs in this directory; raises `NotRunningError` when none does."""
    system = LocalSystem(StateDirectory(state_dir))
    _ = system.state
    return system


def start(
    options: LocalOptions, command: Sequence[str], *, ends_with_us: bool = False, tell: Tell = lambda _: None
) -> LocalSystem:
    """Launch a supervisor and return when its system is ready.

    `command` is that of an entry module which calls `supervisor.main`; the options follow it as JSON. The system
    outlives this process, or is killed with it (`ends_with_us`; the caller is then the main thread). Raises
    `AlreadyRunningError`, or a `LocalSystemError` with the supervisor's reason; nothing is left running then, nor
    after Ctrl-C.
    """
    check_memory(options.applications)
    directory = StateDirectory(options.state_dir)
    directory.create()
    with directory.lock():  # early and in its own words: the supervisor takes it for good
        pass
    system = LocalSystem(directory, tell)
    process = _launch(directory, [*command, options.model_dump_json()], ends_with_us=ends_with_us)
    try:
        _wait_until_ready(system, process)
    except BaseException:
        _give_up(process, directory)
        raise
    _launched.append(process)
    return system


def _give_up(process: subprocess.Popen[bytes], directory: StateDirectory) -> None:
    try:
        process.terminate()
        process.wait()
    finally:
        # However often Ctrl-C is pressed.
        with ctrl_c_held_back():
            process.kill()
            process.wait()
            if state := directory.read():
                _clean_up(state, directory, keep_reason=True)


def _launch(directory: StateDirectory, command: Sequence[str], *, ends_with_us: bool) -> subprocess.Popen[bytes]:
    argv = until_parent_ends(command) if ends_with_us else command
    with disk_errors(directory.path), directory.log(SUPERVISOR).open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), start_new_session=True
        )


def _wait_until_ready(system: LocalSystem, process: subprocess.Popen[bytes]) -> None:
    directory = system.directory
    while True:
        ended = process.poll() is not None
        state = directory.read()
        own = state if state and state.supervisor.pid == process.pid else None
        system.report()
        if own and own.status is Status.HEALTHY and not ended:
            return
        if ended:
            if own and own.reason:
                raise LocalSystemError(own.reason)
            raise LocalSystemError(with_tail("the supervisor could not start", directory.log(SUPERVISOR)))
        time.sleep(POLL_S)


@contextlib.contextmanager
def running(options: LocalOptions, command: Sequence[str], tell: Tell) -> Iterator[LocalSystem]:
    """A system that is started, and stopped however the block ends: by an error, Ctrl-C, SIGTERM, SIGHUP or SIGKILL.

    SIGTERM and SIGHUP interrupt the block as Ctrl-C does, and then raise `SystemExit`. The reason of a run that failed
    stays in `state.json`. Enter it in the main thread.
    """
    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        system = start(options, command, ends_with_us=True, tell=tell)
        try:
            yield system
        finally:
            stop(options.state_dir, options.grace_s, keep_reason=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            sys.exit(EXIT_BY_SIGNAL + received[0])


def stop(state_dir: Path, grace_s: float = 10.0, *, keep_reason: bool = False) -> tuple[str, ...]:
    """Stop what runs in this directory and return the names of its processes; empty when nothing ran.

    The supervisor gets `grace_s` plus a margin before SIGKILL, which a second Ctrl-C brings at once; what is left after
    that is killed one by one. `keep_reason`: the file of a run that failed stays. Raises `NotOursError` where another
    user's system runs.
    """
    directory = StateDirectory(state_dir)
    state = directory.read()
    if state is None:
        return ()
    was_running = state.supervisor.alive
    if was_running:
        _ask_to_end(state, directory)
    try:
        deadline = time.monotonic() + grace_s + STOP_MARGIN_S
        while state.supervisor.alive and time.monotonic() < deadline:
            time.sleep(POLL_S)
    finally:
        # However often Ctrl-C is pressed.
        with ctrl_c_held_back():
            left = _clean_up(state, directory, keep_reason=keep_reason)
    return tuple(state.processes) if was_running or left else ()


def _ask_to_end(state: RunState, directory: StateDirectory) -> None:
    try:
        os.kill(state.supervisor.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise NotOursError(
            f"the system in {directory.path} belongs to another user, who alone can stop it: process"
            f" {state.supervisor.pid}"
        ) from error


def _clean_up(state: RunState, directory: StateDirectory, *, keep_reason: bool) -> list[int]:
    """Kill what is left and forget the run; the pids that were still there."""
    if state.supervisor.alive:
        os.kill(state.supervisor.pid, signal.SIGKILL)
    # A service restarted in the last moment is only in the newest file.
    newest = directory.read() or state
    left = [pid for known in (newest, state) for pid in kill_leftovers(known)]
    if not (keep_reason and newest.status is Status.FAILED):
        directory.forget()
    _launched[:] = [process for process in _launched if process.poll() is None]
    return left
