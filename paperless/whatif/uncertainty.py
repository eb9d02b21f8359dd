"""How far an answer may be off because of what nobody knows: the accepted draws of the assumed values. Pure.

Each draw is another world that comes to the published figures as well. Everybody keeps the draws of the matrix; where a
draw changes the mix, each procedure's applications weigh as much more or less. So what is left is ignorance alone: the
noise of the sample is the same in every draw, and is stated apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain import DomainError, with_values
from paperless.fidelity.accepted_draws import AcceptedDraws
from paperless.population.arrivals import SimulatedDay
from paperless.population.scenario import Scenario, simulated_days
from paperless.whatif.combinations import AUTHORITIES
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import Levers, Setting
from paperless.whatif.rates import Run, rate_of
from paperless.whatif.worlds import world_of

INNER = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """5 %, the middle and 95 % over the draws."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """An assumed parameter: by how many points D1 and the gain move, on average, from one end of its range to another.

    The mean absolute elementary effect (Morris 1991), which counts what a parameter does together with others, too.
    """

    parameter: str
    d1_points: float
    gain_points: float


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Over so many accepted draws: D1 at the base and in the setting, their difference in points, what matters most.

    `reaches` is the share of the draws in which the smallest way to the target reaches it, `way` its D1.
    """

    draws: int
    base: Spread
    d1: Spread
    gain: Spread
    way: Spread | None
    reaches: float | None
    unknowns: tuple[Unknown, ...]


class Worlds(NamedTuple):
    """What is evaluated, with other values of parameters."""

    scenario: Scenario
    day: SimulatedDay
    evaluator: Evaluator
    levers: Levers
    run: Run
    ministry_share: float | None

    def rates(self, parameters: Mapping[str, float], settings: Sequence[Setting]) -> list[float] | None:
        """Return D1 in each setting where parameters have these values; None where the values leave no mix."""
        domain = with_values(self.day.domain, parameters)
        try:
            (other,) = simulated_days(self.scenario, domain, seed=self.day.seed, applications=1)
        except DomainError:
            return None
        day = replace(self.day, domain=domain, shares=other.shares, fileable=other.fileable)
        weights = np.array(other.weights) / np.maximum(np.array(self.day.weights), 1e-12)
        return [self._rate(day, weights, setting) for setting in settings]

    def _rate(self, day: SimulatedDay, weights: NDArray[np.float64], setting: Setting) -> float:
        counts, ended = self.evaluator.counts(world_of(day, setting, self.levers))
        authorities = [procedure.authority for procedure in day.procedures]
        both = {}
        for authority in AUTHORITIES:
            chosen = np.array([each == authority for each in authorities])
            both[authority] = tuple(
                float((weights[chosen] * each[chosen].sum(axis=1)).sum()) for each in (ended, counts)
            )
        return rate_of(both, self.run, self.ministry_share)


def uncertainty_of(
    worlds: Worlds, accepted: AcceptedDraws, setting: Setting, way: Sequence[str] | None, target: float | None
) -> Uncertainty:
    """Return the spread of an answer over the accepted draws, and which unknown moves it most.

    Args:
        worlds: what is evaluated.
        accepted: the draws; values that the walk stayed at are evaluated once.
        setting: of the levers.
        way: levers that reach the target where the assumed values are those in use; None where none was asked for.
        target: the D1 that was to be reached.

    """
    settings: list[Setting] = [{}, setting, *([dict.fromkeys(way, 1.0)] if way is not None else [])]
    rates_at = cache(lambda values: worlds.rates(dict(zip(accepted.parameters, values, strict=True)), settings))
    rates = np.array([found for draw in accepted.draws if (found := rates_at(draw.values)) is not None])
    reached = rates[:, 2] >= target if way is not None and target is not None else None
    return Uncertainty(
        draws=len(rates),
        base=_spread(rates[:, 0]),
        d1=_spread(rates[:, 1]),
        gain=_spread(100 * (rates[:, 1] - rates[:, 0])),
        way=_spread(rates[:, 2]) if way is not None else None,
        reaches=None if reached is None else float(reached.mean()),
        unknowns=tuple(unknowns(worlds, accepted, settings[-1])),
    )


def _spread(values: NDArray[np.float64]) -> Spread:
    return Spread(*[float(each) for each in np.quantile(values, INNER)])


def unknowns(worlds: Worlds, accepted: AcceptedDraws, setting: Setting, *, walks: int = 6) -> list[Unknown]:
    """Return what each assumed parameter moves, the one that moves D1 in the setting most first.

    Walks through the ranges, one parameter at a time, from points of the accepted draws: each step goes to the other
    half of the parameter's range.
    """
    names = accepted.parameters
    parameters = [worlds.day.domain.parameters[name] for name in names]
    ranges = [(each.low or 0.0, 1.0 if each.high is None else each.high) for each in parameters]
    evaluate = _scores(worlds, names, setting)
    effects: list[list[tuple[float, float]]] = [[] for _ in names]
    for walk in range(walks):
        here = list(accepted.draws[walk * len(accepted.draws) // walks].values)
        before = evaluate(tuple(here))
        for step in range(len(names)):
            place = (step + walk) % len(names)
            there = list(here)
            low, high = ranges[place]
            there[place] = here[place] + (high - low) / 2 * (1 if here[place] < (low + high) / 2 else -1)
            after = evaluate(tuple(there))
            if before is not None and after is not None:
                effects[place].append((abs(2 * (after[0] - before[0])), abs(2 * (after[1] - before[1]))))
                here, before = there, after
    means = [np.mean(each, axis=0) if each else np.zeros(2) for each in effects]
    found = [Unknown(name, float(mean[0]), float(mean[1])) for name, mean in zip(names, means, strict=True)]
    return sorted(found, key=lambda each: -each.d1_points)


def _scores(
    worlds: Worlds, names: Sequence[str], setting: Setting
) -> Callable[[tuple[float, ...]], tuple[float, float] | None]:
    """Return D1 in the setting and its gain, both in points, as a function of the parameters' values."""

    @cache
    def scores(values: tuple[float, ...]) -> tuple[float, float] | None:
        rates = worlds.rates(dict(zip(names, values, strict=True)), [{}, setting])
        return None if rates is None else (100 * rates[1], 100 * (rates[1] - rates[0]))

    return scores
