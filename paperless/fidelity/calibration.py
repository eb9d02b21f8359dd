"""Assumed values fitted to the published figures, and draws of them that all come to the fitted figures. Pure.

A fit is a ridge, not a point: many values give the same rates. So a set of *accepted draws* is kept: a Metropolis walk
over the ranges of the free parameters, by the density of the prior (normal around what was assumed first, with half a
range as its standard deviation), that never leaves the tolerances of the fitted figures. Rates are the expected ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from math import exp
from statistics import NormalDist
from typing import NamedTuple

from contracts.draws import draws
from domain import Authority, Domain, DomainError, Target, with_values
from paperless.fidelity.expected import expected_by_authority
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario, simulated_days
from services.vneid_mock.faults import FaultPlan

# All that expected rates depend on and nothing published tells; each has mark C and a range.
FREE = (
    "volume.share_25_services",
    "volume.full_groups_share",
    "channel.paper_taken_share",
    "channel.paper_taken_share_no_paper_rule",
    "channel.asked_again_share",
    "supplement.no_answer_share",
    "supplement.paper_answer_share",
    "result.electronic_share",
    "result.paper_on_request_share",
    "result.post_return_share",
    "result.physical_by_post_share",
)
# Of half a range: steps of which about a third is accepted.
STEP = 0.15
# Between two draws that are kept.
THIN = 10
NEWTON_STEPS = 5
SLOPE_STEP = 0.02
DIGITS = 4
SCOPES: Mapping[str, Authority] = {"all_provinces": "province", "all_ministries": "ministry"}

Rates = Mapping[tuple[date, Authority], float]


class Draw(NamedTuple):
    """Values of the free parameters in their order, and the expected D1 by day and authority."""

    values: tuple[float, ...]
    rates: Rates


class Problem(NamedTuple):
    """What is fitted: free parameters of a domain, by rates under a fault plan."""

    domain: Domain
    plan: FaultPlan
    free: tuple[str, ...] = FREE

    def rates(self, values: Sequence[float], days: Sequence[date]) -> Rates:
        """Return the expected D1 of each day; none where the values leave less than nothing of a part of the mix."""
        domain = with_values(self.domain, dict(zip(self.free, values, strict=True)))
        try:
            scenario = load_scenario(DEFAULT_SCENARIO, domain).model_copy(update={"days": tuple(days)})
            simulated = simulated_days(scenario, domain, seed=0)
        except DomainError:
            return {}
        return {
            (day.date, authority): rate
            for day in simulated
            for authority, rate in expected_by_authority(day, self.plan).items()
        }

    def distance(self, values: Sequence[float]) -> float:
        """Return the sum of the squared distances from the prior, in half ranges."""
        return sum(
            ((value - prior) / half) ** 2 for value, prior, half in zip(values, self.prior, self.halves, strict=True)
        )

    @property
    def prior(self) -> tuple[float, ...]:
        return tuple([self.domain.parameters[name].prior or 0.0 for name in self.free])

    @property
    def halves(self) -> tuple[float, ...]:
        return tuple([(high - low) / 2 for low, high in self.ranges])

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """The ends of the ranges, as distances from the prior in half ranges."""
        return tuple(
            [
                ((low - prior) / half, (high - prior) / half)
                for (low, high), prior, half in zip(self.ranges, self.prior, self.halves, strict=True)
            ]
        )

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        return tuple([_range(self.domain, name) for name in self.free])


def _range(domain: Domain, name: str) -> tuple[float, float]:
    """Return the range of a free parameter. Raises ``DomainError`` unless it is assumed and has one."""
    parameter = domain.parameters[name]
    if parameter.evidence != "C" or parameter.low is None or parameter.high is None:
        raise DomainError("parameters.csv", "-", name, "has evidence or no range", "fit assumed values only")
    return parameter.low, parameter.high


def fitted(domain: Domain) -> tuple[Target, ...]:
    """Return the targets that are fitted by expected rates: D1 of one authority."""
    return tuple(
        target
        for target in domain.targets
        if target.role == "fit" and target.observation.metric == "d1_rate" and target.observation.scope in SCOPES
    )


def excess(targets: Sequence[Target], rates: Rates) -> float:
    """Return by how many points the targets are missed beyond their tolerances, in all."""
    if not rates:
        return float("inf")
    errors = [
        (target, abs(100 * (rates[target.day, SCOPES[target.observation.scope]] - target.observation.value)))
        for target in targets
    ]
    return sum(max(error - target.tolerance, 0.0) for target, error in errors)


def nearest(problem: Problem) -> tuple[float, ...]:
    """Return the values nearest the prior whose expected rates are the fitted figures themselves.

    Least squares in half ranges under linearised constraints, repeated until the rates are met; a value that would
    leave its range stays at the end of it. Where too few values are left to meet the figures, they are not met.
    """
    targets, z, held = fitted(problem.domain), [0.0] * len(problem.free), set[int]()
    for _ in range(NEWTON_STEPS):
        here = _errors(problem, targets, z)
        slopes = [_slope(problem, targets, z, here, place) for place in range(len(z))]
        free = [place for place in range(len(z)) if place not in held]
        if len(free) < len(here):
            break
        # What the free ones must come to together, for each figure.
        wanted = [sum(slopes[place][row] * z[place] for place in free) - error for row, error in enumerate(here)]
        rows = range(len(here))
        products = [[sum(slopes[place][a] * slopes[place][b] for place in free) for b in rows] for a in rows]
        weights = _solve(products, wanted)
        for place in free:
            z[place] = sum(weight * slope for weight, slope in zip(weights, slopes[place], strict=True))
        for place in free:
            low, high = problem.ends[place]
            if not low <= z[place] <= high:
                z[place] = min(max(z[place], low), high)
                held.add(place)
    return tuple([round(value, DIGITS) for value in _values(problem, z)])


def _values(problem: Problem, z: Sequence[float]) -> tuple[float, ...]:
    return tuple([prior + each * half for prior, each, half in zip(problem.prior, z, problem.halves, strict=True)])


def _errors(problem: Problem, targets: Sequence[Target], z: Sequence[float]) -> list[float]:
    rates = problem.rates(_values(problem, z), sorted({target.day for target in targets}))
    return [rates[target.day, SCOPES[target.observation.scope]] - target.observation.value for target in targets]


def _slope(
    problem: Problem,
    targets: Sequence[Target],
    z: Sequence[float],
    here: Sequence[float],
    place: int,
) -> list[float]:
    """Return by how much each rate moves with one value, per half range; the step goes to the middle of the range."""
    step = SLOPE_STEP if z[place] < sum(problem.ends[place]) / 2 else -SLOPE_STEP
    there = _errors(problem, targets, [*z[:place], z[place] + step, *z[place + 1 :]])
    return [(after - before) / step for before, after in zip(here, there, strict=True)]


def _solve(matrix: Sequence[Sequence[float]], wanted: Sequence[float]) -> list[float]:
    """Return x of matrix x = wanted, by Gauss's elimination with pivots; a few rows."""
    rows = [[*row, right] for row, right in zip(matrix, wanted, strict=True)]
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda at: abs(rows[at][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for at in range(len(rows)):
            if at != column:
                factor = rows[at][column] / rows[column][column]
                rows[at] = [a - factor * b for a, b in zip(rows[at], rows[column], strict=True)]
    return [row[-1] / row[at] for at, row in enumerate(rows)]


def accepted(
    problem: Problem, count: int, seed: int, progress: Callable[[int], None] = lambda _: None
) -> Iterator[Draw]:
    """Yield accepted draws, first the one nearest the prior; `progress` is told how many there are."""
    targets = fitted(problem.domain)
    fit_days = sorted({target.day for target in targets})
    days = sorted({target.day for target in problem.domain.targets})
    here = nearest(problem)
    for number in range(count):
        yield Draw(here, problem.rates(here, days))
        progress(number + 1)
        for step in range(THIN):
            name = f"walk {number} {step}"
            there = tuple([round(value, DIGITS) for value in _moved(problem, here, STEP, seed, name)])
            odds = exp(min((problem.distance(here) - problem.distance(there)) / 2, 0.0))
            chance = draws(seed, "calibrate", name)[-1]
            if chance < odds and excess(targets, problem.rates(there, fit_days)) == 0:
                here = there


def _moved(problem: Problem, values: Sequence[float], scale: float, seed: int, name: str) -> Iterator[float]:
    """Step in every direction at once, mirrored at the ends of the ranges."""
    normal = NormalDist()
    for value, (low, high), drawn in zip(values, problem.ranges, draws(seed, "calibrate", name), strict=False):
        moved = value + scale * (high - low) / 2 * normal.inv_cdf(drawn or 0.5)
        mirrored = 2 * low - moved if moved < low else 2 * high - moved if moved > high else moved
        yield min(max(mirrored, low), high)
