"""Rounds and their statistics: variants in turn, medians, and ratios taken round by round.

The machine's speed drifts while a benchmark runs. What is measured side by side in one round has the same speed, so
ratios are taken within rounds; a median of them has no use for a lucky round.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Spread(NamedTuple):
    """Median, least and greatest of some rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        ordered = sorted(values)
        return Spread(median(ordered), ordered[0], ordered[-1])


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each round's number and order; every round begins with another variant, so none is always the first."""
    for turn in range(rounds):
        start = turn % len(names)
        yield turn, (*names[start:], *names[:start])


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function of a module returns in a new process, whose caches and memory are its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()
