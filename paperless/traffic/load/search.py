"""The search for the highest sustainable rate: doubling, then halving the gap; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from paperless.language import Message, message
from paperless.traffic.load.result import Measured, Second

# A backlog that grows by less than this share of what arrives is flat: chance moves it as much.
FLAT_SHARE = 0.02
# Later than that, what was asked for is not what was sent.
MAX_SLIP_MS = 100.0
# Below this nothing is worth knowing.
LEAST_RATE = 1.0


class Judgement(NamedTuple):
    """Whether a rate is sustained, and why."""

    sustained: bool
    why: Message


def judge(measured: Measured, *, limit_p99_ms: float, warm_up_s: float) -> Judgement:
    """Return whether a step was sustained: all stored, p99 within the limit, backlog flat, and the driver in time."""
    p99, slip = measured.to_stored.percentiles["99"], measured.slip.percentiles["99"]
    sending = [second for second in measured.series if second.sent and second.second >= warm_up_s]
    growth = backlog_growth(sending)
    allowed = FLAT_SHARE * (measured.rate or 0.0)
    waited = sending[-1].backlog if sending else 0
    checks = (
        (measured.stopped_early, message("judged.given_up", waited=waited)),
        (measured.counts.missing > 0, message("judged.missing", missing=measured.counts.missing)),
        (slip > MAX_SLIP_MS, message("judged.late", p99=round(slip))),
        (p99 > limit_p99_ms, message("judged.slow", p99=round(p99), limit=round(limit_p99_ms))),
        (growth > allowed, message("judged.growing", growth=round(growth))),
    )
    failed = next((why for fails, why in checks if fails), None)
    return Judgement(failed is None, failed or message("judged.flat", p99=round(p99)))


def backlog_growth(series: Sequence[Second]) -> float:
    """Return by how many applications a second the backlog grew: the slope of the straight line that fits best."""
    if len(series) < 3:
        return 0.0
    mean_at = sum(row.second for row in series) / len(series)
    mean = sum(row.backlog for row in series) / len(series)
    spread = sum((row.second - mean_at) ** 2 for row in series)
    return sum((row.second - mean_at) * (row.backlog - mean) for row in series) / spread


@dataclass(frozen=True, slots=True)
class Search:
    """What is known: the highest sustained and the lowest unsustained rate; `near` ends it, as a share of the rate."""

    first: float
    near: float = 0.06
    low: float | None = None
    high: float | None = None

    def next_rate(self) -> float | None:
        """Return the rate to try, None when enough is known."""
        if self.high is None:
            return self.first if self.low is None else self.low * 2
        if self.low is None:
            return self.high / 2 if self.high / 2 >= LEAST_RATE else None
        if self.high <= self.low * (1 + self.near):
            return None
        return round((self.low + self.high) / 2, 1)

    def after(self, rate: float, *, sustained: bool) -> "Search":
        """Return the search that also knows this step."""
        if sustained:
            return Search(self.first, self.near, max(rate, self.low or 0.0), self.high)
        return Search(self.first, self.near, self.low, min(rate, self.high or rate))
