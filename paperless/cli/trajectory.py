"""`paperless fidelity --trajectory`: the months beside what was published of them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from rich.table import Table

from domain import Domain, load_domain
from paperless.cli.output import make_console, write_json
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.fidelity.trajectory import Effect, Month, effects, months, online_share
from paperless.population.arrivals import SimulatedDay
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario, simulated_days
from services.vneid_mock.plan_files import load_plan

SCENARIO = "trajectory"


def show_trajectory(plan_name: str, json: Path | None) -> None:
    """Print the months and the reforms' effects, and write them as JSON: `months`, `effects`, `online`."""
    domain, plan = load_domain(), load_plan(plan_name)
    days = load_scenario(SCENARIO, domain).days
    rows = months(domain, days, day_of, plan, read_accepted_draws().draws)
    moved = effects(domain, days, day_of, plan)
    online = {"expected": round(online_share([day_of(domain, day) for day in _second_half(days)]), 4)}
    online |= {"published": domain.published("online_share", "all_provinces")[-1].value}
    console = make_console()
    console.print(months_table(rows))
    console.print(effects_table(moved))
    console.print(
        f"filed online, provinces, July 2025 to January 2026: {100 * online['expected']:.1f} %,"
        f" published {100 * online['published']:.1f} %"
    )
    console.print(
        "no: no values inside the reforms' ranges reach the figure; another change of the world would be needed"
    )
    result = {"months": [_plain(row) for row in rows], "effects": [_plain(row) for row in moved], "online": online}
    write_json(json, result)


def day_of(domain: Domain, day: date) -> SimulatedDay:
    """Return a working day of the default scenario on another date, in its own world."""
    scenario = load_scenario(DEFAULT_SCENARIO, domain).model_copy(update={"days": (day,)})
    return simulated_days(scenario, domain, seed=0)[0]


def _second_half(days: Sequence[date]) -> list[date]:
    """Return the days of the period of the published online share: from 1 July 2025 on."""
    return [day for day in days if day >= date(2025, 7, 1)]


def _plain(row: Month | Effect) -> dict[str, object]:
    plain = {**asdict(row), "day": row.day.isoformat()}
    return {**plain, "reached": row.reached} if isinstance(row, Month) else plain


def months_table(rows: Sequence[Month]) -> Table:
    """Return the months as a table, in per cent; what the reforms' ranges cannot reach stands out."""
    table = Table(title="End to end (D1), expected beside published, in %", title_justify="left")
    for name in ("day", "scope"):
        table.add_column(name, no_wrap=True)
    for name in ("published", "expected", "reforms", "draws", "error", "reached"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.day.isoformat(),
            row.scope,
            "" if row.published is None else f"{100 * row.published:.2f} {row.evidence}",
            f"{100 * row.expected:.2f}",
            "" if row.high - row.low < 0.0005 else f"{100 * row.low:.1f}-{100 * row.high:.1f}",
            "" if row.draws_low is None else f"{100 * row.draws_low:.0f}-{100 * (row.draws_high or 0):.0f}",
            "" if row.error_points is None else f"{row.error_points:+.2f}",
            row.reached,
            style="yellow" if row.reached == "no" else None,
        )
    return table


def effects_table(rows: Sequence[Effect]) -> Table:
    """Return the reforms' effects as a table: a row for each reform and day on which it moves a rate."""
    table = Table(title="What a reform moves, in points of D1, all others being as they are", title_justify="left")
    for name in ("day", "reform"):
        table.add_column(name, no_wrap=True)
    for name in ("provinces", "ministries"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.day.isoformat(), row.reform, f"{row.provinces_points:+.2f}", f"{row.ministries_points:+.2f}")
    return table
