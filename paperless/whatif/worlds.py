"""A setting of the levers makes another world of a day, in which everybody keeps the draws of the day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

from domain import Component, Domain, Procedure
from paperless.population.arrivals import SimulatedDay
from paperless.population.shares import Shares
from paperless.whatif.levers import BASE, BEST, Lever, LeverError, Levers, Setting
from paperless.whatif.terms import World


def checked(setting: Setting, levers: Levers) -> dict[str, float]:
    """Return what of a setting is not at its base, in the order of the levers.

    Raises:
        LeverError: an unknown lever, a value outside 0..1, or part of a decision.

    """
    for name, value in setting.items():
        if name not in levers:
            raise LeverError(f"no lever {name!r}; use one of {', '.join(levers)}")
        if not (isfinite(value) and BASE <= value <= BEST):
            raise LeverError(f"{name}={value:g}: a lever goes from 0 (as today) to 1 (its best)")
        if levers[name].whole and value not in {BASE, BEST}:
            raise LeverError(f"{name}={value:g}: is a decision, which is taken (1) or not (0)")
    return {name: setting[name] for name in levers if setting.get(name, BASE) != BASE}


def world_of(day: SimulatedDay, setting: Setting, levers: Levers) -> World:
    """Return the world in which the levers stand so; the day itself where all are at their base.

    Raises:
        LeverError: as `checked`.

    """
    moved = [(levers[name], value) for name, value in checked(setting, levers).items()]
    if not moved:
        return World(day)
    procedures = tuple([changed_procedure(procedure, moved) for procedure in day.procedures])
    gone = frozenset(code for lever, _ in moved if lever.removes for code in lever.procedures)
    shares, domain = changed_shares(day.shares, moved), _domain(day, procedures)
    return World(replace(day, procedures=procedures, shares=shares, domain=domain), gone)


Moved = Sequence[tuple[Lever, float]]


def changed_shares(shares: Mapping[str, Shares], moved: Moved) -> Mapping[str, Shares]:
    """Return the shares of all provinces with what the levers change about them."""
    ways = [(name, best, value) for lever, value in moved for name, best in lever.shares.items()]
    if not ways:
        return shares
    return {
        code: each.model_copy(update={name: nearer(getattr(each, name), best, value) for name, best, value in ways})
        for code, each in shares.items()
    }


def nearer(share: float, best: float, value: float) -> float:
    """Return a share after this part of its way to the best; at 1 the best itself."""
    return best if value == BEST else share + value * (best - share)


def changed_procedure(procedure: Procedure, moved: Moved) -> Procedure:
    """Return a procedure with what the levers change about it and its components."""
    changes: dict[str, object] = {}
    for lever, _ in moved:
        if procedure.code in lever.procedures:
            changes |= lever.changes
    fallback = changes.pop("fallback", None)
    components = {slug: _component(each, moved, fallback) for slug, each in procedure.components.items()}
    if not changes and components == procedure.components:
        return procedure
    proofs = tuple([component for component in components.values() if component.needs_proof])
    return replace(procedure, **changes, components=components, proofs=proofs)  # type: ignore[arg-type]  # of SETTABLE


def _component(component: Component, moved: Moved, fallback: object) -> Component:
    rates = list(component.usable_rates)
    for lever, value in moved:
        for place, database in enumerate(component.databases) if lever.databases else ():
            if lever.cleans(database):
                rates[place] = nearer(rates[place], 1.0, value)
    uploads = fallback is not None and component.fallback == "original"
    if tuple(rates) == component.usable_rates and not uploads:
        return component
    kept = fallback if uploads else component.fallback
    return replace(component, usable_rates=tuple(rates), fallback=kept)  # type: ignore[arg-type]  # a fallback


def _domain(day: SimulatedDay, procedures: Iterable[Procedure]) -> Domain:
    changed = {**day.domain.procedures, **{procedure.code: procedure for procedure in procedures}}
    return replace(day.domain, procedures=changed)
