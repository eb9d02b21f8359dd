"""Whole systems compared: what an application costs each, in all and by process, and its ratios to another system."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.rounds import Spread, ratios


class SystemRun(NamedTuple):
    """One run: applications per second, and CPU µs per application by process, the driver's too."""

    per_s: float
    cpu_us: Mapping[str, float]

    @property
    def cpu_us_in_all(self) -> float:
        return sum(self.cpu_us.values())


def summary(runs: Mapping[str, Sequence[SystemRun]], bases: Mapping[str, str]) -> dict[str, Any]:
    """Return by system the rate, the CPU, and both as ratios to the system that it is compared with, if there is one.

    Rates and costs are medians, with the spread from least to greatest; ratios are taken round by round.
    """
    result: dict[str, Any] = {}
    for name, rounds in runs.items():
        rates, costs = [run.per_s for run in rounds], [run.cpu_us_in_all for run in rounds]
        processes = dict.fromkeys(process for run in rounds for process in run.cpu_us)
        by_process = {process: [run.cpu_us.get(process, 0.0) for run in rounds] for process in processes}
        result[name] = {
            **_spread("applications_per_s", rates, 0),
            **_spread("cpu_us", costs, 1),
            "by_process": {process: round(Spread.of(values).median, 1) for process, values in by_process.items()},
        }
        if base := runs.get(bases.get(name, "")):
            result[name]["compared_with"] = bases[name]
            result[name] |= _spread("cpu_ratio", ratios(costs, [run.cpu_us_in_all for run in base]), 3)
            result[name] |= _spread("rate_ratio", ratios(rates, [run.per_s for run in base]), 3)
    return result


def _spread(name: str, values: Sequence[float], digits: int) -> dict[str, Any]:
    middle, low, high = Spread.of(values)
    return {name: round(middle, digits), f"{name}_spread": [round(low, digits), round(high, digits)]}


def table_of(result: Mapping[str, Any]) -> Table:
    """Return a summary as a table."""
    table = Table("system")
    for name in ("applications/s", "CPU µs/application", "ratio of rates", "ratio of CPU"):
        table.add_column(name, justify="right")
    table.add_column("compared with")
    table.add_column("CPU by process")
    for name, row in result.items():
        by_process = ", ".join(f"{process} {cost:.0f}" for process, cost in row["by_process"].items())
        figures = (_text(row, key, form) for key, form in _COLUMNS.items())
        table.add_row(name, *figures, row.get("compared_with", ""), by_process)
    return table


_COLUMNS = {"applications_per_s": ",.0f", "cpu_us": ".0f", "rate_ratio": ".2f", "cpu_ratio": ".2f"}


def _text(row: Mapping[str, Any], key: str, form: str) -> str:
    if key not in row:
        return ""
    low, high = row[f"{key}_spread"]
    return f"{row[key]:{form}} ({low:{form}} … {high:{form}})"
