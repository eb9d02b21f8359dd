"""The terms of a day's procedures where some levers stand at their best."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from domain import Procedure
from paperless.population.arrivals import SimulatedDay
from paperless.whatif.conditions import Limits
from paperless.whatif.levers import Lever
from paperless.whatif.terms import Terms, same
from paperless.whatif.worlds import changed_procedure, changed_shares

# Levers by their position.
Taken = tuple[int, ...]


class Procedures:
    """The terms of a day's procedures for sets of levers at their best; shares and procedures are worked out once."""

    def __init__(self, day: SimulatedDay, levers: Sequence[Lever]) -> None:
        self._day, self.levers = day, tuple(levers)
        self._limits: dict[Taken, Limits] = {}
        self._changed: dict[tuple[str, Taken], Procedure] = {}
        self._terms: dict[tuple[str, Taken], Terms] = {}

    def terms(self, procedure: Procedure, taken: Taken) -> Terms:
        """Return the terms of a procedure where these levers are at their best."""
        known = self._terms.get((procedure.code, taken))
        if known is None:
            changed = self._procedure(procedure, tuple([place for place in taken if self._changes(procedure, place)]))
            limits = self._limits_where(tuple([place for place in taken if self.levers[place].shares]))
            known = self._terms[procedure.code, taken] = limits.terms(changed)
        return known

    def _limits_where(self, taken: Taken) -> Limits:
        if taken not in self._limits:
            shares = changed_shares(self._day.shares, self._moved(taken))
            self._limits[taken] = Limits(replace(self._day, shares=shares))
        return self._limits[taken]

    def _procedure(self, procedure: Procedure, taken: Taken) -> Procedure:
        key = procedure.code, taken
        if key not in self._changed:
            self._changed[key] = changed_procedure(procedure, self._moved(taken))
        return self._changed[key]

    def _changes(self, procedure: Procedure, place: int) -> bool:
        lever = self.levers[place]
        return procedure.code in lever.procedures or bool(lever.databases)

    def _moved(self, taken: Taken) -> list[tuple[Lever, float]]:
        return [(self.levers[place], 1.0) for place in taken]

    def removers(self, procedure: Procedure) -> list[int]:
        """Return the levers under which the procedure is gone."""
        return [place for place, each in enumerate(self.levers) if each.removes and procedure.code in each.procedures]

    def concerned(self, procedure: Procedure, part: Callable[[Terms], object]) -> Taken:
        """Return the levers that change a part of the terms, where no other is taken or where all others are."""
        every = tuple(range(len(self.levers)))
        none, full = part(self.terms(procedure, ())), part(self.terms(procedure, every))
        return tuple([
            place
            for place in every
            if not same(part(self.terms(procedure, (place,))), none)
            or not same(part(self.terms(procedure, tuple([each for each in every if each != place]))), full)
        ])  # fmt: skip
