"""From moments to figures: distributions, and the seconds of a run; pure."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import isnan
from typing import NamedTuple

from hdrh.histogram import HdrHistogram

from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.result import (
    DIGITS,
    HIGHEST_US,
    LOWEST_US,
    PERCENTILES,
    Counts,
    Distribution,
    Measured,
    Meter,
    Observation,
    Second,
)


class Span(NamedTuple):
    """When a run began, when its warm-up ended, and when one stopped watching: moments of the recorder's clock."""

    start: float
    measured_from: float
    end: float


class Outside(NamedTuple):
    """What the recorder does not know of a run."""

    rate: float | None
    meter: Meter
    observation: Observation
    stopped_early: bool


def distribution(seconds: Iterable[float], *, unfinished: int = 0) -> Distribution:
    """Return the distribution of durations in seconds; below 1 µs counts as 1 µs, above 10 min as 10 min."""
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for us, number in Counter([round(duration * 1e6) for duration in seconds]).items():
        histogram.record_value(min(max(us, LOWEST_US), HIGHEST_US), number)
    return described(histogram, unfinished=unfinished)


def described(histogram: HdrHistogram, *, unfinished: int = 0) -> Distribution:
    """Return what a histogram in µs says."""
    values_us = histogram.get_percentile_to_value_dict(PERCENTILES) if histogram.get_total_count() else {}
    return Distribution(
        count=histogram.get_total_count(),
        unfinished=unfinished,
        mean=_ms(histogram.get_mean_value()),
        percentiles={f"{name:g}": _ms(values_us.get(name, 0)) for name in PERCENTILES},
        max=_ms(histogram.get_max_value()),
        histogram=histogram.encode().decode("ascii"),
    )


def _ms(us: float) -> float:
    return round(us / 1000, 3)


def measured(recorder: Recorder, span: Span, outside: Outside) -> Measured:
    """Return the figures of a run."""
    first = _first_after(recorder.intended, span.measured_from)
    snapshot = recorder.snapshot()
    return Measured(
        rate=outside.rate,
        seconds=round(span.end - span.start, 3),
        counts=Counts(
            **snapshot._asdict(),
            missing=recorder.unstored,
            seen_again=recorder.seen_again,
            foreign=recorder.foreign,
        ),
        to_append=_latencies(recorder, recorder.appended, first, span.end),
        to_outcome=_latencies(recorder, recorder.decided, first, span.end),
        to_stored=_latencies(recorder, recorder.stored, first, span.end),
        slip=_latencies(recorder, recorder.handed, first, span.end),
        series=tuple(_series(recorder, span)),
        meter=outside.meter,
        observation=outside.observation,
        stopped_early=outside.stopped_early,
    )


def _first_after(intended: Sequence[float], moment: float) -> int:
    """Return the number of the first application that was intended then or later; all of them if there is none."""
    return next((number for number, at in enumerate(intended) if at >= moment), len(intended))


def _latencies(recorder: Recorder, moments: "array[float]", first: int, end: float) -> Distribution:
    """What never came enters with the time that it waited, the least that it can be."""
    pairs = zip(recorder.intended[first:], moments[first:], strict=True)
    waits = [(end if isnan(at) else at) - intended for intended, at in pairs]
    return distribution(waits, unfinished=sum(map(isnan, moments[first:])))


def _series(recorder: Recorder, span: Span) -> Iterable[Second]:
    sent, decided, stored = (
        _per_second(moments, span.start) for moments in (recorder.handed, recorder.decided, recorder.stored)
    )
    latencies = _latencies_by_second(recorder, span)
    backlog = 0
    for second in range(max([*sent, *decided, *stored], default=-1) + 1):
        backlog += sent[second] - decided[second]
        ordered = sorted(latencies[second])
        yield Second(
            second=second,
            sent=sent[second],
            decided=decided[second],
            stored=stored[second],
            backlog=backlog,
            p50=_at(ordered, 0.5),
            p99=_at(ordered, 0.99),
            max=_at(ordered, 1.0),
        )


def _per_second(moments: Iterable[float], start: float) -> Counter[int]:
    return Counter([max(int(at - start), 0) for at in moments if not isnan(at)])


def _latencies_by_second(recorder: Recorder, span: Span) -> defaultdict[int, list[float]]:
    latencies: defaultdict[int, list[float]] = defaultdict(list)
    for intended, at in zip(recorder.intended, recorder.stored, strict=True):
        latencies[int(intended - span.start)].append((span.end if isnan(at) else at) - intended)
    return latencies


def _at(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the ordered ones does not exceed, in ms."""
    if not ordered:
        return None
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 3)
