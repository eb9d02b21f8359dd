"""Draws the applications of simulated days into the columns of a matrix, by the population's own names of draws."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import compress
from operator import itemgetter
from struct import Struct
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from contracts.draws import DRAWS_PER_DIGEST, WORD_SPAN, words
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
    groups = [[bytearray() for _ in places] for _ in procedures]
    packed = [Struct(f"={_width(procedure)}I").pack for procedure in procedures]
    for day in days:
        for procedure, province, row in _Reader(day, plan, attempts).rows():
            groups[procedure][places[province]] += packed[procedure](*row)
    parts = [_part(by_province, procedure) for by_province, procedure in zip(groups, procedures, strict=True)]
    counts, tables, flags, proof_words = zip(*parts, strict=True)
    return Stored(np.array(counts), np.concatenate(tables, axis=1), np.concatenate(flags), np.concatenate(proof_words))


def _width(procedure: Procedure) -> int:
    """Return how many words a row has: key and draws, a flag for each proof, its draw and one for each database."""
    return 1 + len(COLUMNS) + sum(2 + len(component.databases) for component in procedure.proofs)


def _part(by_province: Sequence[bytearray], procedure: Procedure) -> tuple[list[int], Words, NDArray[np.uint8], Words]:
    """Turn the rows of a procedure into columns."""
    proofs, head, width = len(procedure.proofs), 1 + len(COLUMNS), _width(procedure)
    counts = [len(rows) // (4 * width) for rows in by_province]
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


class _Asked(NamedTuple):
    """What a set of needed components asks of VNeID: where each look-up starts, and which documents are drawn for."""

    slugs: tuple[str, ...]
    starts: tuple[tuple[int, str], ...]
    documents: tuple[str, ...]
    all: frozenset[str]


# Puts a row together from `_Reader._row`'s values, in one call.
_Layout = Callable[[Sequence[int]], _Row]
# What these values begin with: key, channel and what is the same for all rows; then the application's and the
# components' draws, then those of each document.
_BLANK, _FLAGS, _OWN = 2, 3, 7
_COMPONENTS = _OWN + DRAWS_PER_DIGEST
_DOCUMENTS = _COMPONENTS + DRAWS_PER_DIGEST


class _ProcedureDraws:
    """How rows of one procedure are drawn; what a set of needed or answered components means is worked out once."""

    def __init__(self, procedure: Procedure, day: SimulatedDay) -> None:
        self._proofs = procedure.proofs
        self._look_ups = {each.slug: LookUp.of(each, day.domain) for each in procedure.proofs if each.replaceable}
        # A draw is below a rate if its word is below the rate, scaled by a power of two: exact.
        needed_below = [component.needed_rate * WORD_SPAN for component in procedure.proofs]
        self.needed_below = [(1 << place, below) for place, below in enumerate(needed_below)]
        self.asked = cache(self._asked)
        self.layout = cache(self._layout)

    def _needed(self, needed: int) -> list[Component]:
        return [component for place, component in enumerate(self._proofs) if needed >> place & 1]

    def _asked(self, needed: int) -> _Asked:
        """Return what is asked where the components of these bits are needed."""
        look_ups = [self._look_ups[each.slug] for each in self._needed(needed) if each.replaceable]
        slugs = tuple([look_up.slug for look_up in look_ups])
        documents = tuple(dict.fromkeys(look_up.document for look_up in look_ups))
        return _Asked(slugs, tuple([look_up.start for look_up in look_ups]), documents, frozenset(slugs))

    def _layout(self, needed: int, answered: frozenset[str]) -> _Layout:
        """Return the layout where the components of these bits are needed, and those of these slugs answered."""
        documents, wanted = self._asked(needed).documents, {each.slug for each in self._needed(needed)}
        flags = [_FLAGS + (each.slug in wanted) + 2 * (each.slug in answered) for each in self._proofs]
        places = [0, 1, *[_OWN + draw for draw in DRAWN], *flags]
        for place, component in enumerate(self._proofs):
            places.append(_COMPONENTS + place)
            if component.slug in wanted and component.replaceable:
                look_up = self._look_ups[component.slug]
                start = _DOCUMENTS + DRAWS_PER_DIGEST * documents.index(look_up.document)
                places += [start + search.draw for search in look_up.searches]
            else:
                places += [_BLANK] * len(component.databases)
        return itemgetter(*places)


class _Reader:
    """Draws the applications of one day."""

    def __init__(self, day: SimulatedDay, plan: FaultPlan, attempts: int) -> None:
        if supposed := [name for name in SUPPOSED if day.domain.number(name)]:
            raise ValueError(f"{', '.join(supposed)} above 0: what a run supposes is not drawn here")
        self._day, self._plan, self._attempts = day, plan, attempts
        self._date = day.date.isoformat()
        self._population = Population(day)
        self._procedures = [_ProcedureDraws(procedure, day) for procedure in day.procedures]
        # The beginning of the names of an application's draws, the same for all of a commune.
        self._subjects = [
            tuple([f"{what}|{self._date}|{commune.code}" for what in ("application", "components")])
            for commune in day.communes
        ]
        self._channels = cache(self._drawn_channels)

    def rows(self) -> Iterator[tuple[int, str, _Row]]:
        """Yield position of the procedure, province and row of each application."""
        communes = self._day.communes
        for arrival in arrivals(self._day):
            yield arrival.procedure, communes[arrival.commune].province, self._row(arrival)

    def _row(self, arrival: Arrival) -> _Row:
        seed, commune, number = self._day.seed, self._day.communes[arrival.commune], str(arrival.number)
        block, offset = divmod(arrival.number - 1, _BLOCK)
        procedure, (application, components) = self._procedures[arrival.procedure], self._subjects[arrival.commune]
        own, drawn, needed = words(seed, application, number), _NO_DRAWS, 0
        if procedure.needed_below:
            drawn = words(seed, components, number)
            for (bit, below), word in zip(procedure.needed_below, drawn, strict=False):
                if word < below:
                    needed |= bit
        key, channel = arrival.commune << 20 | arrival.number, self._channels(commune.code, block)[offset]
        values = [key, channel, MOST, 0, 1, 2, 3, *own, *drawn]
        asked, answered = procedure.asked(needed), _NOTHING
        if asked.starts:
            subject = _Subject(*self._population.names(arrival, own), commune.province)
            answered = self._answered(subject, asked)
            for document in asked.documents:
                values += words(seed, "registry", subject.citizen_number, document)
        return procedure.layout(needed, answered)(values)

    def _drawn_channels(self, commune: str, block: int) -> tuple[int, ...]:
        return words(self._day.seed, "arrival", self._date, commune, str(block))[_BLOCK : 2 * _BLOCK]

    def _answered(self, subject: _Subject, asked: _Asked) -> frozenset[str]:
        """Return the components that VNeID answers, as `final_answers`: what the last attempt with a reply knows."""
        plan, seed, whose = self._plan, self._day.seed, cast("Subject", subject)
        fates = answers_from(plan, seed, whose, asked.starts)
        # Where all is known from the first attempt on, any reply will do, and the first attempt's is drawn already.
        at_once = fates.count(1) == len(fates)
        for attempt in range(1, self._attempts + 1) if at_once else range(self._attempts, 0, -1):
            if deliveries(plan, seed, whose, attempt, asked.starts):
                return asked.all if at_once else _known(asked, fates, attempt)
        return _NOTHING


def _known(asked: _Asked, fates: Sequence[int | None], last: int) -> frozenset[str]:
    return frozenset(compress(asked.slugs, [fate is not None and fate <= last for fate in fates]))


_NO_DRAWS = (MOST,) * DRAWS_PER_DIGEST
_NOTHING: frozenset[str] = frozenset()
