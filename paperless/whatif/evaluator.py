"""What every application of a matrix comes to in a world.

The rules themselves are asked: each distinct case is judged by intake's own `judge`. A property test holds all of it
against the oracle, application by application.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paperless.whatif.cases import Codes, Judgement, end_to_end, judgement
from paperless.whatif.comparisons import Rows, filing_codes, paper_codes, payment_codes, result_codes, rows_of
from paperless.whatif.conditions import terms_of
from paperless.whatif.matrix import Flags, Matrix
from paperless.whatif.terms import Filing, Kind, Papers, Terms, World, same


class Evaluation(NamedTuple):
    """What a world's applications come to: kind by procedure, and the code of each row's case."""

    kinds: tuple[Kind, ...]
    codes: Codes
    blocks: tuple[slice, ...]

    def end_to_end(self) -> Flags:
        """Return which applications end end to end."""
        parts = [end_to_end(kind)[self.codes[rows]] for kind, rows in zip(self.kinds, self.blocks, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    def judgements(self) -> Iterator[Judgement]:
        """Yield outcome and reasons of each application, in the order of the rows."""
        for kind, rows in zip(self.kinds, self.blocks, strict=True):
            for code in self.codes[rows].tolist():
                yield judgement(kind, code)


class _Filed(NamedTuple):
    papers: Papers
    filing: Filing


class Evaluator:
    """Evaluates worlds over one matrix; keeps the codes of the terms that it was asked for last."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.rows = rows_of(matrix)
        self._last: dict[tuple[int, type], tuple[object, Codes]] = {}

    def evaluate(self, world: World) -> Evaluation:
        """Return what each application comes to; some 10 ms for a national day, less where little has changed."""
        every = terms_of(world.day)
        parts = [
            self._codes(place, rows, terms) for place, (rows, terms) in enumerate(zip(self.rows, every, strict=True))
        ]
        blocks = tuple([block.rows for block in self.matrix.blocks])
        return Evaluation(tuple([terms.kind for terms in every]), np.concatenate(parts), blocks)

    def _codes(self, place: int, rows: Rows, terms: Terms) -> Codes:
        """Return the cases of a procedure's applications."""
        filing = self._kept(place, terms.filing, lambda: filing_codes(rows, terms.filing))
        online = (filing & 0b11) == 0
        # What the filing decides comes with it: an answer on paper, a fee at the counter.
        payment = self._kept(place, (terms.payment, terms.filing), lambda: payment_codes(rows, terms.payment, online))
        result = self._kept(place, terms.result, lambda: result_codes(rows, terms.result))
        papers = self._kept(place, _Filed(terms.papers, terms.filing), lambda: paper_codes(rows, terms.papers, online))
        return filing | payment | result | papers

    def _kept(self, place: int, terms: tuple[object, ...], codes: Callable[[], Codes]) -> Codes:
        last = self._last.get((place, type(terms)))
        if last is None or not same(last[0], terms):
            last = self._last[place, type(terms)] = terms, codes()
        return last[1]

    def counts(self, world: World) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return applications and those end to end, by procedure and province; none of what is gone."""
        ended = self.evaluate(world).end_to_end()
        kept = np.array([[procedure.code not in world.gone] for procedure in world.day.procedures])
        edges = np.concatenate([[0], np.cumsum(self.matrix.counts.ravel())])
        before = np.concatenate([[0], np.cumsum(ended, dtype=np.int32)])
        done = np.diff(before[edges]).reshape(self.matrix.counts.shape)
        return self.matrix.counts * kept, done * kept
