"""Hands applications over at their intended moments (open loop), or as earlier ones end (closed loop)."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.supply import SLICE, Ready, Supply

# Between two looks at the schedule: records that are due together travel together, and the processor can rest.
TICK_S = 0.004
# Making a slice of applications takes less; a moment that is nearer must not wait for it.
_ROOM_S = 0.0015
# A run that is to stop must not sleep through a quiet schedule.
_NAP_S = 0.2
# Other tasks get a turn after so many records, about 3 ms of work.
_TURN = 500


class Outlet(Protocol):
    """Where applications go."""

    def add(self, number: int, ready: Ready) -> None:
        """Take one; it must not wait."""


class Generator:
    """Takes applications from a supply and gives them to an outlet; notes when that was, and when it should have been.

    `cpu_s`: processor time of handing over, `making_s`: of making applications meanwhile.
    """

    def __init__(self, supply: Supply, outlet: Outlet, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._supply, self._outlet, self._recorder, self._clock = supply, outlet, recorder, clock
        self.cpu_s = self.making_s = 0.0
        self.stopped = asyncio.Event()

    async def open_loop(self, start: float, schedule: Iterator[float]) -> None:
        """Play a schedule of seconds since `start`; late or not, everything is handed over unless it is stopped."""
        due = next(schedule, None)
        while due is not None and not self.stopped.is_set():
            due = self._hand_over_due(start, due, schedule)
            if due is not None:
                await self._wait_until(start + due)

    def _hand_over_due(self, start: float, due: float | None, schedule: Iterator[float]) -> float | None:
        began = time.thread_time()
        for _ in range(_TURN):
            if due is None or start + due > self._clock():
                break
            self._hand_over(start + due)
            due = next(schedule, None)
        self.cpu_s += time.thread_time() - began
        return due

    def _hand_over(self, intended: float) -> None:
        ready = self._supply.take()
        number = self._recorder.hand(ready.key, intended, self._clock())
        self._outlet.add(number, ready)

    async def _wait_until(self, moment: float) -> None:
        while (left := moment - self._clock()) > 0 and not self.stopped.is_set():
            if self._supply.low and left > _ROOM_S:
                self._make_some()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(min(max(left, TICK_S), _NAP_S))
        await asyncio.sleep(0)

    def _make_some(self) -> None:
        began = time.thread_time()
        self._supply.make(SLICE)
        self.making_s += time.thread_time() - began

    async def closed_loop(self, until: float, in_flight: int) -> None:
        """Keep this many applications between sending and storing until a moment; what is slow is sent less of."""
        while self._clock() < until and not self.stopped.is_set():
            began = time.thread_time()
            free = in_flight - self._recorder.unstored
            for _ in range(free):
                self._hand_over(self._clock())
            self.cpu_s += time.thread_time() - began
            await asyncio.sleep(TICK_S / 2 if free else TICK_S / 4)
