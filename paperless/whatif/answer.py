"""The answer to a what-if question, as one frozen value that is written as JSON as it stands.

`answer(load_model(), {"fee_online": 1.0})` takes milliseconds once the model is loaded, with a target
half a second more.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain import Authority
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.whatif.answers import Answer, Compared, LeverRow, ProvinceRate, TargetAnswer, way_of
from paperless.whatif.caveats import Caveat, caveats_of
from paperless.whatif.combinations import AUTHORITIES, Rates, cheapest, shapley, smallest
from paperless.whatif.levers import BASE, BEST, Lever, Setting
from paperless.whatif.model import Model
from paperless.whatif.rates import RUNS, Run
from paperless.whatif.terms import World
from paperless.whatif.uncertainty import Uncertainty, Worlds, uncertainty_of
from paperless.whatif.worlds import checked, world_of


def answer(
    model: Model,
    setting: Setting | None = None,
    *,
    target: float | None = None,
    run_by: Run = "province",
    uncertain: bool = False,
) -> Answer:
    """Return what the levers of a setting come to, and what would reach a target.

    Args:
        model: where and when is asked.
        setting: by lever how far it is on its way to its best, 0..1; others stand at their base.
        target: D1 to be reached, 0..1; None asks for no way, and gains stay open.
        run_by: whose D1 the target, the gains and the uncertainty are of.
        uncertain: whether the accepted draws of the assumed values are gone through; some seconds.

    Raises:
        LeverError: no such lever, or no such value of it.

    """
    moved = checked(setting or {}, model.levers)
    base, now = (
        model.evaluator.counts(world) for world in (World(model.day), world_of(model.day, moved, model.levers))
    )
    rates = rates_of(model, run_by) if target is not None else None
    target_answer = None if target is None or rates is None else _target(model, rates, target)
    return Answer(
        scenario=model.scenario.name,
        day=model.day.date.isoformat(),
        plan=model.plan.name,
        seeds=model.seeds,
        applications=model.evaluator.matrix.applications,
        place=_place(model),
        run_by=run_by,
        setting=moved,
        rates={run: _compared(model, base, now, run) for run in RUNS},
        provinces=tuple(_provinces(model, base, now)),
        levers=tuple(_levers(model, moved, rates)),
        target=target_answer,
        uncertainty=_uncertainty(model, moved, target_answer, run_by) if uncertain else None,
        caveats=tuple(_caveats(model, moved, target_answer)),
    )


def _caveats(model: Model, setting: Setting, target: TargetAnswer | None) -> list[Caveat]:
    ways = [way for way in (target.smallest, target.cheapest) if way] if target else []
    used = [*setting, *[name for way in ways for name in way.levers]] or list(model.levers)
    sample = {"applications": model.evaluator.matrix.applications, "seeds": len(model.seeds)}
    return caveats_of(model.levers, used, sample, target.ceiling_without_procedures if target else None)


def _uncertainty(model: Model, setting: Setting, target: TargetAnswer | None, run_by: Run) -> Uncertainty:
    worlds = Worlds(model.scenario, model.day, model.evaluator, model.levers, run_by, ministry_share(model))
    way = target.smallest.levers if target and target.smallest else None
    return uncertainty_of(worlds, read_accepted_draws(), setting, way, target.target if target else None)


Counts = tuple[NDArray[np.int64], NDArray[np.int64]]


def _place(model: Model) -> str | None:
    """Return the one province that is asked about, None for several."""
    provinces = model.evaluator.matrix.provinces
    return provinces[0] if len(provinces) == 1 else None


def ministry_share(model: Model) -> float | None:
    """Return the weight of what ministries run in the country's D1, None where applications are simply counted."""
    return None if _place(model) else model.day.domain.ministry_run_share(model.day.date)


