"""One run at one rate: generator, lanes and observer together, until all is stored or patience ends."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from paperless.traffic.load.figures import Outside, Span, measured
from paperless.traffic.load.generator import Generator
from paperless.traffic.load.lanes import Lanes, RenewableProducer
from paperless.traffic.load.observer import Observer
from paperless.traffic.load.plan import LoadPlan, LoadTarget, Progress
from paperless.traffic.load.recorder import Recorder, Snapshot
from paperless.traffic.load.result import Measured, Meter
from paperless.traffic.load.schedule import moments
from paperless.traffic.load.supply import AHEAD, SLICE, Supply, population_seed

SHOW_EVERY_S = 0.5
# Time for the first timer to be set; nothing is late before it begins.
_LEAD_S = 0.05
# After Ctrl-C: what is in flight may still arrive.
_HURRY_S = 2.0
_DRAIN_POLL_S = 0.05
# A closed loop's end is not known beforehand: so many arrivals are drawn, and so many of them made ahead.
_CLOSED_BLOCK, _CLOSED_AHEAD = 60_000, 10_000
# A search gives a rate up when so many times what arrives within the limit waits, or within a second if that is more.
_HOPELESS = 4.0


class Rate(NamedTuple):
    """One run of a plan: its number among those of a search, its rate, the length of the log before it."""

    number: int
    rate: float | None
    log_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """What every run of a plan works with."""

    target: LoadTarget
    partitions: int
    producer: RenewableProducer
    show: Callable[[Progress], None]
    stop: asyncio.Event
    clock: Callable[[], float] = time.monotonic


async def run_once(plan: LoadPlan, rate: Rate, rig: Rig) -> Measured:
    """Send for warm-up and measured seconds, wait for what is not stored, and return the figures.

    Setting `rig.stop` ends it early; the figures are then of what was sent.

    Raises:
        LoadError: the scoring API does not answer.
        aiokafka.errors.KafkaError: the broker does not answer at the beginning; later it is tried again.

    """
    recorder = Recorder()
    supply = await _supply(plan, rate, rig)
    with _no_old_garbage():
        async with Observer(rig.target.kafka, rig.target.api_url, rig.partitions, recorder, rig.clock) as observer:
            lanes = Lanes(rig.producer, rig.partitions, lambda numbers: recorder.acknowledge(numbers, rig.clock()))
            generator = Generator(supply, lanes, recorder, rig.clock)
            checks = [lanes.check, observer.check]
            run = _Run(plan, rate, rig, recorder=recorder, generator=generator, checks=checks)
            try:
                span = await run.play()
            finally:
                await lanes.close()
            outside = Outside(rate.rate, run.meter(observer.cpu_s), observer.observation(), run.cut)
    return measured(recorder, span, outside)


async def _supply(plan: LoadPlan, rate: Rate, rig: Rig) -> Supply:
    """Make ahead what is needed; Ctrl-C is heard meanwhile."""
    rig.show(Progress("preparing", rate.rate, 0, 0.0, 0.0, 0, None, None, 0.0))
    expected = round((rate.rate or 0.0) * (plan.seconds + plan.warm_up_s) * 1.05) + 100 if rate.rate else _CLOSED_BLOCK
    seed = population_seed(plan.seed, rate.log_length, rate.number)
    supply = Supply(seed=seed, applications=expected, partitions=rig.partitions)
    for _ in range(0, min(expected, AHEAD if rate.rate else _CLOSED_AHEAD), SLICE):
        supply.make(SLICE)
        await asyncio.sleep(0)
        if rig.stop.is_set():
            break
    return supply


@contextmanager
def _no_old_garbage() -> Iterator[None]:
    """What was made ahead is not searched for garbage again and again: pauses of ours would count as the system's."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Run:
    def __init__(
        self,
        plan: LoadPlan,
        rate: Rate,
        rig: Rig,
        *,
        recorder: Recorder,
        generator: Generator,
        checks: list[Callable[[], None]],
    ) -> None:
        self._plan, self._rate, self._rig = plan, rate, rig
        self._recorder, self._generator, self._checks = recorder, generator, checks
        self._cpu = self._shown_at = 0.0
        self._shown = Snapshot(0, 0, 0, 0)
        self.cut = False

    async def play(self) -> Span:
        """Send and drain."""
        start = self._shown_at = self._rig.clock() + _LEAD_S
        self._cpu = time.process_time()
        measured_from = start + self._plan.warm_up_s
        sending = asyncio.create_task(self._send(start, measured_from + self._plan.seconds))
        try:
            await self._watch(sending, start, measured_from)
            await sending
            await self._drain(start)
        finally:
            self._generator.stopped.set()
            await asyncio.wait({sending})
        self._cpu = time.process_time() - self._cpu - self._generator.making_s
        return Span(start, measured_from, self._rig.clock())

    async def _send(self, start: float, until: float) -> None:
        plan, rate = self._plan, self._rate.rate
        if rate is None:
            await asyncio.sleep(start - self._rig.clock())
            await self._generator.closed_loop(until, plan.in_flight)
        else:
            schedule = moments(plan.arrivals, rate=rate, seconds=until - start, seed=plan.seed)
            await self._generator.open_loop(start, schedule)

    async def _watch(self, sending: "asyncio.Task[None]", start: float, measured_from: float) -> None:
        while not sending.done():
            await asyncio.wait({sending}, timeout=_DRAIN_POLL_S)
            self._check()
            if self._rig.stop.is_set() or self._hopeless():
                self.cut = not sending.done()
                self._generator.stopped.set()
            self._show("warm-up" if self._rig.clock() < measured_from else "measuring", start)

    async def _drain(self, start: float) -> None:
        deadline = self._rig.clock() + self._plan.drain_s
        hurry = False
        while self._recorder.unstored and self._rig.clock() < deadline:
            if self._rig.stop.is_set() and not hurry:
                hurry, deadline = True, self._rig.clock() + _HURRY_S
            await asyncio.sleep(_DRAIN_POLL_S)
            self._check()
            self._show("draining", start)
        self._show("draining", start, at_once=True)

    def _check(self) -> None:
        for check in self._checks:
            check()

    def _hopeless(self) -> bool:
        """Sending more would only make the wait for its end longer."""
        rate, plan = self._rate.rate, self._plan
        if plan.mode != "max" or rate is None:
            return False
        return self._recorder.backlog > rate * max(plan.limit_p99_ms / 1000, 1.0) * _HOPELESS

    def _show(self, phase: str, start: float, *, at_once: bool = False) -> None:
        now = self._rig.clock()
        since = now - self._shown_at
        if since < SHOW_EVERY_S and not at_once:
            return
        before, self._shown, self._shown_at = self._shown, self._recorder.snapshot(), now
        fresh = sorted(self._recorder.fresh)
        self._recorder.fresh.clear()
        self._rig.show(
            Progress(
                phase,
                self._rate.rate,
                self._shown.sent,
                (self._shown.sent - before.sent) / max(since, 1e-3),
                (self._shown.decided - before.decided) / max(since, 1e-3),
                self._recorder.backlog,
                _ms_at(fresh, 0.5),
                _ms_at(fresh, 0.99),
                now - start,
            )
        )

    def meter(self, observer_s: float) -> Meter:
        """What the driver itself used, per application."""
        count = max(self._recorder.snapshot().sent, 1) / 1e6
        own = self._generator.cpu_s
        return Meter(
            generator=round(own / count, 1),
            observer=round(observer_s / count, 1),
            clients=round(max(self._cpu - own - observer_s, 0.0) / count, 1),
        )


def _ms_at(ordered: list[float], share: float) -> float | None:
    return ordered[int(share * (len(ordered) - 1))] * 1000 if ordered else None
