"""What questions are asked of: a scenario's day with its matrix, the levers and their costs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from domain import Domain, load_domain
from paperless.population.arrivals import SimulatedDay
from paperless.population.scenario import DEFAULT_SCENARIO, Scenario, load_scenario, simulated_days
from paperless.whatif.combinations import Combinations, all_combinations
from paperless.whatif.drawing import stored
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import Levers, load_costs, load_levers
from paperless.whatif.matrix import Stored, assembled
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import load_plan

CACHE = Path("build/whatif")
# A single province's D1 moves by points from seed to seed: so many days are pooled.
POOLED = 10
# What a matrix is made by: when one of these changes, it is drawn anew.
_MADE_BY = ("contracts", "domain", "domain.data", "paperless.population", "services.vneid_mock", "paperless.whatif")


@dataclass(frozen=True)
class Model:
    """A day of a scenario, drawn for some seeds, and the levers.

    Attributes:
        scenario: what is played; its first day.
        plan: how VNeID misbehaves.
        seeds: of the pooled days.
        day: the first seed's, with everything at its base.
        evaluator: over the draws of all seeds.
        levers: by name, in the order of their bits.
        costs: by lever, in points.

    """

    scenario: Scenario
    plan: FaultPlan
    seeds: tuple[int, ...]
    day: SimulatedDay
    evaluator: Evaluator
    levers: Levers
    costs: Mapping[str, float]

    @cached_property
    def combinations(self) -> Combinations:
        """D1 of every combination of all levers; worked out when first asked for."""
        return all_combinations(self.evaluator.matrix, self.day, self.levers)


def load_model(
    *,
    province: str | None = None,
    scenario: str = DEFAULT_SCENARIO,
    plan: str = "mild",
    seeds: Sequence[int] | None = None,
    applications: int | None = None,
    costs: Mapping[str, float] | None = None,
    cache: Path | None = CACHE,
) -> Model:
    """Draw a scenario's first day, or read its draws from the cache.

    Args:
        province: its code; None is all provinces of the scenario.
        scenario: a name, or the path of a TOML file.
        plan: a fault plan's name, or the path of a TOML file.
        seeds: one day each; by default one for the country, and `POOLED` for a single province.
        applications: of each day, instead of the scenario's number.
        costs: of the levers, instead of the packaged ones.
        cache: the folder that keeps drawn days; None keeps nothing.

    Raises:
        ScenarioError: no such scenario or province.
        PlanError: no such plan.

    """
    facts = load_domain()
    played = _restricted(load_scenario(scenario, facts), province, facts)
    faults = load_plan(plan)
    drawn = tuple(seeds or (range(1, POOLED + 1) if province else (1,)))
    days = [simulated_days(played, facts, seed=seed, applications=applications)[0] for seed in drawn]
    attempts = int(facts.number("lookup.attempts"))
    name = _digest(played, faults, drawn, applications)
    kept = _kept(cache / f"{name}.npz" if cache else None, days, faults, attempts)
    evaluator = Evaluator(assembled(days[0], kept))
    return Model(played, faults, drawn, days[0], evaluator, load_levers(), costs or load_costs())


def _restricted(scenario: Scenario, province: str | None, domain: Domain) -> Scenario:
    if province is None:
        return scenario.model_copy(update={"days": scenario.days[:1]})
    domain.communes_of(province)
    return scenario.model_copy(update={"days": scenario.days[:1], "provinces": (province,)})


def _kept(path: Path | None, days: Sequence[SimulatedDay], plan: FaultPlan, attempts: int) -> Stored:
    if path is None:
        return stored(days, plan, attempts)
    try:
        with np.load(path, allow_pickle=False) as file:
            return Stored(**{name: file[name] for name in Stored._fields})
    except (OSError, ValueError, KeyError, BadZipFile):
        drawn = stored(days, plan, attempts)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and moved: who reads at the same time sees all or nothing.
    beside = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(beside, **drawn._asdict())
    beside.replace(path)
    return drawn


def _digest(scenario: Scenario, plan: FaultPlan, seeds: Sequence[int], applications: int | None) -> str:
    """Return a name of all that drawn days depend on."""
    digest = blake2b(digest_size=12)
    for part in (scenario.model_dump_json(), plan.model_dump_json(), repr(seeds), repr(applications)):
        digest.update(part.encode())
    for package in _MADE_BY:
        for file in sorted(files(package).iterdir(), key=lambda entry: entry.name):
            if _is_source(file):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_source(file: Traversable) -> bool:
    return file.is_file() and file.name.endswith((".py", ".csv", ".toml"))
