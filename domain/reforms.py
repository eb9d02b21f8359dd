"""Reforms: small dated differences of the world from that of one day, which the other files describe. Pure.

``reforms.csv`` names each with its legal reference, ``reform_steps.csv`` holds what it changes and when. What is in
force before `BASE_DAY` is told from the other end: a step with ``until`` says what was different up to that day.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from domain.changes import with_components, with_procedure, with_values
from domain.models import Component, Evidence, Fallback, ServiceLevel

if TYPE_CHECKING:
    from domain.catalogue import Domain

# The world that parameters.csv, procedures.csv and their companions describe: no step holds on it.
BASE_DAY = date(2025, 10, 8)
# The reform that a run supposes, in a folder of its own (`paperless whatif --play`): it may hold on any day.
SUPPOSED = "what-if"

Table = Literal["parameter", "procedure", "component", "look_up", "database", "paper"]
How = Literal["set", "add", "times"]
Value = float | bool | str
HOWS: tuple[How, ...] = get_args(How)
# What a step may change, and what its value is: a number, a flag, or one of some words.
FIELDS: Mapping[Table, Mapping[str, type[float] | type[bool] | tuple[str, ...]]] = MappingProxyType({
    "parameter": {"value": float},
    "procedure": {
        "presence_required": bool,
        "electronic_result": bool,
        "result_by_post": bool,
        "fee_online_vnd": float,
        "limit_value": float,
        "service_level": get_args(ServiceLevel),
    },
    "component": {"needed_rate": float, "fallback": get_args(Fallback)},
    "look_up": {"usable_rate": float},
    "database": {"usable_rate": float},
    "paper": {"needed_rate": float, "usable_rate": float},
})  # fmt: skip
# Parameters that who asks and who answers must agree on, whatever the day of an application: no step may change them.
LASTING = ("lookup.", "office.", "intake.")


@dataclass(frozen=True, slots=True)
class Step:
    """One difference: from ``start`` to ``end`` (inclusive; None: without end) a field is set, added to or multiplied.

    ``key`` is a parameter's name, a procedure's code, `code/slug` of a component, `code/slug/database` of its look-up
    there, or the slug of a database or paper; the latter two stand for every component that is looked up there, or is
    that paper. ``low`` and ``high`` bound the
    value where it is assumed. ``row`` is that of reform_steps.csv.
    """

    start: date | None
    end: date | None
    table: Table
    key: str
    field: str
    how: How
    value: Value
    low: float | None
    high: float | None
    evidence: Evidence
    basis: str
    row: int

    def holds(self, day: date) -> bool:
        """Whether it holds on a day, which may be an event time."""
        ordinal = day.toordinal()
        after = self.start is None or self.start.toordinal() <= ordinal
        return after and (self.end is None or ordinal <= self.end.toordinal())

    @property
    def turns(self) -> tuple[int, ...]:
        """The days, as ordinals, on which it begins and has ceased to hold."""
        begins = () if self.start is None else (self.start.toordinal(),)
        return begins if self.end is None else (*begins, self.end.toordinal() + 1)


@dataclass(frozen=True, slots=True)
class Reform:
    """A change of the world with its legal reference; ``source`` says where that was read, or that it is assumed."""

    name: str
    title_vi: str
    title_en: str
    source: str
    evidence: Evidence
    basis: str
    steps: tuple[Step, ...]


def applied(domain: "Domain", steps: Sequence[Step]) -> "Domain":
    """Return a domain with steps done in their order, and no reforms of its own."""
    for step in steps:
        domain = _APPLY[step.table](domain, step)
    return replace(domain, reforms=MappingProxyType({}))


def _parameter(domain: "Domain", step: Step) -> "Domain":
    return with_values(domain, {step.key: _moved(step, domain.number(step.key))})


def _procedure(domain: "Domain", step: Step) -> "Domain":
    before = getattr(domain.procedures[step.key], step.field)
    value: Value = step.value if isinstance(step.value, bool | str) else round(_moved(step, before))
    return with_procedure(domain, step.key, **{step.field: value})


def _component(domain: "Domain", step: Step) -> "Domain":
    code, slug = step.key.split("/")

    def chosen(each: Component) -> bool:
        return each.procedure == code and each.slug == slug

    if step.field == "fallback":
        return with_components(domain, chosen, lambda each: replace(each, fallback=step.value))  # type: ignore[arg-type]  # read as one
    return with_components(domain, chosen, partial(_needed, step))


def _look_up(domain: "Domain", step: Step) -> "Domain":
    """Move how often one component is found in one database."""
    code, slug, database = step.key.split("/")

    def changed(each: Component) -> Component:
        pairs = zip(each.databases, each.usable_rates, strict=True)
        rates = [_share(step, rate) if name == database else rate for name, rate in pairs]
        return replace(each, usable_rates=tuple(rates))

    return with_components(domain, lambda each: each.procedure == code and each.slug == slug, changed)


def _database(domain: "Domain", step: Step) -> "Domain":
    """Move the database's own rate; a component with a rate of its own for it (usable_override) keeps that."""
    before = domain.databases[step.key]
    after = replace(before, usable_rate=_share(step, before.usable_rate))

    def changed(each: Component) -> Component:
        pairs = zip(each.databases, each.usable_rates, strict=True)
        own = [slug == step.key and rate == before.usable_rate for slug, rate in pairs]
        rates = [after.usable_rate if mine else rate for mine, rate in zip(own, each.usable_rates, strict=True)]
        return replace(each, usable_rates=tuple(rates))

    domain = with_components(domain, lambda each: step.key in each.databases, changed)
    return replace(domain, databases=MappingProxyType({**domain.databases, step.key: after}))


def _paper(domain: "Domain", step: Step) -> "Domain":
    """Move how often a paper is needed, or how often its own database has it; others may still know it."""
    if step.field == "needed_rate":
        return with_components(domain, lambda each: each.paper == step.key, partial(_needed, step))
    database = domain.papers[step.key].database

    def changed(each: Component) -> Component:
        pairs = zip(each.databases, each.usable_rates, strict=True)
        rates = [_share(step, rate) if slug == database else rate for slug, rate in pairs]
        return replace(each, usable_rates=tuple(rates))

    return with_components(domain, lambda each: each.paper == step.key, changed)


def _needed(step: Step, component: Component) -> Component:
    return replace(component, needed_rate=_share(step, component.needed_rate))


def _share(step: Step, before: float) -> float:
    return min(max(_moved(step, before), 0.0), 1.0)


def _moved(step: Step, before: float) -> float:
    value = float(step.value)
    return value if step.how == "set" else before + value if step.how == "add" else before * value


_APPLY: Mapping[Table, Callable[["Domain", Step], "Domain"]] = MappingProxyType({
    "parameter": _parameter,
    "procedure": _procedure,
    "component": _component,
    "look_up": _look_up,
    "database": _database,
    "paper": _paper,
})  # fmt: skip
