"""Intended moments of sending: seconds since a run's start, fixed before it begins; pure.

Nothing here knows how the system copes. So a stall finds its applications waiting, and their waiting is counted
(coordinated omission is not possible).
"""

from collections.abc import Iterator
from itertools import count
from math import log1p
from typing import Literal

from contracts.draws import draws

Arrivals = Literal["poisson", "constant"]


def moments(arrivals: Arrivals, *, rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Return rising moments in [0, seconds) at `rate` a second on average.

    `poisson`: independent, exponential gaps, drawn from the seed, as many strangers arrive. `constant`: equal gaps.

    Raises:
        ValueError: the rate is not above 0.

    """
    if rate <= 0:
        raise ValueError(f"rate is {rate}; applications arrive at more than 0 a second")
    return _poisson(rate, seconds, seed) if arrivals == "poisson" else _constant(rate, seconds)


def _poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    at = 0.0
    for block in count():
        for u in draws(seed, "load schedule", block):
            at -= log1p(-u) / rate
            if at >= seconds:
                return
            yield at


def _constant(rate: float, seconds: float) -> Iterator[float]:
    # Multiplied, not added up: a million added gaps drift.
    return iter([number / rate for number in range(round(rate * seconds)) if number / rate < seconds])
