"""The matrix: of every application of simulated days the words of its named draws, as columns.

An outcome is a conjunction of conditions, and each condition is *draw < share*. With the draws as columns a lever moves
thresholds, and a condition is a comparison of arrays. Rows are sorted by procedure, then province; inside a procedure's
block each proof has columns of its own. Words are kept, not floats: `word < ceil(share * 2**32)` is `draw < share`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain import Procedure
from paperless.population.arrivals import SimulatedDay

Words: TypeAlias = NDArray[np.uint32]
Flags: TypeAlias = NDArray[np.bool_]

# Below this threshold lies every word, so that a share of 1 holds for all; shares from 1 - 2**-31 on count as 1.
ALL: Final = (1 << 32) - 1
# What a word is kept as, at most.
MOST: Final = ALL - 1
# Of an application's draws (`Population.event`): which conditions look at them.
APPLICATION_DRAWS: Final[Mapping[str, int]] = {
    "account": 0, "consent": 1, "fee": 6, "electronic": 7, "paper_copy": 8, "delivery": 9, "breach": 10, "silence": 13,
}  # fmt: skip
COLUMNS: Final = ("channel", *APPLICATION_DRAWS)
DRAWN: Final = tuple(APPLICATION_DRAWS.values())


class Proof(NamedTuple):
    """Of one component of a procedure, by row of its block: whether it is needed, whether it is answered by VNeID too.

    `own` is the draw of need and answer; `registry` has a draw for each database, in the order of look-up.
    """

    needed: Flags
    answered: Flags
    own: Words
    registry: tuple[Words, ...]


class Block(NamedTuple):
    """The rows of one procedure."""

    rows: slice
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Matrix:
    """The draws of all applications of some days, which differ in their seed only.

    Attributes:
        provinces: codes, in the order of the rows.
        counts: applications by procedure and province.
        keys: by row, position of the commune among the day's << 20 | running number.
        columns: by name, the words of `COLUMNS`.
        blocks: by procedure, in the day's order.

    """

    provinces: tuple[str, ...]
    counts: NDArray[np.int64]
    keys: Words
    columns: Mapping[str, Words]
    blocks: tuple[Block, ...]

    @property
    def applications(self) -> int:
        return len(self.keys)


class Stored(NamedTuple):
    """A matrix as few plain arrays: what `assembled` makes one of."""

    counts: NDArray[np.int64]
    table: Words
    flags: NDArray[np.uint8]
    proof_words: Words


def assembled(day: SimulatedDay, kept: Stored) -> Matrix:
    """Return the matrix of stored arrays; `day` is one of those that they were drawn for.

    Raises:
        ValueError: the arrays do not fit the day's procedures and provinces.

    """
    counts = kept.counts
    if counts.shape != (len(day.procedures), len(day.shares)) or kept.table.shape[1] != counts.sum():
        raise ValueError("the stored draws are of other procedures or provinces; build them anew")
    edges = np.concatenate([[0], np.cumsum(counts.sum(axis=1))]).tolist()
    columns = dict(zip(COLUMNS, kept.table[1:], strict=True))
    blocks = _blocks(day.procedures, edges, _Cut(kept.flags), _Cut(kept.proof_words))
    return Matrix(tuple(day.shares), counts, kept.table[0], columns, tuple(blocks))


class _Cut:
    """Hands out an array piece by piece."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values, self._at = values, 0

    def __call__(self, length: int) -> NDArray[Any]:
        self._at += length
        return self._values[self._at - length : self._at]


def _blocks(
    procedures: Iterable[Procedure], edges: Sequence[int], take_flags: _Cut, take_words: _Cut
) -> Iterator[Block]:
    for procedure, (start, stop) in zip(procedures, pairwise(edges), strict=True):
        length = stop - start
        flags = [take_flags(length) for _ in procedure.proofs]
        proofs = [
            Proof(
                (flag & 1).astype(bool),
                (flag & 2).astype(bool),
                take_words(length),
                tuple([take_words(length) for _ in component.databases]),
            )
            for flag, component in zip(flags, procedure.proofs, strict=True)
        ]
        yield Block(slice(start, stop), tuple(proofs))
