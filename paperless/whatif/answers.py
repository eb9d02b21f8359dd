"""What an answer consists of: frozen values, written as JSON as they stand. Rates are 0..1, gains in points of D1."""

from dataclasses import asdict, dataclass
from typing import Any

from paperless.whatif.caveats import Caveat
from paperless.whatif.combinations import Chosen, Combinations, Rates, best_sequence
from paperless.whatif.rates import Run
from paperless.whatif.uncertainty import Uncertainty


@dataclass(frozen=True, slots=True)
class Compared:
    """A D1 at the base and in the setting, 0..1; `noise_points` is the standard error of the base, in points."""

    applications: int
    base: float
    d1: float
    noise_points: float


@dataclass(frozen=True, slots=True)
class ProvinceRate:
    """D1 of one province: of what it runs, and of everything filed there."""

    code: str
    name_vi: str
    name_en: str
    province: Compared
    all: Compared


@dataclass(frozen=True, slots=True)
class LeverRow:
    """A lever: where it stands, its range, what it rests on, and what it gains in this place, in points of D1.

    `alone` is the gain of this lever alone, `last` what would be lost without it if all others were at their best,
    `shapley` its share in what all together gain. All three are of the place and authority asked about.
    """

    name: str
    name_vi: str
    name_en: str
    value: float
    low: float
    high: float
    whole: bool
    best_vi: str
    best_en: str
    owner_vi: str
    owner_en: str
    source: str
    evidence: str
    cost: float
    alone: float | None = None
    last: float | None = None
    shapley: float | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """Levers that reach a target, in the order in which D1 stands highest on the way; `steps` is D1 after each."""

    levers: tuple[str, ...]
    d1: float
    cost: float
    steps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """What reaches a target; `ceiling` is D1 with every lever at its best, the other without changing procedures."""

    target: float
    smallest: Way | None
    cheapest: Way | None
    ceiling: float
    ceiling_without_procedures: float
    ceiling_without_certification: float


@dataclass(frozen=True, slots=True)
class Answer:
    """D1 in a setting of the levers, beside the base; `rates` is by authority; two parts only if asked for."""

    scenario: str
    day: str
    plan: str
    seeds: tuple[int, ...]
    applications: int
    place: str | None
    run_by: Run
    setting: dict[str, float]
    rates: dict[str, Compared]
    provinces: tuple[ProvinceRate, ...]
    levers: tuple[LeverRow, ...]
    target: TargetAnswer | None
    uncertainty: Uncertainty | None
    caveats: tuple[Caveat, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        return asdict(self)


def way_of(found: Combinations, rates: Rates, chosen: Chosen | None) -> Way | None:
    """Return a set of levers as a way, None where there is none."""
    if chosen is None:
        return None
    steps = best_sequence(found, rates, chosen.levers)
    return Way(tuple([step.lever for step in steps]), chosen.rate, chosen.cost, tuple([step.rate for step in steps]))
