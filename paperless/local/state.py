"""The state directory of a run: who runs in it, where to reach them, and a lock that only one supervisor can hold."""

import contextlib
import os
import secrets
import shutil
import signal
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
    """What `state.json` holds. `reason` says why a failed run failed; `address` is the broker's."""

    model_config = ConfigDict(frozen=True)
    run_id: str
    status: Status
    reason: str = ""
    seed: int
    plan: str
    started_at: datetime
    supervisor: ProcessState
    address: str = ""
    ports: Mapping[str, int] = {}
    endpoints: Mapping[str, str] = {}
    processes: Mapping[str, ProcessState] = {}


class StateDirectory:
    """Paths and files below one directory. Writing raises `DiskFullError` or `StateDirectoryError`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.file = self.path / STATE_FILE
        self.logs = self.path / "logs"
        self.store_url = f"sqlite:///{self.path / STORE_FILE}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def create(self) -> None:
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
                return RunState.model_validate_json(self.file.read_bytes())
        except ValidationError:
            return None
        except StateDirectoryError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise

    def write(self, state: RunState) -> None:
        """Replace the file in one step: a reader sees the old or the new one."""
        with disk_errors(self.path):
            draft = self.file.with_suffix(".tmp")
            draft.write_text(state.model_dump_json(indent=1), encoding="utf-8")
            draft.replace(self.file)

    def forget(self) -> None:
        with disk_errors(self.path):
            self.file.unlink(missing_ok=True)

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
