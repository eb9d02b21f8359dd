"""What a world asks of the draws, as plain values: thresholds by condition, procedure and province.

Two worlds that agree on a group's terms agree on what it comes to.
"""

from typing import NamedTuple

import numpy as np

from domain import Fallback, ServiceLevel
from paperless.population.arrivals import SimulatedDay
from paperless.whatif.matrix import Words


class World(NamedTuple):
    """A simulated day whose shares, procedures and domain may differ from those that the matrix was drawn for.

    `gone` are codes of procedures that no longer exist: their applications are not filed.
    """

    day: SimulatedDay
    gone: frozenset[str] = frozenset()


class Filing(NamedTuple):
    """By province: who files online, who brings it to a counter and not by post, whose account has level 1 only."""

    online: Words
    in_person: Words
    level_1: Words


class Payment(NamedTuple):
    """Whether a fee is due; by province, who pays it online."""

    due: bool
    online: Words


class Result(NamedTuple):
    """Whether the result is electronic; by province, who gets it so, asks for a copy, gets what is paper by post."""

    electronic: bool
    attached: Words
    copy: Words
    posted: Words


class ProofTerms(NamedTuple):
    """Of one component: a threshold for each database (0: not in force), and by province who would answer on paper."""

    found: tuple[int, ...]
    fallback: Fallback
    on_paper: Words


class Papers(NamedTuple):
    """By province: who refuses consent, answers no request, meets an office that takes paper anyway or asks again.

    Consent is refused component by component: below the threshold lies the draw read from the component's own start.
    """

    proofs: tuple[ProofTerms, ...]
    refused: Words
    silent: Words
    anyway: Words
    again_from: Words


class Kind(NamedTuple):
    """What is the same for all applications of a procedure."""

    service_level: ServiceLevel
    presence_required: bool
    fee_due: bool
    electronic_result_due: bool


class Terms(NamedTuple):
    """All that decides about one procedure's applications."""

    kind: Kind
    filing: Filing
    payment: Payment
    result: Result
    papers: Papers


def same(first: object, second: object) -> bool:
    """Whether two terms are the same values."""
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and first.tobytes() == second.tobytes()
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second
