"""Faults of the embedded system: signals to its processes, a lock on its store, a limit of its files."""

import asyncio
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from paperless.chaos.plan import Fault, Kind
from paperless.chaos.port import ChaosError
from paperless.local.layout import environment
from paperless.local.ports import HOST, Ports
from paperless.local.processes import Child
from paperless.local.state import STORE_FILE, ProcessState
from paperless.local.system import LocalSystem

# What was restarted a moment ago may not have been recorded yet.
ALIVE_WITHIN_S: Final = 15.0
LOCKED_WITHIN_S: Final = 15.0
GRACE_S: Final = 10.0
# No file of a process grows beyond it: to the process that is a full disk, and it needs no rights to take it back.
ROOM_BYTES: Final = 65_536
_POLL_S: Final = 0.05
# Whose settings a new member takes over.
MODEL_MEMBER: Final = "intake"
_PREFIX: Final = "INTAKE"


def can_limit_files() -> bool:
    """Return whether the files of another process can be limited: Linux only."""
    return sys.platform == "linux"


class ProcessFaults:
    """The port of a system of this machine, whose supervisor starts again what ends.

    Use it in the main thread: a new member ends with the thread that started it.
    """

    def __init__(self, system: LocalSystem) -> None:
        self._system = system
        self._joined: dict[str, str] = {}
        self._holds: Mapping[Kind, Callable[[Fault], AbstractAsyncContextManager[None]]] = {
            Kind.KILL: partial(self._signalled, number=signal.SIGKILL),
            Kind.STOP: partial(self._signalled, number=signal.SIGTERM),
            Kind.FREEZE: self._frozen,
            Kind.LONG_FREEZE: self._frozen,
            Kind.SILENCE: self._frozen,
            Kind.STORE_LOCKED: lambda _: locked(system.directory.path / STORE_FILE),
            Kind.DISK_FULL: self._without_room,
            Kind.MEMBER_JOINS: self._member,
            # In the schedule of the arrivals: nothing is done to the system.
            Kind.BURST: lambda _: nullcontext(),
        }

    @property
    def joined(self) -> Mapping[str, str]:
        """The health URL of the member that has joined."""
        return dict(self._joined)

    def hold(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Return the context in which a fault lasts."""
        hold = self._holds.get(fault.kind)
        if hold is None:
            raise ChaosError(f"{fault.kind}: processes of this machine know no such fault")
        return hold(fault)

    async def _process(self, name: str) -> ProcessState:
        """Return a part's process, once it runs."""
        for _ in range(round(ALIVE_WITHIN_S / _POLL_S)):
            process = self._system.state.processes.get(name)
            if process is not None and process.alive:
                return process
            await asyncio.sleep(_POLL_S)
        raise ChaosError(f"{name} does not run and is not started again; its log in {self._system.directory.logs}")

    @asynccontextmanager
    async def _signalled(self, fault: Fault, number: signal.Signals) -> AsyncIterator[None]:
        send(await self._process(fault.target), number)
        yield

    @asynccontextmanager
    async def _frozen(self, fault: Fault) -> AsyncIterator[None]:
        process = await self._process(fault.target)
        send(process, signal.SIGSTOP)
        try:
            yield
        finally:
            send(process, signal.SIGCONT)

    @asynccontextmanager
    async def _without_room(self, fault: Fault) -> AsyncIterator[None]:
        process = await self._process(fault.target)
        limit_files(process.pid, ROOM_BYTES)
        try:
            yield
        finally:
            if process.alive:
                limit_files(process.pid, resource.RLIM_INFINITY)

    @asynccontextmanager
    async def _member(self, fault: Fault) -> AsyncIterator[None]:
        """A further member of intake, by the settings of the first; a process of this one, which ends with it."""
        model = psutil.Process((await self._process(MODEL_MEMBER)).pid)
        name = fault.target
        port = Ports({}).take(name)
        own = {f"{_PREFIX}_HTTP_PORT": str(port), f"{_PREFIX}_CLIENT_ID": name}
        child = Child(model.cmdline(), environment({**model.environ(), **own}), self._system.directory.log(name))
        self._joined[name] = f"http://{HOST}:{port}"
        try:
            yield
        finally:
            del self._joined[name]
            await child.stop(GRACE_S)


def send(process: ProcessState, number: signal.Signals) -> None:
    """Signal the very process that was recorded, if it still runs."""
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def limit_files(pid: int, room: int) -> None:
    """Let no file of a process grow beyond so many bytes; the hard limit stays, so that it can be taken back."""
    if sys.platform == "linux":
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


@asynccontextmanager
async def locked(store: Path) -> AsyncIterator[None]:
    """Keep every writer out of an SQLite file."""
    with closing(sqlite3.connect(store, timeout=0.0, isolation_level=None)) as connection:
        for _ in range(round(LOCKED_WITHIN_S / _POLL_S)):
            if _begun(connection):
                break
            await asyncio.sleep(_POLL_S)
        else:
            raise ChaosError(f"{store}: another writer keeps it; the lock could not be had")
        yield
        # What was begun ends with the connection.


def _begun(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True
