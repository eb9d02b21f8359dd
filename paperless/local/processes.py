"""One child process: started so that it cannot outlive us, measured while it lives, stopped within a bound."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

PARENT_WATCH = Path(__file__).with_name("parent_watch.py")
POLL_S = 0.05
# A recorded start time and one read later may differ by the clock's drift, two processes with one pid by far more.
SAME_START_S = 2.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Peak resident memory in bytes of the largest incarnation; CPU seconds (user + system) of all of them."""

    peak_rss_bytes: int = 0
    cpu_s: float = 0.0


def until_parent_ends(argv: Sequence[str]) -> list[str]:
    """The command as a child of this process that is killed when this process ends, however that happens."""
    return [sys.executable, "-I", "-S", str(PARENT_WATCH), str(os.getpid()), *argv]


def _appending_to(log: Path) -> IO[bytes]:
    """Open a log; where it cannot be, because the disk is full for example, the child runs without one."""
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


class Child:
    """A running command with its output in `log`; must be created from the thread that lives longest.

    (Linux ties "the parent died" to the thread that forked.) The child gets a session of its own, so a terminal's
    Ctrl-C reaches only the supervisor, which then stops everything in order.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        with _appending_to(log) as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                until_parent_ends(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(env),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.started = psutil.Process(self.pid).create_time()
        self.started_monotonic = time.monotonic()
        self.usage = Usage()

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        if self.poll() is None:
            self._process.send_signal(number)

    def sample(self) -> Usage:
        """Read memory and CPU now; a dead child keeps its last figures."""
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():
                times, rss = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            return self.usage
        peak = max(self.usage.peak_rss_bytes, _high_water(self.pid), rss)
        self.usage = Usage(peak, max(self.usage.cpu_s, times.user + times.system))
        return self.usage

    async def wait(self, within_s: float) -> bool:
        """Whether it ended within that time."""
        deadline = time.monotonic() + within_s
        while self.poll() is None:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL if it is still there after `grace_s` seconds (or when we are cancelled)."""
        self.sample()
        self.signal(signal.SIGTERM)
        try:
            await self.wait(grace_s)
        finally:
            self.signal(signal.SIGKILL)
            self._process.wait()


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:  # no /proc (macOS), or the process has just ended
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(fields[1]) * 1024 for fields in lines), 0)


def is_alive(pid: int, started: float) -> bool:
    """Whether the very process that was recorded with this start time still runs (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def tail(log: Path, lines: int = 8, limit: int = 8_192) -> str:
    """The last lines of a log, for an error message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - limit, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def with_tail(message: str, log: Path) -> str:
    """A message, followed by the end of the log that explains it."""
    end = tail(log) or "(nothing)"
    return f"{message}\nThe end of {log}:\n{end}"
