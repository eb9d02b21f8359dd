"""Carries a plan out, fault by fault at its moment, and ends whatever lasts when it is stopped."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from paperless.chaos.plan import Fault
from paperless.chaos.port import FaultPort
from paperless.chaos.recovery import Occurrence


class Event(NamedTuple):
    """A fault that has begun, or ended, at a second of the load."""

    fault: Fault
    at_s: float
    ended: bool


class FaultInjector:
    """One plan on one system.

    Args:
        plan: what is to happen.
        port: carries it out.
        clock: seconds since the load began.
        tell: called when a fault has begun or ended.

    """

    def __init__(
        self,
        plan: Sequence[Fault],
        port: FaultPort,
        clock: Callable[[], float],
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._plan, self._port, self._clock, self._tell = plan, port, clock, tell
        self.lasting: list[Fault] = []
        self.occurred: list[Occurrence] = []

    async def inject(self) -> None:
        """Return when all is over; cancelled, end at once what lasts.

        Raises:
            ChaosError: a fault cannot be carried out; the others are ended then.

        """
        faults = [asyncio.create_task(self._carry_out(fault)) for fault in self._plan]
        try:
            for fault in asyncio.as_completed(faults):
                await fault
        finally:
            for task in faults:
                task.cancel()
            await asyncio.gather(*faults, return_exceptions=True)
            self.occurred.sort()

    async def _carry_out(self, fault: Fault) -> None:
        await asyncio.sleep(max(fault.begins_s - self._clock(), 0.0))
        async with self._port.hold(fault):
            began = self._clock()
            self.lasting.append(fault)
            self._tell(Event(fault, began, ended=False))
            try:
                await asyncio.sleep(fault.lasts_s)
            finally:
                self.lasting.remove(fault)
        ended = self._clock()
        self.occurred.append(Occurrence(fault, began, ended))
        self._tell(Event(fault, ended, ended=True))
