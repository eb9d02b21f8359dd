"""Load runs without a system: applications that are sent, decided and stored at moments that a test chooses."""

from datetime import UTC, datetime
from math import isnan

from paperless.traffic.load.figures import Outside, Span, distribution, measured
from paperless.traffic.load.plan import LoadPlan
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.result import Ceiling, LoadResult, Machine, Measured, Meter, Observation

START = 1_000.0
NEVER = float("nan")


def recorded(latencies: list[float], *, rate: float = 10.0, slip: float = 0.0) -> Recorder:
    """Applications at a constant rate whose cell is stored so many seconds after the intended moment."""
    recorder = Recorder()
    for number, latency in enumerate(latencies):
        intended = START + number / rate
        recorder.hand(b"%d" % number, intended, intended + slip)
        if not isnan(latency):
            recorder.acknowledge([number], intended + latency / 4)
            recorder.see(b"%d" % number, 0, number, intended + latency / 2)
            recorder.store({0: number + 1}, intended + latency)
    return recorder


def figures_of(recorder: Recorder, *, warm_up: float = 0.0, until: float = 60.0, rate: float = 10.0) -> Measured:
    observation = Observation(polls=1, failed=0, gap=distribution([0.01]))
    outside = Outside(rate, Meter(generator=1, observer=2, clients=3), observation, stopped_early=False)
    return measured(recorder, Span(START, START + warm_up, START + until), outside)


def result_of(found: Measured | None, *, plan: LoadPlan | None = None, notes: tuple[str, ...] = ()) -> LoadResult:
    asked = plan or LoadPlan(rate=10)
    return LoadResult(
        command="paperless load",
        mode=asked.mode,
        arrivals=asked.arrivals,
        rate=found.rate if found else None,
        in_flight=asked.in_flight or None,
        limit_p99_ms=asked.limit_p99_ms if asked.mode == "max" else None,
        seconds=asked.seconds,
        warm_up_s=asked.warm_up_s,
        drain_s=asked.drain_s,
        seed=asked.seed,
        plan_name="calm",
        plan_digest="0" * 16,
        versions={"python": "3.11"},
        machine=Machine(cores=2, cpu="a <fast> one", memory=1, system="x", python="3.11"),
        ceiling=Ceiling(made_per_s=30_000, handed_per_s=60_000),
        started_at=datetime(2025, 10, 8, tzinfo=UTC),
        ended_at=datetime(2025, 10, 8, tzinfo=UTC),
        interrupted=False,
        notes=notes,
        measured=found,
    )
