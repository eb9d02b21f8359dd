"""How long each fault took to be got over, from the time series of a run; pure."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

from paperless.chaos.plan import Fault

# What arrives in so many seconds may wait at any moment without anything being wrong.
ALLOWED_S: Final = 1.0
# The level before a fault is the highest of so many seconds.
BEFORE_S: Final = 5.0


class Sample(NamedTuple):
    """The system at one moment, in seconds since the load began.

    `sent`, `decided` and `stored` count applications; `open` are sent and without an outcome. `lag` is the records that
    consumers have not taken, None while a consumer does not say; `unready` names the parts that are not ready.
    """

    at_s: float
    sent: int
    decided: int
    stored: int
    open: int
    lag: int | None
    unready: tuple[str, ...] = ()

    @property
    def backlog(self) -> int | None:
        """Everything that waits, None where that is not known."""
        return None if self.lag is None else self.open + self.lag


class Occurrence(NamedTuple):
    """A fault as it happened, in seconds since the load began."""

    fault: Fault
    began_s: float
    ended_s: float


def steady_backlog(samples: Sequence[Sample], first_fault_s: float, rate: float) -> int:
    """Return the backlog of the undisturbed system: its highest before the first fault and what arrives in a second."""
    before = [sample.backlog or 0 for sample in samples if sample.at_s < first_fault_s]
    return max(before, default=0) + ceil(rate * ALLOWED_S)


def recovery_s(occurrence: Occurrence, samples: Sequence[Sample], steady: int) -> float | None:
    """Return the seconds from a fault's end until its part is ready and the backlog back; None: that never came.

    It is back when it is steady, or at most what it was in the five seconds before the fault, where others last.

    What another fault holds up at the same time counts as well. As fine as the samples are, which lie half a second
    apart or more.
    """
    began = occurrence.began_s
    before = [sample.backlog or 0 for sample in samples if began - BEFORE_S <= sample.at_s < began]
    level = max([steady, *before])
    return next(
        (
            round(max(sample.at_s - occurrence.ended_s, 0.0), 2)
            for sample in samples
            if sample.at_s >= occurrence.ended_s and _recovered(sample, occurrence.fault, level)
        ),
        None,
    )


def stands_still_s(samples: Sequence[Sample]) -> float:
    """Return for how many seconds nothing has moved: no count, no lag, and no part that came or went."""
    if not samples:
        return 0.0
    last = samples[-1]
    return last.at_s - next(
        (newer.at_s for newer, older in pairwise(reversed(samples)) if _moved(newer, older)), samples[0].at_s
    )


def _moved(one: Sample, other: Sample) -> bool:
    return one._replace(at_s=other.at_s) != other


def _recovered(sample: Sample, fault: Fault, level: int) -> bool:
    # Containers are named with hyphens, their health with underscores.
    ready = fault.part.replace("-", "_") not in sample.unready
    return ready and sample.backlog is not None and sample.backlog <= level
