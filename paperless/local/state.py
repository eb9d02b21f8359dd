"""The state directory of a run: who runs in it, where to reach them, and a lock that only one supervisor can hold."""

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from paperless.local.errors import AlreadyRunningError, DiskFullError, StateDirectoryError, disk_errors
from paperless.local.processes import is_alive

STATE_FILE = "state.json"
LOCK_FILE = "lock"
KEY_FILE = "signing.key"
STORE_FILE = "scoring.db"
SUPERVISOR = "supervisor"
# A run of a national day writes some 100 MB of store and logs.
MINIMUM_FREE_DISK = 200_000_000
# Of the state file, so that on a full disk it can still say why the run failed: with the ends of two logs.
RESERVED_BYTES = 32_768
READ_TRIES, READ_AGAIN_S = 3, 0.02


class Status(StrEnum):
    STARTING = "starting"
    HEALTHY = "healthy"
    FAILED = "failed"


class ProcessState(BaseModel):
    """One process of the run. `started` is seconds since 1970; usage is summed over restarts, memory is their peak."""

    model_config = ConfigDict(frozen=True)
    pid: int
    started: float
    restarts: int = 0
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.started)


class RunState(BaseModel):
    """What `state.json` holds. `reason` says why a failed run failed; `address` and `broker` are the broker's.

    `broker` is the name of its kind, see `paperless/local/broker_kinds.py`.

    `trouble` says what is wrong while the run goes on: that the disk is full, for example.
    """

    model_config = ConfigDict(frozen=True)
    run_id: str
    status: Status
    reason: str = ""
    trouble: str = ""
    seed: int
    plan: str
    started_at: datetime
    supervisor: ProcessState
    address: str = ""
    broker: str = ""
    ports: Mapping[str, int] = {}
    endpoints: Mapping[str, str] = {}
    processes: Mapping[str, ProcessState] = {}


class StateDirectory:
    """Paths and files below one directory. Raises `DiskFullError` or `StateDirectoryError` where one cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.file = self.path / STATE_FILE
        self._draft = self.file.with_suffix(".tmp")
        self.logs = self.path / "logs"
        self.store_url = f"sqlite:///{self.path / STORE_FILE}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def create(self) -> None:
        if not str(self.path).isprintable():
            raise StateDirectoryError(
                f"{self.path} cannot be used as the state directory: its name is no text in this locale; choose another"
                " with --state"
            )
        with disk_errors(self.path):
            self.logs.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.path).free
        if free < MINIMUM_FREE_DISK:
            raise DiskFullError(
                f"{free / 1e6:.0f} MB are free under {self.path}, a run needs {MINIMUM_FREE_DISK / 1e6:.0f} MB;"
                " make room or choose another place with --state"
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for a supervisor's life; the kernel releases it however that ends.

        Raises `AlreadyRunningError` when another process holds it.
        """
        # A lock that is only a file would outlive a killed supervisor: no fallback to one.
        lock = FileLock(self.path / LOCK_FILE, mode=0o644, blocking=False, fallback_to_soft=False)
        with disk_errors(self.path):
            try:
                lock.acquire()
            except Timeout as error:
                raise AlreadyRunningError(
                    f"a system is already running in {self.path}; stop it with `paperless down`, or use another --state"
                ) from error
        try:
            yield
        finally:
            lock.release()

    def read(self) -> RunState | None:
        """The recorded run, or None where there is none (or only a file of another version)."""
        try:
            with disk_errors(self.path):
                return self._read()
        except StateDirectoryError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise

    def _read(self) -> RunState | None:
        for _ in range(READ_TRIES):
            with contextlib.suppress(ValidationError):
                return RunState.model_validate_json(self.file.read_bytes())
            # On a full disk it is written in place: what was read may have been half of it.
            time.sleep(READ_AGAIN_S)
        return None

    def write(self, state: RunState) -> str:
        """Replace the file, in one step where there is room: a reader sees the old or the new one.

        Returns empty text; where the disk is full, what is wrong: the file is written in place then, into the room that
        it always has.
        """
        content = state.model_dump_json(indent=1).encode().ljust(RESERVED_BYTES)
        try:
            with disk_errors(self.path):
                self._replace(content)
        except DiskFullError as full:
            with disk_errors(self.path), self.file.open("r+b") as file:
                if len(content) > os.fstat(file.fileno()).st_size:
                    raise
                file.write(content)
            return str(full)
        return ""

    def _replace(self, content: bytes) -> None:
        # Whoever removed the directory would otherwise not find the run again, to stop it.
        self.path.mkdir(exist_ok=True)
        self._draft.write_bytes(content)
        self._draft.replace(self.file)

    def forget(self) -> None:
        with disk_errors(self.path):
            for file in (self.file, self._draft):
                file.unlink(missing_ok=True)

    def clean(self) -> tuple[int, ...]:
        """Remove what an earlier run left: its processes, state, logs and store. The pids that were still there.

        Call it only while holding the lock. The store goes because its log went with the broker.
        """
        earlier = self.read()
        killed = tuple(kill_leftovers(earlier)) if earlier else ()
        with disk_errors(self.path):
            for file in [self.file, *self._logs_of_services(), *self.path.glob(f"{STORE_FILE}*")]:
                file.unlink(missing_ok=True)
        return killed

    def _logs_of_services(self) -> list[Path]:
        # The supervisor's own is open already.
        return [log for log in self.logs.glob("*.log") if log.stem != SUPERVISOR]

    def signing_key(self) -> str:
        """The key of this directory's contexts, made at first use, readable by its owner only."""
        path = self.path / KEY_FILE
        with disk_errors(self.path):
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
            except FileExistsError:
                return path.read_text(encoding="ascii")
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(key := secrets.token_hex(32))
        return key


def kill_leftovers(state: RunState) -> Iterator[int]:
    """Kill what is left of a run whose supervisor has gone; yields each pid that was still there."""
    for process in state.processes.values():
        if process.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            yield process.pid


def this_process() -> ProcessState:
    own = psutil.Process()
    return ProcessState(pid=own.pid, started=own.create_time())
