"""The expected end-to-end rate (D1) of each procedure in each province, worked out instead of simulated.

A second writing of population, registry and rules as chances: an application ends end to end if it is filed online, by
a procedure that can be, and everything it needs holds. All these are drawn apart, so the chance is a product. Two
things are left out, being far below what a day of the country shows: two components of one application share a draw
where they are proved by the same paper, and replies to all attempts are silent together.
"""

from collections.abc import Callable, Mapping
from datetime import date
from math import prod
from typing import NamedTuple

from domain import Authority, Component, Domain, Procedure
from paperless.population.arrivals import SimulatedDay, filed_online_share, province_weight
from paperless.population.shares import Shares
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.registry import usable_on


class _Proof(NamedTuple):
    """Of one component: how often it is needed, is looked up at all, is found, and what else may prove it online."""

    needed: float
    found: float
    replaceable: bool
    upload: bool


class Expected:
    """The chances of one day's procedures; what does not depend on shares is worked out once."""

    def __init__(self, domain: Domain, plan: FaultPlan, day: date) -> None:
        """Look up rates; `plan` may keep databases from answering, `day` a paper from being in force."""
        self._domain, self._plan, self._day = domain, plan, day
        self._proofs = {
            code: tuple([self._proof(component) for component in procedure.proofs])
            for code, procedure in domain.procedures.items()
        }

    def _proof(self, component: Component) -> _Proof:
        missing = 1.0
        for database, rate in zip(component.databases, component.usable_rates, strict=True):
            if usable_on(self._day, database, component.paper, self._domain):
                missing *= 1 - rate
        first = component.databases[0] if component.databases else ""
        answered = 1 - self._plan.never_answer_share - self._plan.unreachable.get(first, 0.0)
        return _Proof(
            component.needed_rate,
            (1 - missing) * answered if component.databases else 0.0,
            component.replaceable,
            component.fallback == "upload",
        )

    def d1(self, procedure: Procedure, shares: Shares, online: float) -> float:
        """Return the chance that an application of a procedure ends end to end.

        Args:
            procedure: one of the domain's.
            shares: those of the province and day.
            online: the share of the procedure's applications that is filed online there.

        """
        if not procedure.can_be_end_to_end:
            return 0.0
        papers = self._papers(self._proofs[procedure.code], shares)
        fee = shares.online_payment_share if procedure.fee_online_vnd else 1.0
        return online * (1 - shares.level1_online_share) * fee * _result(procedure, shares) * papers

    def _papers(self, proofs: tuple[_Proof, ...], shares: Shares) -> float:
        """Return the chance that no component comes on paper, is left open or cannot be replaced."""
        consent = 1 - shares.refused_consent_share
        answering, silent = 1 - shares.no_answer_share, shares.no_answer_share
        upload = 1 - shares.paper_answer_share
        anyway = shares.paper_taken_share

        def all_of(chance: Callable[[_Proof], float]) -> float:
            return prod(map(chance, proofs))

        def without_data(proof: _Proof) -> float:
            return 1 - proof.needed * (1 - _else(proof, upload))

        asked = all_of(without_data)
        nobody = all_of(lambda proof: 1 - proof.needed * (1 - _else(proof, 0.0)))
        with_data = answering * all_of(lambda proof: _holds(proof, upload)) + silent * all_of(
            lambda proof: _holds(proof, 0.0)
        )
        # The office that takes paper anyway finds nothing to take where no component came from data.
        unfound = answering * all_of(lambda proof: _unfound(proof, upload)) + silent * all_of(
            lambda proof: _unfound(proof, 0.0)
        )
        refused = answering * asked + silent * nobody
        return consent * ((1 - anyway) * with_data + anyway * unfound) + (1 - consent) * refused


def _else(proof: _Proof, upload: float) -> float:
    """The chance that a needed component that no data prove does not keep the application from being end to end."""
    return (upload if proof.replaceable else 1.0) if proof.upload else 0.0


def _holds(proof: _Proof, upload: float) -> float:
    return 1 - proof.needed * (1 - proof.found) * (1 - _else(proof, upload))


def _unfound(proof: _Proof, upload: float) -> float:
    return 1 - proof.needed + proof.needed * (1 - proof.found) * _else(proof, upload)


def _result(procedure: Procedure, shares: Shares) -> float:
    """Return the chance that the result is electronic where one is due, and comes online or by post."""
    by_post = shares.post_return_share
    if not procedure.electronic_result:
        return by_post
    paper = shares.paper_on_request_share
    return shares.electronic_result_share * (1 - paper + paper * by_post)


def expected_d1(day: SimulatedDay, plan: FaultPlan) -> Mapping[tuple[str, str], float]:
    """Return the expected D1 of every province and procedure code of a day."""
    expected = Expected(day.domain, plan, day.date)
    return {
        (province, procedure.code): expected.d1(procedure, shares, filed_online_share(day, province, procedure))
        for province, shares in day.shares.items()
        for procedure in day.procedures
    }


def d1_of(day: SimulatedDay, plan: FaultPlan, authority: Authority) -> float:
    """Return the expected D1 of everything that an authority runs, over all provinces of a day."""
    weights = dict(zip(day.procedures, day.weights, strict=True))
    rates = expected_d1(day, plan)
    total = done = 0.0
    for province in day.shares:
        volume = province_weight(day.domain, province)
        for procedure, weight in weights.items():
            if procedure.authority == authority:
                total += volume * weight
                done += volume * weight * rates[province, procedure.code]
    return done / total