def _compared(model: Model, base: Counts, now: Counts, run: Run) -> Compared:
    runs = [[procedure.authority == each for procedure in model.day.procedures] for each in AUTHORITIES]
    weight = ministry_share(model)
    if run != "all":
        chosen = runs[AUTHORITIES.index(run)]
        return _of(*[tuple(each[chosen].sum() for each in counts) for counts in (base, now)])
    both = [_of(*[tuple(each[chosen].sum() for each in counts) for counts in (base, now)]) for chosen in runs]
    if weight is None:
        return _of(*[tuple(each.sum() for each in counts) for counts in (base, now)])
    provinces, ministries = both
    return Compared(
        provinces.applications + ministries.applications,
        (1 - weight) * provinces.base + weight * ministries.base,
        (1 - weight) * provinces.d1 + weight * ministries.d1,
        sqrt(((1 - weight) * provinces.noise_points) ** 2 + (weight * ministries.noise_points) ** 2),
    )


def _of(base: Sequence[Any], now: Sequence[Any]) -> Compared:
    counted, ended = int(base[0]), int(base[1])
    rate = ended / counted if counted else 0.0
    noise = 100 * sqrt(rate * (1 - rate) / counted) if counted else 0.0
    return Compared(counted, rate, int(now[1]) / int(now[0]) if now[0] else 0.0, noise)


def _provinces(model: Model, base: Counts, now: Counts) -> list[ProvinceRate]:
    run = np.array([procedure.authority == "province" for procedure in model.day.procedures])
    rows = []
    for place, code in enumerate(model.evaluator.matrix.provinces):
        province = model.day.domain.provinces[code]
        both = [
            _of(*[tuple(each[chosen, place].sum() for each in counts) for counts in (base, now)])
            for chosen in (run, np.ones_like(run))
        ]
        rows.append(ProvinceRate(code, province.name_vi, province.name_en, *both))
    return rows


def rates_of(model: Model, run_by: Run) -> Rates:
    """Return D1 of every combination in the place asked about."""
    found = model.combinations
    every = {each: found.rates(found.provinces, each) for each in AUTHORITIES}
    if run_by != "all":
        return every[run_by]
    weight = ministry_share(model)
    if weight is None:
        return np.asarray(found.ended.sum(axis=(0, 1)) / np.maximum(found.applications.sum(axis=(0, 1)), 1))
    return (1 - weight) * every["province"] + weight * every["ministry"]


def gains_by_province(model: Model, run_by: Run) -> dict[str, list[float]]:
    """Return, by province, what each lever alone gains there, in points."""
    found = model.combinations
    authority: Authority = "ministry" if run_by == "ministry" else "province"
    gains = {}
    for code in found.provinces:
        rates = found.rates([code], authority)
        gains[code] = [100 * float(rates[1 << bit] - rates[0]) for bit in range(len(found.levers))]
    return gains


def _levers(model: Model, setting: Mapping[str, float], rates: Rates | None) -> list[LeverRow]:
    shares = {} if rates is None else shapley(model.combinations, rates)
    return [
        _lever_row(lever, setting.get(name, BASE), model.costs[name], _gains(bit, rates), shares.get(name))
        for bit, (name, lever) in enumerate(model.levers.items())
    ]


def _gains(bit: int, rates: Rates | None) -> tuple[float, float] | tuple[None, None]:
    if rates is None:
        return None, None
    full = len(rates) - 1
    return 100 * float(rates[1 << bit] - rates[0]), 100 * float(rates[full] - rates[full ^ 1 << bit])


def _lever_row(
    lever: Lever, value: float, cost: float, gains: tuple[float | None, float | None], share: float | None
) -> LeverRow:
    return LeverRow(
        lever.name,
        *lever.names,
        value,
        BASE,
        BEST,
        lever.whole,
        *lever.bests,
        *lever.owners,
        lever.source,
        lever.evidence,
        cost,
        *gains,
        None if share is None else 100 * share,
    )


def _target(model: Model, rates: Rates, target: float) -> TargetAnswer:
    found, costs, full = model.combinations, model.costs, len(rates) - 1
    procedures = found.mask([name for name, lever in model.levers.items() if lever.procedures])
    certification = found.mask([name for name in model.levers if name.startswith("certification")])
    return TargetAnswer(
        target,
        way_of(found, rates, smallest(found, rates, target, costs)),
        way_of(found, rates, cheapest(found, rates, target, costs)),
        float(rates.max()),
        float(rates[full & ~procedures]),
        float(rates[full & ~certification]),
    )
