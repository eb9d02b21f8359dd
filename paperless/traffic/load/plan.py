"""What a load run is asked to do, and where."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from paperless.traffic.load.schedule import Arrivals
from runtime.settings import KafkaAccess

# What a closed loop files is known afterwards only. Estimates from above: measured on two cores were 8,500 decided a
# second at most, and 22 ms from one application to its outcome (docs/performance.md).
CLOSED_MOST_PER_S, CLOSED_LEAST_S = 12_000.0, 0.01
Mode = Literal["open", "closed", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """One load run. Rates are a second; `rate` of a search is its first.

    `seconds` are measured, after `warm_up_s` that are not; `drain_s` is the patience with what is not stored when all
    is sent; `in_flight` belongs to the closed loop, `limit_p99_ms` to the search.
    """

    mode: Mode = "open"
    rate: float = 1000.0
    arrivals: Arrivals = "poisson"
    in_flight: int = 0
    limit_p99_ms: float = 1000.0
    seconds: float = 30.0
    warm_up_s: float = 5.0
    drain_s: float = 60.0
    seed: int = 1

    def most_applications(self, rate: float) -> int:
        """Return how many applications a run at this rate files, its warm-up included; a closed loop at most."""
        if self.mode == "closed":
            rate = min(CLOSED_MOST_PER_S, self.in_flight / CLOSED_LEAST_S)
        return math.ceil(rate * (self.warm_up_s + self.seconds))

    @property
    def pace(self) -> str:
        """The run in a few words, for the manifest."""
        if self.mode == "closed":
            return f"closed loop, {self.in_flight} in flight"
        return f"open loop, {'search from ' if self.mode == 'max' else ''}{self.rate:g}/s {self.arrivals}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTarget:
    """The system under load; `mock` is the running mock's plan and seed, `manifest` where `verify` will look.

    `fits` says whether so many applications more have room in the broker.
    """

    kafka: KafkaAccess
    api_url: str
    idempotent_producer: bool
    mock: Mapping[str, Any]
    manifest: Path
    rules_version: int
    fits: Callable[[int], bool] = lambda _: True


class Progress(NamedTuple):
    """What a display shows; rates are of the last moment, a second; latencies to the stored cell in ms."""

    phase: str
    asked: float | None
    sent: int
    sent_per_s: float
    decided_per_s: float
    backlog: int
    p50: float | None
    p99: float | None
    elapsed_s: float
