"""The broker and the services of one run, under their names."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paperless.local.broker import EmbeddedBroker
from paperless.local.errors import BrokerError, ServiceFailedError
from paperless.local.layout import ServiceSpec
from paperless.local.processes import Child, Usage, with_tail
from paperless.local.state import ProcessState
from paperless.local.supervised_process import ProcessExit, SupervisedProcess, exit_text

BROKER = "broker"
# A service that ends this often before the system was ever ready will not come up: say so early.
EXITS_AT_START = 3


@dataclass(slots=True)
class ProcessGroup:
    """Starts, checks, measures and stops processes; `tell` hears of each exit that is followed by a restart."""

    tell: Callable[[str], object]
    broker: EmbeddedBroker | None = None
    services: dict[str, SupervisedProcess] = field(default_factory=dict)
    starting: bool = True

    def start(self, spec: ServiceSpec, log: Path) -> None:
        service = SupervisedProcess(spec, log)
        service.start()
        self.services[spec.name] = service

    def states(self) -> Mapping[str, ProcessState]:
        """What the state file records of each process."""
        broker = {BROKER: _state(child, child.sample())} if self.broker and (child := self.broker.child) else {}
        services = {name: _state(each.child, each.usage, each.restarts) for name, each in self.services.items()}
        return broker | services

    def check(self, now: float) -> bool:
        """Poll every process and return whether a service was restarted. Raises what ends the run."""
        self._check_broker()
        before = self._restarts()
        for name, service in self.services.items():
            ended = service.poll(now)
            if ended is not None:
                self._on_exit(name, service, ended)
        return self._restarts() != before

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the services, the last started first; the broker goes when all of them have ended."""
        try:
            await asyncio.gather(*(service.child.stop(grace_s) for service in reversed(self.services.values())))
        finally:
            if self.broker is not None:
                await self.broker.stop()

    def _restarts(self) -> int:
        return sum(service.restarts for service in self.services.values())

    def _check_broker(self) -> None:
        if self.broker is None or self.broker.child is None:
            return
        code = self.broker.child.poll()
        if code is not None:
            message = f"the embedded broker died ({exit_text(code)}), and the log with it: the run is over; start again"
            raise BrokerError(with_tail(message, self.broker.log_path))

    def _on_exit(self, name: str, service: SupervisedProcess, ended: ProcessExit) -> None:
        how = exit_text(ended.code)
        if ended.restart_in_s is None:
            message = f"{name} refused to go on ({how}) and is not restarted; mend what its log names, then start again"
            raise ServiceFailedError(with_tail(message, service.log))
        if self.starting and service.exits_in_a_row >= EXITS_AT_START:
            message = f"{name} ended {EXITS_AT_START} times while starting ({how}); mend what its log names"
            raise ServiceFailedError(with_tail(message, service.log))
        self.tell(f"{name} died ({how}); it starts again in {ended.restart_in_s:g} s")


def _state(child: Child, usage: Usage, restarts: int = 0) -> ProcessState:
    return ProcessState(
        pid=child.pid,
        started=child.started,
        restarts=restarts,
        peak_rss_bytes=usage.peak_rss_bytes,
        cpu_s=round(usage.cpu_s, 2),
    )
