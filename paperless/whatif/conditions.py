"""The terms of a world, read from its day: shares become thresholds of words."""

from collections.abc import Callable, Sequence
from functools import cache
from math import ceil
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.draws import WORD_SPAN
from domain import Component
from paperless.population.arrivals import SimulatedDay, filed_online_shares
from paperless.whatif.matrix import ALL, Words
from paperless.whatif.terms import Filing, Kind, Papers, Payment, ProofTerms, Result, Terms
from services.vneid_mock.registry import LookUp

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


def terms_of(day: SimulatedDay) -> list[Terms]:
    """Return the terms of each procedure of a day, in its order."""
    shares = {name: _by_province(day, name) for name in type(next(iter(day.shares.values()))).model_fields}
    plain = {name: thresholds(shares[name]) for name in _PLAIN}
    in_person = thresholds(1 - shares["postal_share"] if day.office_open else np.ones(len(day.shares)))
    online = thresholds(np.array(list(filed_online_shares(day).values())).T)
    by_post = [thresholds(shares[name]) for name in ("post_return_share", "physical_by_post_share")]
    taken = [thresholds(shares[name]) for name in ("paper_taken_other_share", "paper_taken_share")]
    again_from = thresholds(1 - shares["asked_again_share"])
    on_paper = cache(lambda needed: thresholds(needed * shares["paper_answer_share"]))
    return [
        Terms(
            Kind(
                procedure.service_level,
                procedure.presence_required,
                procedure.fee_online_vnd > 0,
                procedure.electronic_result,
            ),
            Filing(filed, in_person, plain["level1_online_share"]),
            Payment(procedure.fee_online_vnd > 0, plain["online_payment_share"]),
            Result(
                procedure.electronic_result,
                plain["electronic_result_share"],
                plain["paper_on_request_share"],
                by_post[procedure.result_by_post],
            ),
            Papers(
                _proofs(procedure.proofs, day, on_paper),
                plain["refused_consent_share"],
                plain["no_answer_share"],
                taken[procedure.in_list_25],
                again_from,
            ),
        )
        for procedure, filed in zip(day.procedures, online, strict=True)
    ]


def _by_province(day: SimulatedDay, name: str) -> Floats:
    return np.array([getattr(shares, name) for shares in day.shares.values()])


def _proofs(
    proofs: Sequence[Component], day: SimulatedDay, on_paper: Callable[[float], Words]
) -> tuple[ProofTerms, ...]:
    return tuple([
        ProofTerms(
            _found(component, day) if component.replaceable else (),
            component.fallback,
            on_paper(component.needed_rate),
        )
        for component in proofs
    ])  # fmt: skip


def _found(component: Component, day: SimulatedDay) -> tuple[int, ...]:
    """Return the thresholds of the databases that have the paper on the day."""
    searches = LookUp.of(component, day.domain).searches
    return tuple([min(ceil(search.usable_below), ALL) for search in searches])
