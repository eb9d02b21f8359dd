"""Draws the applications of simulated days into the columns of a matrix, by the population's own names of draws."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from contracts.draws import words
from domain import Component, Procedure
from paperless.population.arrivals import Arrival, SimulatedDay, arrivals
from paperless.population.population import SUPPOSED, Population
from paperless.whatif.matrix import COLUMNS, DRAWN, MOST, Matrix, Stored, Words, assembled
from services.vneid_mock.faults import FaultPlan, Subject, answers_from, deliveries
from services.vneid_mock.registry import LookUp

# Of an arrival's digest (`arrivals`): four applications with four draws each, the second of them the channel's.
_BLOCK = 4

_Row = tuple[int, ...]


def stored(days: Sequence[SimulatedDay], plan: FaultPlan, attempts: int) -> Stored:
    """Draw all applications of the days under a fault plan; about 30 us of processor time each.

    Args:
        days: of the same scenario and domain, one for each seed.
        plan: which look-ups are never answered.
        attempts: how often intake asks at most.

    Raises:
        ValueError: some file again (parameter correction.files_again_share); what corrections change for them is not
            among the draws.

    """
    procedures = days[0].procedures
    places = {code: place for place, code in enumerate(days[0].shares)}
    groups = [[array("I") for _ in places] for _ in procedures]
    for day in days:
        for procedure, province, row in _Reader(day, plan, attempts).rows():
            groups[procedure][places[province]].extend(row)
    parts = [_part(by_province, procedure) for by_province, procedure in zip(groups, procedures, strict=True)]
    counts, tables, flags, proof_words = zip(*parts, strict=True)
    return Stored(np.array(counts), np.concatenate(tables, axis=1), np.concatenate(flags), np.concatenate(proof_words))


def _part(
    by_province: Sequence["array[int]"], procedure: Procedure
) -> tuple[list[int], Words, NDArray[np.uint8], Words]:
    """Turn the rows of a procedure into columns."""
    proofs, head = len(procedure.proofs), 1 + len(COLUMNS)
    width = head + proofs + sum(1 + len(component.databases) for component in procedure.proofs)
    counts = [len(rows) // width for rows in by_province]
    block = np.concatenate([np.frombuffer(rows, dtype=np.uint32) for rows in by_province]).reshape(-1, width).T.copy()
    for words_of in (block[1:head], block[head + proofs :]):
        np.minimum(words_of, MOST, out=words_of)
    return counts, block[:head], block[head : head + proofs].astype(np.uint8).ravel(), block[head + proofs :].ravel()


def matrix_of(days: Sequence[SimulatedDay], plan: FaultPlan, attempts: int) -> Matrix:
    """Return the matrix of days that differ in their seed only."""
    return assembled(days[0], stored(days, plan, attempts))


class _Subject(NamedTuple):
    """What the fault plan looks at of an application."""

    application_id: str
    citizen_number: str
    province: str


class _Reader:
    """Draws the applications of one day."""

    def __init__(self, day: SimulatedDay, plan: FaultPlan, attempts: int) -> None:
        if supposed := [name for name in SUPPOSED if day.domain.number(name)]:
            raise ValueError(f"{', '.join(supposed)} above 0: what a run supposes is not drawn here")
        self._day, self._plan, self._attempts = day, plan, attempts
        self._date = day.date.isoformat()
        self._population = Population(day)
        self._proofs = [_look_ups(procedure.proofs, day) for procedure in day.procedures]

    def rows(self) -> Iterator[tuple[int, str, _Row]]:
        """Yield position of the procedure, province and row of each application."""
        for arrival in arrivals(self._day):
            event = self._population.event(arrival)
            yield arrival.procedure, event["province"], self._row(arrival, event)

    def _row(self, arrival: Arrival, event: Mapping[str, Any]) -> _Row:
        seed, commune, number = self._day.seed, event["commune"], arrival.number
        block, offset = divmod(number - 1, _BLOCK)
        channel = words(seed, "arrival", self._date, commune, str(block))[offset + _BLOCK]
        own = words(seed, "application", self._date, commune, str(number))
        proofs = self._proofs[arrival.procedure]
        head = (arrival.commune << 20 | number, channel, *[own[draw] for draw in DRAWN])
        if not proofs:
            return head
        drawn = words(seed, "components", self._date, commune, str(number))
        needed = event["components"]
        asked = [look_up for slug, look_up, _ in proofs if look_up is not None and slug in needed]
        answered = self._answered(event, asked)
        flags = [(slug in needed) + 2 * (slug in answered) for slug, _, _ in proofs]
        return (*head, *flags, *self._proof_words(event["citizen_number"], drawn, proofs, needed))

    def _proof_words(
        self, citizen: str, drawn: Sequence[int], proofs: Sequence["_LookedUp"], needed: Mapping[str, str]
    ) -> Iterator[int]:
        known: dict[str, tuple[int, ...]] = {}
        for (slug, look_up, blank), word in zip(proofs, drawn, strict=False):
            yield word
            if look_up is None or slug not in needed:
                yield from blank
                continue
            document = look_up.document
            if document not in known:
                known[document] = words(self._day.seed, "registry", citizen, document)
            for search in look_up.searches:
                yield known[document][search.draw]

    def _answered(self, event: Mapping[str, Any], asked: Sequence[LookUp]) -> set[str]:
        """Return the components that VNeID answers, as `final_answers`: what the last attempt with a reply knows."""
        if not asked:
            return set()
        subject = cast("Subject", _Subject(event["application_id"], event["citizen_number"], event["province"]))
        plan, seed, starts = self._plan, self._day.seed, [look_up.start for look_up in asked]
        fates = answers_from(plan, seed, subject, starts)
        # Where all is known from the first attempt on, any reply will do, and the first attempt's is drawn already.
        at_once = fates.count(1) == len(fates)
        order = range(1, self._attempts + 1) if at_once else range(self._attempts, 0, -1)
        last = next((attempt for attempt in order if deliveries(plan, seed, subject, attempt, starts)), 0)
        return {look_up.slug for look_up, fate in zip(asked, fates, strict=True) if fate is not None and fate <= last}


# Slug, its look-up if databases know it, and the words of a look-up that is not made.
_LookedUp = tuple[str, LookUp | None, tuple[int, ...]]


def _look_ups(proofs: Iterable[Component], day: SimulatedDay) -> tuple[_LookedUp, ...]:
    return tuple([
        (
            component.slug,
            LookUp.of(component, day.domain) if component.replaceable else None,
            (MOST,) * len(component.databases),
        )
        for component in proofs
    ])  # fmt: skip
