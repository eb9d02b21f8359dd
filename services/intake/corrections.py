"""Which records intake asks to be put right: a function of the submission and the set of answers, like the outcome.

A record that is missing or does not match, so that the applicant is asked for the component, is corrected by the owner
of the database (portal texts), and from NQ 66.7/2025 on by the citizen, too. A database that was not reached and one
that may not be asked have said nothing of the record, so nothing is to be corrected.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, NamedTuple

import orjson

from contracts.events import Addressee
from domain import CorrectionDesk
from services.intake.core import Decision
from services.intake.rules import Answers

Wrong = Literal["missing", "mismatch"]


class Correction(NamedTuple):
    """The content of `CorrectionRequested`, field by field in its order."""

    application_id: str
    submission: str
    component: str
    procedure: str
    province: str
    database: str
    answer: Wrong
    addressees: tuple[Addressee, ...]
    requested_at: datetime
    worked_off_at: datetime

    @property
    def event_id(self) -> str:
        """The id of its event: one per submission and component, however often it is published."""
        return f"{self.application_id}/correction/{self.submission}/{self.component}"

    def to_json(self) -> bytes:
        """Return the value of its record, byte for byte what `CorrectionRequested` gives."""
        return orjson.dumps(self._asdict())


def corrections_of(
    decision: Decision, answers: Answers, desk_of: Callable[[datetime], CorrectionDesk]
) -> tuple[Correction, ...]:
    """Return the requests that a decision causes; one that knows more causes the same ones and more.

    An owner works them off in the order of filing, which does not depend on how soon its database answers.

    Args:
        decision: what was decided by these answers.
        answers: all that is known of the application.
        desk_of: returns that of an application's day: when an owner comes to a request, and whom else it is made to.

    """
    corrections: list[Correction] = []
    for proof in decision.components:
        if proof.cause == "missing" or proof.cause == "mismatch":  # noqa: PLR1714  mypy tells the words apart by `==`
            # Seven applications in eight ask for none.
            desk = desk_of(decision.submitted_at)
            # An answer of before the application, whatever its date, was not asked for earlier.
            requested_at = max(answers[proof.component].at, decision.submitted_at)
            corrections.append(
                Correction(
                    decision.application_id,
                    decision.submission,
                    proof.component,
                    decision.procedure,
                    decision.province,
                    answers[proof.component].database,
                    proof.cause,
                    desk.addressees,
                    requested_at,
                    desk.worked_off_at(decision.submitted_at),
                )
            )
    return tuple(corrections)
