"""The expected end-to-end rate (D1) of each procedure in each province, worked out instead of simulated.

A second writing of population, registry and rules as chances: an application ends end to end if it is filed online, by
a procedure that can be, and everything it needs holds. All these are drawn apart, so the chance is a product. Three
things are left out, being far below what a day of the country shows: two components of one application share a draw
where they are proved by the same paper, replies to all attempts are silent together, and consent is refused for one
component of an application at a time.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from domain import Authority, Component, Domain, Fallback, Procedure
from paperless.population.arrivals import SimulatedDay, filed_online_shares, province_weight
from paperless.population.shares import Shares
from services.vneid_mock.faults import FaultPlan


class _Proof(NamedTuple):
    """Of one component: how often it is needed, is looked up at all, is found, and what else may prove it online."""

    needed: float
    found: float
    replaceable: bool
    fallback: Fallback


class Expected:
    """The chances of one day's procedures; what does not depend on shares is worked out once."""

    def __init__(self, world: Domain, plan: FaultPlan) -> None:
        """Look up the rates of a day's world; `plan` may keep databases from answering."""
        self._plan = plan
        self._proofs = {
            code: tuple([self._proof(component) for component in procedure.proofs])
            for code, procedure in world.procedures.items()
        }

    def _proof(self, component: Component) -> _Proof:
        missing = 1.0
        for rate in component.usable_rates:
            missing *= 1 - rate
        first = component.databases[0] if component.databases else ""
        answered = 1 - self._plan.never_answer_share - self._plan.unreachable.get(first, 0.0)
        return _Proof(
            component.needed_rate,
            (1 - missing) * answered if component.databases else 0.0,
            component.replaceable,
            component.fallback,
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
        papers = self._papers(procedure, shares)
        fee = shares.online_payment_share if procedure.fee_online_vnd else 1.0
        return online * (1 - shares.level1_online_share) * fee * _result(procedure, shares) * papers

    def _papers(self, procedure: Procedure, shares: Shares) -> float:
        """Return the chance that no component comes on paper, is left open or cannot be replaced."""
        consent, silent = 1 - shares.refused_consent_share, shares.no_answer_share
        proofs = [proof._replace(found=consent * proof.found) for proof in self._proofs[procedure.code]]
        anyway = shares.paper_taken_share if procedure.in_list_25 else shares.paper_taken_other_share
        again = shares.asked_again_share

        def papers(upload: float) -> float:
            data = prod([1 - proof.needed * (1 - proof.found) * (1 - _else(proof, upload)) for proof in proofs])
            # The office that takes paper anyway finds nothing to take where no component came from data.
            none = prod(
                [1 - proof.needed + proof.needed * (1 - proof.found) * _else(proof, upload) for proof in proofs]
            )
            return (1 - anyway - again) * data + anyway * none + again * _asked_again(proofs, upload)

        return (1 - silent) * papers(1 - shares.paper_answer_share) + silent * papers(0.0)


def _else(proof: _Proof, upload: float) -> float:
    """The chance that a needed component that no data prove does not keep the application from being end to end."""
    return (upload if proof.replaceable else 1.0) if proof.fallback == "upload" else 0.0


def _asked_again(proofs: Sequence[_Proof], upload: float) -> float:
    """Return the chance where the first component that data prove, and an upload or paper could, is asked for again."""
    before, after = 1.0, 0.0
    for proof in proofs:
        found = proof.needed * proof.found
        neither = 1 - proof.needed + proof.needed * (1 - proof.found) * _else(proof, upload)
        after *= neither + found
        if proof.fallback == "none":
            before *= neither + found
        else:
            after += before * found * _else(proof, upload)
            before *= neither
    return before + after


def _result(procedure: Procedure, shares: Shares) -> float:
    """Return the chance that the result is electronic where one is due, and comes online or by post."""
    by_post = shares.physical_by_post_share if procedure.result_by_post else shares.post_return_share
    if not procedure.electronic_result:
        return by_post
    paper = shares.paper_on_request_share
    return shares.electronic_result_share * (1 - paper + paper * by_post)


def expected_d1(day: SimulatedDay, plan: FaultPlan) -> Mapping[tuple[str, str], float]:
    """Return the expected D1 of every province and procedure code of a day."""
    expected, online = Expected(day.domain, plan), filed_online_shares(day)
    return {
        (province, procedure.code): expected.d1(procedure, shares, filed)
        for province, shares in day.shares.items()
        for procedure, filed in zip(day.procedures, online[province], strict=True)
    }


def expected_by_authority(day: SimulatedDay, plan: FaultPlan) -> Mapping[Authority, float]:
    """Return the expected D1 of everything that an authority runs, over all provinces of a day."""
    total: dict[Authority, float] = {"province": 0.0, "ministry": 0.0}
    done = dict(total)
    rates = expected_d1(day, plan)
    for province in day.shares:
        volume = province_weight(day.domain, province)
        for procedure, weight in zip(day.procedures, day.weights, strict=True):
            total[procedure.authority] += volume * weight
            done[procedure.authority] += volume * weight * rates[province, procedure.code]
    return {authority: done[authority] / total[authority] for authority in total}
