"""Every comparable published figure beside the simulated one: the rows of `paperless fidelity`. Pure.

Figures of provinces count what provinces run (`services.scoring.rates.definitions`); the country's D1 is that of both
authorities at the mix that was published for the month.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from domain import Domain, Observation, Target
from paperless.fidelity.calibration import Draw
from paperless.fidelity.tally import Tallies, Tally, TallyKey, summed

Chosen = Callable[[TallyKey], bool]
# Of a metric: numerator and denominator among the fields of a tally.
SHARES: Mapping[str, tuple[str, str]] = {
    "d1_rate": ("end_to_end", "applications"),
    "online_share": ("online", "applications"),
    "postal_share": ("by_post", "applications"),
    "on_time_share": ("on_time", "applications"),
    "online_payment_share": ("fee_paid", "fee_due"),
    "electronic_result_share": ("electronic", "electronic_due"),
}
# Of a scope: the weight of what ministries run; None is that of the published mix.
WEIGHTS: Mapping[str, float | None] = {"all_provinces": 0.0, "all_ministries": 1.0, "national": None}
EXTREMES: Mapping[str, Callable[[Iterable[float]], float]] = {"d1_rate_lowest": min, "d1_rate_highest": max}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: shares 0..1; `low` and `high` are the extremes over the seeds, `error_points` is simulated - published.

    A published figure that is only a bound (`comparison` gt or lt) has no error on its right side. `draws_low` and
    `draws_high` are 5 % and 95 % of the expected rate over the accepted draws, where there is one: D1 of authorities.
    """

    figure: str
    scope: str
    period: str
    published: float
    comparison: str
    evidence: str
    simulated: float
    low: float
    high: float
    draws_low: float | None
    draws_high: float | None
    error_points: float
    tolerance_points: float
    within: bool
    role: str
    basis: str


def figures_of(domain: Domain, runs: Mapping[date, Sequence[Tallies]], draws: Sequence[Draw]) -> list[Figure]:
    """Return a row for each target of the domain.

    Args:
        domain: whose targets are held against.
        runs: for each of the targets' days, the tallies by seed.
        draws: the accepted draws.

    """
    return [
        _figure(target, [simulated(target, run, domain) for run in runs[target.day]], over_draws(target, draws, domain))
        for target in domain.targets
    ]


def over_draws(target: Target, draws: Sequence[Draw], domain: Domain) -> tuple[float, float] | tuple[None, None]:
    """Return 5 % and 95 % of the expected rate over the draws, nothing for what has no expected rate."""
    published, day = target.observation, target.day
    if published.metric != "d1_rate" or published.scope not in WEIGHTS or not draws:
        return None, None
    ministries = WEIGHTS[published.scope]
    if ministries is None:
        ministries = domain.ministry_run_share(published.period_end or day)
    rates = sorted(
        ministries * draw.rates[day, "ministry"] + (1 - ministries) * draw.rates[day, "province"] for draw in draws
    )
    return round(rates[int(0.05 * len(rates))], 6), round(rates[int(0.95 * len(rates))], 6)


def _figure(target: Target, values: Sequence[float], over_draws: tuple[float | None, float | None]) -> Figure:
    published, mean = target.observation, sum(values) / len(values)
    error = 100 * (mean - published.value)
    if (published.comparison == "gt" and error > 0) or (published.comparison == "lt" and error < 0):
        error = 0.0
    return Figure(
        figure=published.metric,
        scope=published.scope
        if published.scope.startswith(("all", "national"))
        else f"{published.scope} {published.name}",
        period=_period(published),
        published=published.value,
        comparison=published.comparison,
        evidence=published.evidence,
        simulated=round(mean, 6),
        low=round(min(values), 6),
        high=round(max(values), 6),
        draws_low=over_draws[0],
        draws_high=over_draws[1],
        error_points=round(error, 2),
        tolerance_points=target.tolerance,
        within=abs(error) <= target.tolerance,
        role=target.role,
        basis=target.basis,
    )


def _period(published: Observation) -> str:
    start, end = published.period_start, published.period_end
    return "..".join(each.isoformat() for each in (start, end) if each)


def simulated(target: Target, tallies: Tallies, domain: Domain) -> float:
    """Return the figure of a target in one simulated day.

    Raises:
        KeyError: no tally has the metric.

    """
    published = target.observation
    if published.metric in EXTREMES:
        shares = [share_of("d1_rate", _chosen(tallies, _run_by_provinces(code))) for code in domain.provinces]
        return EXTREMES[published.metric](shares)
    if published.scope == "national":
        ministries = domain.ministry_run_share(published.period_end or target.day)
        provinces = _chosen(tallies, lambda key: key.authority == "province")
        return ministries * share_of(published.metric, _chosen(tallies, lambda key: key.authority == "ministry")) + (
            1 - ministries
        ) * share_of(published.metric, provinces)
    return share_of(published.metric, _chosen(tallies, _scope(published, domain)))


def share_of(metric: str, tally: Tally) -> float:
    """Return a metric's share; 0 where nothing was counted."""
    numerator, denominator = (getattr(tally, name) for name in SHARES[metric])
    return float(numerator / denominator) if denominator else 0.0


def _chosen(tallies: Tallies, chosen: Chosen) -> Tally:
    return summed(tally for key, tally in tallies.items() if chosen(key))


def _run_by_provinces(province: str) -> Chosen:
    return lambda key: key.authority == "province" and key.province == province


def _scope(published: Observation, domain: Domain) -> Chosen:
    """Return which tallies a figure counts; one of a province of before the merger is held against the country."""
    if published.scope == "all_ministries":
        return lambda key: key.authority == "ministry"
    if published.scope in {"all_provinces", "former_province"}:
        return lambda key: key.authority == "province"
    province = next(code for code, each in domain.provinces.items() if each.h_code == published.h_code)
    if published.scope == "province_communes":
        return lambda key: _run_by_provinces(province)(key) and key.level == "commune"
    return _run_by_provinces(province)
