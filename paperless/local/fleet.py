"""The broker and the services of one run, under their names."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paperless.local.broker import EmbeddedBroker
from paperless.local.errors import BrokerError, LocalSystemError, ServiceFailedError
from paperless.local.keeper import Death, Keeper, exit_text
from paperless.local.layout import ServiceSpec
from paperless.local.processes import Child, Usage, with_tail
from paperless.local.state import ProcessState

BROKER = "broker"
# A service that dies this often before the system was ever ready will not come up: say so early.
DEATHS_AT_START = 3


@dataclass(frozen=True, slots=True)
class ProcessView:
    name: str
    pid: int
    restarts: int


@dataclass(slots=True)
class Fleet:
    """Starts, tends, measures and stops processes; `tell` hears of each death that is followed by a restart."""

    tell: Callable[[str], object]
    broker: EmbeddedBroker | None = None
    keepers: dict[str, Keeper] = field(default_factory=dict)
    starting: bool = True

    def start(self, spec: ServiceSpec, log: Path) -> None:
        keeper = Keeper(spec, log)
        keeper.start()
        self.keepers[spec.name] = keeper

    def child(self, name: str) -> Child:
        """The running process of that name; raises `LocalSystemError` when there is none."""
        children = self._children()
        if name not in children:
            raise LocalSystemError(f"no process {name!r} here; there are: {', '.join(children) or 'none yet'}")
        return children[name]

    def views(self) -> tuple[ProcessView, ...]:
        return tuple(ProcessView(name, child.pid, self._restarts(name)) for name, child in self._children().items())

    def usage(self) -> Mapping[str, Usage]:
        """Per process: peak memory in bytes, CPU seconds, lives before a restart included."""
        broker = {BROKER: self.broker.child.sample()} if self.broker and self.broker.child else {}
        return broker | {name: keeper.usage for name, keeper in self.keepers.items()}

    def states(self) -> Mapping[str, ProcessState]:
        """What the state file records of each process."""
        usage = self.usage()
        return {
            name: ProcessState(
                pid=child.pid,
                started=child.started,
                restarts=self._restarts(name),
                peak_rss_bytes=usage[name].peak_rss_bytes,
                cpu_s=round(usage[name].cpu_s, 2),
            )
            for name, child in self._children().items()
        }

    def kill(self, name: str, number: signal.Signals) -> None:
        self.child(name).signal(number)

    def tend(self, now: float) -> bool:
        """One look at everybody; whether a service was restarted. Raises what ends the run."""
        self._check_broker()
        before = self._all_restarts()
        for name, keeper in self.keepers.items():
            death = keeper.tend(now)
            if death is not None:
                self._on_death(name, keeper, death)
        return self._all_restarts() != before

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the services, the last started first; the broker goes when all of them have ended."""
        try:
            await asyncio.gather(*(keeper.child.stop(grace_s) for keeper in reversed(self.keepers.values())))
        finally:
            if self.broker is not None:
                await self.broker.stop()

    def _children(self) -> dict[str, Child]:
        broker = {BROKER: self.broker.child} if self.broker and self.broker.child else {}
        return broker | {name: keeper.child for name, keeper in self.keepers.items()}

    def _restarts(self, name: str) -> int:
        return self.keepers[name].restarts if name in self.keepers else 0

    def _all_restarts(self) -> int:
        return sum(keeper.restarts for keeper in self.keepers.values())

    def _check_broker(self) -> None:
        if self.broker is None or self.broker.child is None:
            return
        code = self.broker.child.poll()
        if code is not None:
            message = f"the embedded broker died ({exit_text(code)}), and the log with it: the run is over; start again"
            raise BrokerError(with_tail(message, self.broker.log_path))

    def _on_death(self, name: str, keeper: Keeper, death: Death) -> None:
        how = exit_text(death.code)
        if death.restart_in_s is None:
            message = f"{name} refused to go on ({how}) and is not restarted; mend what its log names, then start again"
            raise ServiceFailedError(with_tail(message, keeper.log))
        if self.starting and keeper.deaths_in_a_row >= DEATHS_AT_START:
            message = f"{name} ended {DEATHS_AT_START} times while starting ({how}); mend what its log names"
            raise ServiceFailedError(with_tail(message, keeper.log))
        self.tell(f"{name} died ({how}); it starts again in {death.restart_in_s:g} s")
