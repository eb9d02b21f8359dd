"""Two results beside each other; pure."""

from collections.abc import Iterator
from typing import NamedTuple

from paperless.traffic.load.result import PERCENTILES, Distribution, LoadResult, Measured

MEASURES = ("to_append", "to_outcome", "to_stored", "slip")


class Row(NamedTuple):
    """One figure of both runs in ms; `measure` is one of `MEASURES`, `ratio` is b / a, None where a is 0."""

    measure: str
    figure: str
    a: float
    b: float
    ratio: float | None


def compare(a: LoadResult, b: LoadResult) -> tuple[Row, ...]:
    """Return the figures of both; empty where one of them has none (a search that found no rate)."""
    if a.measured is None or b.measured is None:
        return ()
    return tuple(_rows(a.measured, b.measured))


def _rows(a: Measured, b: Measured) -> Iterator[Row]:
    for name in MEASURES:
        first, second = getattr(a, name), getattr(b, name)
        for figure, left, right in zip(FIGURES, figures(first), figures(second), strict=True):
            yield Row(name, figure, left, right, round(right / left, 3) if left else None)


FIGURES = (*(f"p{name:g}" for name in PERCENTILES), "max", "mean")


def figures(latency: Distribution) -> list[float]:
    """Return a distribution's figures in the order of `FIGURES`, in ms."""
    return [*(latency.percentiles[f"{name:g}"] for name in PERCENTILES), latency.max, latency.mean]


class Difference(NamedTuple):
    """A setting of two runs that is not the same."""

    setting: str
    a: object
    b: object


def differences(a: LoadResult, b: LoadResult) -> tuple[Difference, ...]:
    """Return what besides the system differs between two runs, so that their ratio may not be about the system."""
    asked = (
        ("mode", a.mode, b.mode),
        ("rate", a.rate, b.rate),
        ("arrivals", a.arrivals, b.arrivals),
        ("in_flight", a.in_flight, b.in_flight),
        ("seconds", a.seconds, b.seconds),
        ("plan", f"{a.plan_name} {a.plan_digest}", f"{b.plan_name} {b.plan_digest}"),
        ("machine", a.machine.cpu, b.machine.cpu),
        ("cores", a.machine.cores, b.machine.cores),
        ("versions", a.versions, b.versions),
    )
    return tuple([Difference(name, left, right) for name, left, right in asked if left != right])
