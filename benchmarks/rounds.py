"""Rounds and their statistics: variants in turn, medians, and ratios taken round by round.

The machine's speed drifts while a benchmark runs. What is measured side by side in one round has the same speed, so
ratios are taken within rounds; a median of them has no use for a lucky round.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Spread(NamedTuple):
    """Median, least and greatest of some rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        found = sorted(values)
        return Spread(median(found), found[0], found[-1])


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each round's number and order; every round begins with another variant, so none is always the first."""
    for turn in range(rounds):
        start = turn % len(names)
        yield turn, (*names[start:], *names[:start])


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(numerators, denominators, strict=True)]


def column(found: Mapping[str, Sequence[T]], name: str, value: Callable[[T], float]) -> list[float]:
    """Return one value of a variant's rounds, in their order."""
    return [value(one) for one in found[name]]
