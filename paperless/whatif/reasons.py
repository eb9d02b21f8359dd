"""The same combinatorics on a running system, with nothing simulated: which reasons, lifted together, reach a target.

The store keeps whole sets of reasons, so D1 after lifting any of them together is an exact sum: all whose reasons are
among those lifted end end to end. What lifting takes is not said; an application that was refused before any look-up
may have more in its way than is known.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from paperless.whatif.answers import Way, way_of
from paperless.whatif.combinations import AUTHORITIES, Combinations, add_subsets, shapley, smallest
from paperless.whatif.rates import Run
from services.scoring.rates.why import reason_names
from services.scoring.rollup.cells import CellKey, Measures, parse_pattern


@dataclass(frozen=True, slots=True)
class ReasonGain:
    """A reason: D1 if it alone is lifted, and its Shapley share of what lifting all gains, both in points of D1."""

    name: str
    name_vi: str
    name_en: str
    alone: float
    shapley: float


@dataclass(frozen=True, slots=True)
class ReasonAnswer:
    """What stands in the way in a running system; `smallest` is None where nothing reaches the target."""

    place: str | None
    run_by: Run
    applications: int
    d1: float
    target: float
    smallest: Way | None
    reasons: tuple[ReasonGain, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        return asdict(self)


def reason_combinations(cells: Mapping[CellKey, Measures]) -> Combinations:
    """Return how many end end to end if any set of reasons is lifted, by province and authority."""
    patterns = {cell: parse_pattern(cell.pattern) for cell in cells}
    names = tuple(sorted({reason for pattern in patterns.values() for reason in pattern.reasons}))
    provinces = tuple(sorted({cell.province for cell in cells}))
    shape = (len(provinces), len(AUTHORITIES), 1 << len(names))
    ended, applications = np.zeros(shape, dtype=np.int32), np.zeros((*shape[:2], 1), dtype=np.int64)
    for cell, measures in cells.items():
        pattern = patterns[cell]
        place = provinces.index(cell.province), AUTHORITIES.index(pattern.authority)
        ended[(*place, sum(1 << names.index(reason) for reason in pattern.reasons))] += measures.n
        applications[(*place, 0)] += measures.n
    add_subsets(ended, len(names))
    return Combinations(names, provinces, np.broadcast_to(applications, shape), ended)


def reason_answer(
    cells: Mapping[CellKey, Measures], *, target: float, province: str | None = None, run_by: Run = "province"
) -> ReasonAnswer:
    """Return which fewest reasons reach a target if they are lifted, and what each is worth.

    Args:
        cells: of a running system's store.
        target: D1, 0..1.
        province: its code; None is all of them.
        run_by: whose applications; `all` counts both as they come.

    """
    kept = {
        cell: measures
        for cell, measures in cells.items()
        if province in {None, cell.province} and run_by in {"all", parse_pattern(cell.pattern).authority}
    }
    found = reason_combinations(kept)
    ended = found.ended.sum(axis=(0, 1), dtype=np.int64)
    counted = int(found.applications[:, :, 0].sum())
    rates = ended / max(counted, 1)
    shares = shapley(found, rates)
    reasons = [
        ReasonGain(name, *reason_names(name), 100 * float(rates[1 << bit] - rates[0]), 100 * shares[name])
        for bit, name in enumerate(found.levers)
    ]
    chosen = smallest(found, rates, target, dict.fromkeys(found.levers, 1.0))
    reasons.sort(key=lambda each: -each.shapley)
    return ReasonAnswer(
        province, run_by, counted, float(rates[0]), target, way_of(found, rates, chosen), tuple(reasons)
    )
