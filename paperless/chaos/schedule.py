"""When applications arrive: evenly, and ten times as many in a burst; pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from paperless.chaos.hazards import BURST
from paperless.chaos.plan import Fault, Kind

# Where no rate is asked for: so many seconds for each fault, and no more applications a second than this.
SECONDS_A_FAULT: Final = 8.0
USUAL_RATE: Final = 500.0


def mean_rate(applications: int, faults: int) -> float:
    """Return the rate that leaves each fault its time, in applications a second."""
    return min(applications / (SECONDS_A_FAULT * max(faults, 1)), USUAL_RATE)


def steady_rate(applications: int, seconds: float, plan: Sequence[Fault]) -> float:
    """Return the rate outside bursts with which all applications arrive within the seconds."""
    return applications / (seconds + (BURST - 1) * sum(fault.lasts_s for fault in _bursts(plan)))


def arrivals(applications: int, seconds: float, plan: Sequence[Fault]) -> Iterator[float]:
    """Return the rising moments of all applications, in seconds; bursts must not overlap, and end in time."""
    gap = 1 / steady_rate(applications, seconds, plan)
    edges = [(edge, rate) for burst in _bursts(plan) for edge, rate in ((burst.begins_s, BURST), (burst.ends_s, 1.0))]
    at, factor = 0.0, 1.0
    for _ in range(applications):
        yield at
        left = gap
        while edges and at + left / factor > edges[0][0]:
            edge, following = edges.pop(0)
            left -= (edge - at) * factor
            at, factor = edge, following
        at += left / factor


def _bursts(plan: Sequence[Fault]) -> list[Fault]:
    return [fault for fault in plan if fault.kind is Kind.BURST]
