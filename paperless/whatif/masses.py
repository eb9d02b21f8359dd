"""What stands in each application's way, as masses on sets of levers.

Each condition of an application is a function of a few levers, taken or not: a truth table. Its Moebius transform gives
masses on sets of levers whose sum over all subsets of the levers taken is 1 where the condition holds. Of a plain
*needs all of these* that is a single 1; *this or that* and what a lever makes worse become signed masses. Conditions
multiply, so no case is special, and the subset sums of all applications' masses are D1 of every combination, exactly.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]


class Masses(NamedTuple):
    """Terms of a sum over sets of levers: bit masks and the mass of each."""

    sets: Integers
    values: Integers

    def times(self, other: "Masses") -> "Masses":
        """Return the masses of both conditions together."""
        sets = (self.sets[:, None] | other.sets[None, :]).ravel()
        values = (self.values[:, None] * other.values[None, :]).ravel()
        known, place = np.unique(sets, return_inverse=True)
        summed = np.zeros(len(known), dtype=np.int64)
        np.add.at(summed, place, values)
        return Masses(known[summed != 0], summed[summed != 0])


ALWAYS: Final = Masses(np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64))


def moebius(table: NDArray[np.bool_], levers: Sequence[int]) -> Masses:
    """Return the masses of a truth table over some levers: bit i of its index is whether the i-th is taken."""
    values = table.astype(np.int64)
    for bit in range(len(levers)):
        halves = values.reshape(-1, 2, 1 << bit)
        halves[:, 1] -= halves[:, 0]
    masks = np.array([_mask(subset, levers) for subset in range(len(table))], dtype=np.int64)
    return Masses(masks[values != 0], values[values != 0])


def _mask(subset: int, levers: Sequence[int]) -> int:
    return sum(1 << lever for bit, lever in enumerate(levers) if subset >> bit & 1)
