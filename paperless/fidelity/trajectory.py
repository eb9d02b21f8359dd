"""The months from June 2025 on: the expected rates of a sampled day each, beside what was published, and why. Pure.

Rates are the expected ones (`paperless.fidelity.expected`), so a year takes seconds. A figure that is not reached is
held against the ends of the reforms' ranges as well: outside them, another change of the world would be needed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import fmean
from typing import Literal

from domain import Authority, Domain, Step, Target
from paperless.fidelity.calibration import Draw
from paperless.fidelity.expected import expected_by_authority
from paperless.fidelity.figures import WEIGHTS, over_draws
from paperless.population.arrivals import SimulatedDay, province_weight
from services.vneid_mock.faults import FaultPlan

Rates = Mapping[Authority, float]
# "" where nothing was published.
Reached = Literal["yes", "in range", "no", ""]
# A day as it is played in a domain, which may have other reforms than the packaged one.
DayOf = Callable[[Domain, date], SimulatedDay]
# Larger values of these parameters lower the rates, or leave them; of all others they raise them.
LOWERING = ("channel.paper_taken", "channel.asked_again", "supplement.", "result.paper_on_request", "handling.")
AUTHORITIES: tuple[Authority, ...] = ("province", "ministry")
SCOPE_OF: Mapping[str, str] = {
    "provinces": "all_provinces",
    "ministries": "all_ministries",
    "country": "national",
}


@dataclass(frozen=True, slots=True)
class Month:
    """D1 of one scope on a month's sampled day, shares 0..1.

    `low` and `high`: with every assumed step of a reform at the end of its range that lowers or raises the rates.
    `draws_low` and `draws_high` as in `Figure`. Without a published figure those about it are None.
    """

    day: date
    scope: str
    published: float | None
    evidence: str
    expected: float
    low: float
    high: float
    draws_low: float | None
    draws_high: float | None
    error_points: float | None
    tolerance_points: float | None

    @property
    def reached(self) -> Reached:
        """Whether the figure is met within its tolerance, by values inside the reforms' ranges only, or by none."""
        if self.published is None or self.error_points is None or self.tolerance_points is None:
            return ""
        if abs(self.error_points) <= self.tolerance_points:
            return "yes"
        return "in range" if self.low <= self.published <= self.high else "no"


@dataclass(frozen=True, slots=True)
class Effect:
    """By how many points a reform moves the expected D1 of a sampled day, all other reforms being as they are."""

    day: date
    reform: str
    provinces_points: float
    ministries_points: float


def months(domain: Domain, days: Iterable[date], day_of: DayOf, plan: FaultPlan, draws: Sequence[Draw]) -> list[Month]:
    """Return the three scopes of every sampled day, each for every figure published of it, in order."""
    rows = []
    for day in days:
        rates = tuple([expected_by_authority(day_of(each, day), plan) for each in (domain, *_ends(domain, day))])
        rows += [_month(domain, day, target, rates, draws) for target in _targets(domain, day)]
    return rows


def effects(domain: Domain, days: Iterable[date], day_of: DayOf, plan: FaultPlan) -> list[Effect]:
    """Return what each reform does to each sampled day on which a step of it holds; what moves no rate is left out."""
    rows = []
    for day in days:
        rates = expected_by_authority(day_of(domain, day), plan)
        for name, reform in domain.reforms.items():
            if any(step.holds(day) for step in reform.steps):
                without = replace(domain, reforms={key: each for key, each in domain.reforms.items() if key != name})
                before = expected_by_authority(day_of(without, day), plan)
                rows.append(Effect(day, name, *[_points(rates[each] - before[each]) for each in AUTHORITIES]))
    return [row for row in rows if row.provinces_points or row.ministries_points]


def _points(difference: float) -> float:
    return round(100 * difference, 2)


def online_share(days: Iterable[SimulatedDay]) -> float:
    """Return the mean over days of the share of what provinces run that is filed online, provinces by volume."""
    return fmean(_online(day) for day in days)


def _online(day: SimulatedDay) -> float:
    weights = {code: province_weight(day.domain, code) for code in day.shares}
    return sum(weights[code] * shares.online_share for code, shares in day.shares.items()) / sum(weights.values())


def _month(
    domain: Domain, day: date, target: tuple[str, Target | None], rates: tuple[Rates, ...], draws: Sequence[Draw]
) -> Month:
    scope, published = target
    ministries = _ministries(domain, scope, day, published)
    expected, low, high = (ministries * each["ministry"] + (1 - ministries) * each["province"] for each in rates)
    over = (None, None) if published is None else over_draws(published, draws, domain)
    value = None if published is None else published.observation.value
    return Month(
        day=day,
        scope=scope,
        published=value,
        evidence="" if published is None else published.observation.evidence,
        expected=round(expected, 6),
        low=round(low, 6),
        high=round(high, 6),
        draws_low=over[0],
        draws_high=over[1],
        error_points=None if value is None else round(100 * (expected - value), 2),
        tolerance_points=None if published is None else published.tolerance,
    )


def _ministries(domain: Domain, scope: str, day: date, target: Target | None) -> float:
    weight = WEIGHTS[SCOPE_OF[scope]]
    if weight is not None:
        return weight
    return domain.ministry_run_share((target.observation.period_end if target else None) or day)


def _targets(domain: Domain, day: date) -> list[tuple[str, Target | None]]:
    """Return each scope with the figures published of the day's month, or with none."""
    of_day = [each for each in domain.targets if each.day == day and each.observation.metric == "d1_rate"]
    rows: list[tuple[str, Target | None]] = []
    for scope, name in SCOPE_OF.items():
        named = [each for each in of_day if each.observation.scope == name]
        rows += [(scope, target) for target in named] or [(scope, None)]
    return rows


def _ends(domain: Domain, day: date) -> tuple[Domain, Domain]:
    """Return the domain with each assumed step of a day at its end that lowers the rates, and at that which raises."""
    low, high = {}, {}
    for name, reform in domain.reforms.items():
        ends = [_sorted_ends(step, day) for step in reform.steps]
        low[name] = replace(reform, steps=tuple([each for each, _ in ends]))
        high[name] = replace(reform, steps=tuple([each for _, each in ends]))
    return replace(domain, reforms=low), replace(domain, reforms=high)


def _sorted_ends(step: Step, day: date) -> tuple[Step, Step]:
    if step.low is None or step.high is None or not step.holds(day):
        return step, step
    least, most = replace(step, value=step.low), replace(step, value=step.high)
    lowering = step.field == "needed_rate" or step.key.startswith(LOWERING)
    return (most, least) if lowering else (least, most)
