"""What a tick of the live page says, made of what the parts of the system answer. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

# Measures of all applications decided: their denominator is the row's count, and is not repeated.
OF_ALL: Final = ("d1", "online", "on_time", "presumed", "minutes_to_result")
# The others, as two integers.
OF_SOME: Final = ("d2", "paperless", "components_by_data", "papers_asked_although_data_were_there")
# The metrics of the services of which a flow is made, by field; of the outcomes, those with result="overruled".
FLOW_METRICS: Final = {
    "paperless_window_open_records": "open",
    "paperless_consumer_lag_records": "lag",
    "scoring_outcomes_total": "overruled",
    "paperless_dead_letters_total": "dead_letters",
}


class Flow(NamedTuple):
    """How the flow goes, summed over the services that answered; counters run since the services' starts."""

    open: int = 0
    """Applications that wait for answers."""
    lag: int = 0
    """Records that lie in the log and are not handled yet."""
    overruled: int = 0
    """Outcomes that a later one, which knew more, has replaced."""
    dead_letters: int = 0
    away: tuple[str, ...] = ()
    """Services that do not answer."""


def compact(row: Mapping[str, Any]) -> list[Any]:
    """Return a row of the rates as integers: key, rank, applications, numerators of all, then pairs of some."""
    rates = row["rates"]
    pairs = [rates[name][part] for name in OF_SOME for part in ("numerator", "denominator")]
    return [row["key"], row["rank"], row["applications"], *(rates[name]["numerator"] for name in OF_ALL), *pairs]


def compact_table(table: Mapping[str, Any]) -> list[list[Any]]:
    """Return the country and then the provinces, best first, as `compact` does."""
    return [compact(row) for row in (table["total"], *table["rows"])]


def samples(exposition: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield name, labels and value of what Prometheus would scrape."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def flow_of(expositions: Iterable[str], away: Sequence[str] = ()) -> Flow:
    """Return how the flow goes, from the metrics of every service that answered."""
    sums = dict.fromkeys(Flow._fields[:4], 0.0)
    for exposition in expositions:
        for name, labels, value in samples(exposition):
            field = _field_of(name, labels)
            if field:
                sums[field] += value
    return Flow(**{name: int(value) for name, value in sums.items()}, away=tuple(away))


def _field_of(name: str, labels: Mapping[str, str]) -> str | None:
    # Of the outcomes alone there are other results, which are no part of a flow.
    return FLOW_METRICS.get(name) if labels.get("result", "overruled") == "overruled" else None


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the switches of a fault plan that another plan sets otherwise, with their new values."""
    fields = {name: value for name, value in after.items() if name not in {"sentence", "unreachable"}}
    found = {name: value for name, value in fields.items() if value != before.get(name)}
    old, new = before.get("unreachable", {}), after.get("unreachable", {})
    shares = {name: new.get(name, 0) for name in sorted({*old, *new}) if new.get(name, 0) != old.get(name, 0)}
    return found | ({"unreachable": shares} if shares else {})
