"""Keeps one service running: restarts it with backoff when it dies, counts, and adds up what its lives have used."""

from dataclasses import dataclass, field
from pathlib import Path

from paperless.local.layout import ServiceSpec, environment
from paperless.local.processes import Child, Usage

# EX_CONFIG of sysexits.h: a service says that a restart cannot help (bad settings, too many dead letters).
EXIT_NO_RESTART = 78
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
# A life this long means that the last trouble is over; the next death starts with the short pause again.
SETTLED_S = 30.0


def backoff(deaths: int) -> float:
    """Seconds to wait after so many deaths in a row: 0.2, 0.4, 0.8 ... 5."""
    return min(FIRST_BACKOFF_S * 2.0 ** (deaths - 1), LONGEST_BACKOFF_S)


def exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@dataclass(frozen=True, slots=True)
class Death:
    """How a life ended. `restart_in_s` is None when it will not be restarted."""

    code: int
    restart_in_s: float | None


@dataclass(slots=True)
class Keeper:
    """`start` once, then `tend` often; both must be called from one thread."""

    spec: ServiceSpec
    log: Path
    child: Child = field(init=False)
    restarts: int = 0
    deaths_in_a_row: int = 0
    _restart_at: float | None = None
    _buried: bool = False
    _earlier: Usage = field(default_factory=Usage)

    def start(self) -> None:
        self.child = Child(self.spec.argv, environment(self.spec.env), self.log)
        self._restart_at, self._buried = None, False

    def tend(self, now: float) -> Death | None:
        """Notice a death, once; start again when its pause is over. `now` is monotonic seconds."""
        if self._restart_at is not None and now >= self._restart_at:
            self._earlier = self.usage
            self.start()
            self.restarts += 1
        code = self.child.poll()
        return None if code is None or self._buried else self._bury(code, now)

    @property
    def usage(self) -> Usage:
        """Over all lives so far; memory is the largest."""
        own = self.child.sample()
        peak = max(own.peak_rss_bytes, self._earlier.peak_rss_bytes)
        return Usage(peak, self._earlier.cpu_s + own.cpu_s)

    def _bury(self, code: int, now: float) -> Death:
        self._buried = True
        settled = now - self.child.started_monotonic > SETTLED_S
        self.deaths_in_a_row = 1 if settled else self.deaths_in_a_row + 1
        if code == EXIT_NO_RESTART:
            return Death(code, None)
        pause = backoff(self.deaths_in_a_row)
        self._restart_at = now + pause
        return Death(code, pause)
