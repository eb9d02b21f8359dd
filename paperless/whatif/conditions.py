"""The terms of a world, read from its day: shares become thresholds of words."""

from functools import cache
from math import ceil
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.draws import WORD_SPAN
from domain import Component, Procedure
from paperless.population.arrivals import SimulatedDay, can_be_filed_online, online_shares
from paperless.population.shares import Shares
from paperless.whatif.matrix import ALL, Words
from paperless.whatif.terms import Filing, Kind, Papers, Payment, ProofTerms, Result, Terms

Floats: TypeAlias = NDArray[np.float64]


# Fields of `Shares` that are thresholds by themselves.
_PLAIN: Final = (
    "level1_online_share",
    "online_payment_share",
    "electronic_result_share",
    "paper_on_request_share",
    "refused_consent_share",
    "no_answer_share",
)


def thresholds(shares: Floats) -> Words:
    """Return below which words a draw lies below its share: `ceil(share * 2**32)`, and all for 1."""
    return np.minimum(np.ceil(shares * WORD_SPAN), ALL).astype(np.uint32)


class Limits:
    """The thresholds that follow from a day's shares, by province."""

    def __init__(self, day: SimulatedDay) -> None:
        shares = {name: _by_province(day, name) for name in Shares.model_fields}
        online = list(online_shares(day).values())
        self._day = day
        self.plain = {name: thresholds(shares[name]) for name in _PLAIN}
        self.in_person = thresholds(1 - shares["postal_share"] if day.office_open else np.ones(len(day.shares)))
        self.online = {each: thresholds(np.array([by[each] for by in online])) for each in day.fileable}
        self.posted = [thresholds(shares[name]) for name in ("post_return_share", "physical_by_post_share")]
        self.taken = [thresholds(shares[name]) for name in ("paper_taken_other_share", "paper_taken_share")]
        self.again_from = thresholds(1 - shares["asked_again_share"])
        self.on_paper = cache(lambda needed: thresholds(needed * shares["paper_answer_share"]))
        self._nobody = np.zeros(len(day.shares), dtype=np.uint32)

    def terms(self, procedure: Procedure) -> Terms:
        """Return all that decides about a procedure's applications."""
        plain, fee_due, electronic = self.plain, procedure.fee_online_vnd > 0, procedure.electronic_result
        online = self.online[procedure.authority] if can_be_filed_online(procedure) else self._nobody
        return Terms(
            Kind(procedure.service_level, procedure.presence_required, fee_due, electronic),
            Filing(online, self.in_person, plain["level1_online_share"]),
            Payment(fee_due, plain["online_payment_share"]),
            Result(
                electronic,
                plain["electronic_result_share"],
                plain["paper_on_request_share"],
                self.posted[procedure.result_by_post],
            ),
            Papers(
                tuple([self._proof(component) for component in procedure.proofs]),
                plain["refused_consent_share"],
                plain["no_answer_share"],
                self.taken[procedure.in_list_25],
                self.again_from,
            ),
        )

    def _proof(self, component: Component) -> ProofTerms:
        found = _found(component) if component.replaceable else ()
        return ProofTerms(found, component.fallback, self.on_paper(component.needed_rate))


def terms_of(day: SimulatedDay) -> list[Terms]:
    """Return the terms of each procedure of a day, in its order."""
    limits = Limits(day)
    return [limits.terms(procedure) for procedure in day.procedures]


def _by_province(day: SimulatedDay, name: str) -> Floats:
    return np.array([getattr(shares, name) for shares in day.shares.values()])


def _found(component: Component) -> tuple[int, ...]:
    """Return the thresholds of the databases that have the paper on the day, as `services.vneid_mock.registry`."""
    return tuple([min(ceil(rate * WORD_SPAN), ALL) for rate in component.usable_rates])
