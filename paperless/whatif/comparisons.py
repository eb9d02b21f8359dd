"""The conditions of a world, compared with the draws: population, registry and proofs of the rules, over arrays."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from paperless.whatif.cases import (
    COMPONENT_FLAGS,
    COMPONENTS_BIT,
    DELIVERY_BIT,
    ELECTRONIC_BIT,
    LEVEL_2_BIT,
    PAID_BIT,
    Codes,
)
from paperless.whatif.matrix import MOST, Block, Flags, Matrix, Proof, Words
from paperless.whatif.terms import Filing, Papers, Payment, ProofTerms, Result


class Rows(NamedTuple):
    """A procedure's part of a matrix: the draws, and how many rows each province has."""

    columns: Mapping[str, Words]
    block: Block
    counts: NDArray[np.int64]

    def below(self, column: str, limits: Words) -> Flags:
        """Return which draws lie below the province's threshold."""
        return self.columns[column] < self.each(limits)

    def each(self, limits: Words) -> Words:
        """Return each row's threshold, or one for all where the provinces have the same."""
        same: Words = limits[:1]
        return same if (limits == same).all() else np.repeat(limits, self.counts)


def rows_of(matrix: Matrix) -> list[Rows]:
    """Return the parts of the procedures, in the day's order."""
    return [
        Rows({name: column[block.rows] for name, column in matrix.columns.items()}, block, counts)
        for block, counts in zip(matrix.blocks, matrix.counts, strict=True)
    ]


def _bits(flags: Flags, bit: int) -> Codes:
    # A product with a word of the same width: a tenth of the time of a shift.
    return np.multiply(flags, np.uint16(1 << bit))


def filing_codes(rows: Rows, terms: Filing) -> Codes:
    """Return channel and account of each application."""
    channel = rows.columns["channel"]
    online = channel < rows.each(terms.online)
    direct = channel < rows.each(terms.in_person)
    level_2 = online & ~rows.below("account", terms.level_1)
    return _bits(~(online | direct), 0) | _bits(direct & ~online, 1) | _bits(level_2, LEVEL_2_BIT)


def payment_codes(rows: Rows, terms: Payment, online: Flags) -> Codes:
    """Return whether a fee is paid online, by who files online."""
    if not terms.due:
        return np.zeros(len(online), dtype=np.uint16)
    return _bits(online & rows.below("fee", terms.online), PAID_BIT)


def result_codes(rows: Rows, terms: Result) -> Codes:
    """Return how the result comes, and whether it is electronic."""
    posted = rows.below("delivery", terms.posted)
    if not terms.electronic:
        return _bits(posted, DELIVERY_BIT) | _bits(~posted, DELIVERY_BIT + 1)
    attached = rows.below("electronic", terms.attached)
    paper = ~attached | rows.below("paper_copy", terms.copy)
    delivery = _bits(paper & posted, DELIVERY_BIT) | _bits(paper & ~posted, DELIVERY_BIT + 1)
    return delivery | _bits(attached, ELECTRONIC_BIT)


def paper_codes(rows: Rows, terms: Papers, online: Flags) -> Codes:
    """Return the flags of the components, as `proofs_of` and `case_of` of intake's rules find them."""
    proofs = rows.block.proofs
    if not proofs:
        return np.zeros(len(online), dtype=np.uint16)
    walk = _Walk(rows, terms, online)
    for position, (proof, proof_terms) in enumerate(zip(proofs, terms.proofs, strict=True)):
        walk.take(position, proof, proof_terms)
    codes = np.zeros(len(online), dtype=np.uint16)
    for name, flags in walk.flags.items():
        codes |= _bits(flags, _BITS[name])
    return codes


# 16 starts in 2**32 words.
_CONSENT_SHIFT: Final = 28
_BITS: Final = {name: bit for bit, name in enumerate(COMPONENT_FLAGS, start=COMPONENTS_BIT)}


class _Walk:
    """The components of all applications of a procedure, one after the other.

    `anyway` and `again` hold who still meets an office that takes a paper, or asks again, for the next component that
    data prove.
    """

    def __init__(self, rows: Rows, terms: Papers, online: Flags) -> None:
        self._rows, self._online = rows, online
        self._consent, self._refused = rows.columns["consent"], rows.each(terms.refused)
        self._silent = rows.below("silence", terms.silent)
        self._anyway = rows.below("breach", terms.anyway)
        self._again = ~rows.below("breach", terms.again_from)
        self.flags: dict[str, Flags] = {}

    def take(self, position: int, proof: Proof, terms: ProofTerms) -> None:
        """Take the next component."""
        asked = proof.needed
        if terms.found:
            found = proof.registry[0] < terms.found[0]
            for draws, limit in zip(proof.registry[1:], terms.found[1:], strict=True):
                found |= draws < limit
            by_data = proof.answered & self._consents(position) & found
            anyway = by_data & self._anyway
            self._anyway = self._anyway & ~anyway
            self._add("asked_anyway", anyway)
            asked = proof.needed & ~by_data
            if terms.fallback != "none":
                again = by_data & ~anyway & self._again
                self._again = self._again & ~again
                asked |= again
        self._ask(asked, proof, terms)

    def _consents(self, position: int) -> Flags:
        """Who lets the component be looked up: each reads the draw from a start of its own (`Population`)."""
        words: Words = np.minimum(self._consent - np.uint32(position << _CONSENT_SHIFT), np.uint32(MOST))
        return words >= self._refused

    def _ask(self, asked: Flags, proof: Proof, terms: ProofTerms) -> None:
        """Say how those who are asked answer: see `Population` for what they would do, `_asked` for what counts."""
        online, known, original = self._online, bool(terms.found), terms.fallback == "original"
        if terms.fallback == "none":
            self._add("irreplaceable", asked & online)
            asked = asked & ~online
        if known or original:
            silent = asked & (self._silent if known else self._silent & online)
            self._add("unanswered", silent)
            asked = asked & ~silent
        if original:
            self._add("original", asked)
        elif known:
            self._add("on_paper", asked & (~online | (proof.own < self._rows.each(terms.on_paper))))
        else:
            self._add("on_paper", asked & ~online)

    def _add(self, name: str, flags: Flags) -> None:
        self.flags[name] = self.flags[name] | flags if name in self.flags else flags
