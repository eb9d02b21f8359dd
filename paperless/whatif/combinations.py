"""D1 of every combination of the levers at their best, at once, and what follows from it. Exact.

The masses of all applications lie in one array over the sets of levers; adding up each set's subsets, one lever after
the other, gives for every combination how many applications end end to end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as subsets_of
from math import factorial
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain import Authority
from paperless.population.arrivals import SimulatedDay
from paperless.whatif.at_best import Procedures
from paperless.whatif.comparisons import rows_of
from paperless.whatif.levers import Lever
from paperless.whatif.matrix import Matrix
from paperless.whatif.obstacles import masses_of

AUTHORITIES: Final[tuple[Authority, ...]] = ("province", "ministry")
# Above this the array of all combinations takes more than half a gigabyte.
MOST_LEVERS: Final = 20
Rates: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Combinations:
    """How many applications there are and how many end end to end, for every set of levers taken.

    Both arrays are by province, authority (`AUTHORITIES`) and bit mask of the levers.
    """

    levers: tuple[str, ...]
    provinces: tuple[str, ...]
    applications: NDArray[np.int64]
    ended: NDArray[np.int32]

    def rates(self, provinces: Sequence[str], authority: Authority) -> Rates:
        """Return D1 of every combination, over some provinces; 0 where nothing is left."""
        rows, place = [self.provinces.index(code) for code in provinces], AUTHORITIES.index(authority)
        counted = self.applications[rows, place].sum(axis=0)
        return np.asarray(self.ended[rows, place].sum(axis=0) / np.maximum(counted, 1))

    def mask(self, names: Sequence[str]) -> int:
        """Return the bit mask of some levers."""
        return sum(1 << self.levers.index(name) for name in set(names))

    def names(self, mask: int) -> tuple[str, ...]:
        """Return the levers of a bit mask."""
        return tuple([name for bit, name in enumerate(self.levers) if mask >> bit & 1])


def all_combinations(matrix: Matrix, day: SimulatedDay, levers: Mapping[str, Lever]) -> Combinations:
    """Work out every combination of some levers at their best; half a second for 16 of them and a national day.

    Raises:
        ValueError: more levers than fit into memory.

    """
    if len(levers) > MOST_LEVERS:
        raise ValueError(f"{len(levers)} levers have too many combinations; name {MOST_LEVERS} at most")
    procedures = Procedures(day, list(levers.values()))
    shape = (len(matrix.provinces), len(AUTHORITIES), 1 << len(levers))
    ended = np.zeros(shape, dtype=np.int32)
    applications, total = np.zeros(shape, dtype=np.int64), np.zeros(shape[:2], dtype=np.int64)
    masks = np.arange(1 << len(levers))
    for procedure, rows in zip(day.procedures, rows_of(matrix), strict=True):
        authority = AUTHORITIES.index(procedure.authority)
        for provinces, counts, masses in masses_of(procedures, procedure, rows):
            mass = (counts[:, None] * masses.values[None, :]).astype(np.int32)
            np.add.at(ended[:, authority], (provinces[:, None], masses.sets[None, :]), mass)
        total[:, authority] += rows.counts
        if removers := procedures.removers(procedure):
            gone = (masks & sum(1 << lever for lever in removers)) != 0
            applications[:, authority, gone] -= rows.counts[:, None]
    applications += total[:, :, None]
    add_subsets(ended, len(levers))
    return Combinations(tuple(levers), matrix.provinces, applications, ended)


def add_subsets(values: NDArray[np.int32], levers: int) -> None:
    """Turn the mass of each set, along the last axis, into the sum over its subsets, in place."""
    for bit in range(levers):
        halves = values.reshape(-1, 2, 1 << bit)
        halves[:, 1] += halves[:, 0]


class Chosen(NamedTuple):
    """A set of levers: its names, D1 with all of them at their best, and its cost in points."""

    levers: tuple[str, ...]
    rate: float
    cost: float


def smallest(found: Combinations, rates: Rates, target: float, costs: Mapping[str, float]) -> Chosen | None:
    """Return the set of fewest levers that reaches a target, of several the one that reaches most; None: none does."""
    return _least(found, rates, target, costs, _sizes(len(found.levers)))


def cheapest(found: Combinations, rates: Rates, target: float, costs: Mapping[str, float]) -> Chosen | None:
    """Return the cheapest set that reaches a target, of several the one that reaches most; None: none does."""
    return _least(found, rates, target, costs, _costs(found, costs))


def _least(found: Combinations, rates: Rates, target: float, costs: Mapping[str, float], sizes: Rates) -> Chosen | None:
    reaching = np.flatnonzero(rates >= target)
    if not len(reaching):
        return None
    least = reaching[sizes[reaching] == sizes[reaching].min()]
    return chosen(found, rates, int(least[rates[least].argmax()]), costs)


def chosen(found: Combinations, rates: Rates, mask: int, costs: Mapping[str, float]) -> Chosen:
    """Return a combination with its rate and cost."""
    names = found.names(mask)
    return Chosen(names, float(rates[mask]), sum(costs[name] for name in names))


def _sizes(levers: int) -> Rates:
    return _weighted([1.0] * levers)


def _costs(found: Combinations, costs: Mapping[str, float]) -> Rates:
    return _weighted([costs[name] for name in found.levers])


def _weighted(weights: Sequence[float]) -> Rates:
    """Return the sum of the weights of each set."""
    total = np.zeros(1)
    for weight in weights:
        total = np.concatenate([total, total + weight])
    return total


def shapley(found: Combinations, rates: Rates) -> dict[str, float]:
    """Return each lever's share in what all together gain: its gain, averaged over all orders of taking them.

    The shares add up to the gain; unlike single gains they count what levers give only together.
    """
    count = len(found.levers)
    sizes = _sizes(count).astype(int)
    weights = np.array([factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)])
    shares = {}
    for bit, name in enumerate(found.levers):
        halves = rates.reshape(-1, 2, 1 << bit)
        without = sizes.reshape(-1, 2, 1 << bit)[:, 0]
        shares[name] = float((weights[without] * (halves[:, 1] - halves[:, 0])).sum())
    return shares


class Step(NamedTuple):
    """One more lever, and D1 with it and all before it."""

    lever: str
    rate: float


def best_sequence(found: Combinations, rates: Rates, names: Sequence[str]) -> list[Step]:
    """Return the order of some levers in which D1 stands highest on the way: the largest sum over the steps."""
    bits = [1 << found.levers.index(name) for name in names]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    for size in range(1, len(bits) + 1):
        for part in subsets_of(bits, size):
            mask = sum(part)
            best[mask] = max((best[mask - bit][0] + float(rates[mask]), bit) for bit in part)
    steps, mask = [], sum(bits)
    while mask:
        bit = best[mask][1]
        steps.append(Step(found.levers[bit.bit_length() - 1], float(rates[mask])))
        mask -= bit
    return steps[::-1]
