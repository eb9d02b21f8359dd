"""One service and its restarts: with a growing pause after each exit, counted, its usage added up over all of them."""

from dataclasses import dataclass, field
from pathlib import Path

from paperless.local.layout import ServiceSpec, environment
from paperless.local.processes import Child, Usage

# EX_CONFIG of sysexits.h: a service says that a restart cannot help (bad settings, too many dead letters).
EXIT_NO_RESTART = 78
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
# Whoever ran this long has got over the last trouble; the next exit starts with the short pause again.
STABLE_AFTER_S = 30.0


def backoff(exits: int) -> float:
    """Seconds to wait after so many exits in a row: 0.2, 0.4, 0.8 ... 5."""
    return min(FIRST_BACKOFF_S * 2.0 ** (exits - 1), LONGEST_BACKOFF_S)


def exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended. `restart_in_s` is None when it will not be restarted."""

    code: int
    restart_in_s: float | None


@dataclass(slots=True)
class SupervisedProcess:
    """`start` once, then `poll` often; both must be called from one thread."""

    spec: ServiceSpec
    log: Path
    child: Child = field(init=False)
    restarts: int = 0
    exits_in_a_row: int = 0
    _restart_at: float | None = None
    _exit_recorded: bool = False
    _earlier: Usage = field(default_factory=Usage)

    def start(self) -> None:
        self.child = Child(self.spec.argv, environment(self.spec.env), self.log)
        self._restart_at, self._exit_recorded = None, False

    def poll(self, now: float) -> ProcessExit | None:
        """Return an exit, once, and start again when its pause is over. `now` is monotonic seconds."""
        if self._restart_at is not None and now >= self._restart_at:
            self._earlier = self.usage
            self.start()
            self.restarts += 1
        code = self.child.poll()
        return None if code is None or self._exit_recorded else self._record_exit(code, now)

    @property
    def usage(self) -> Usage:
        """Over all restarts so far; memory is the largest."""
        own = self.child.sample()
        peak = max(own.peak_rss_bytes, self._earlier.peak_rss_bytes)
        return Usage(peak, self._earlier.cpu_s + own.cpu_s)

    def _record_exit(self, code: int, now: float) -> ProcessExit:
        self._exit_recorded = True
        stable = now - self.child.started_monotonic > STABLE_AFTER_S
        self.exits_in_a_row = 1 if stable else self.exits_in_a_row + 1
        if code == EXIT_NO_RESTART:
            return ProcessExit(code, None)
        pause = backoff(self.exits_in_a_row)
        self._restart_at = now + pause
        return ProcessExit(code, pause)
