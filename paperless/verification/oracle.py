"""The oracle: what every application must come to, composed of the services' pure cores in one process.

No broker, no clock, no retries: one pass over the logged submissions. Either it agrees with the running system, or one
of them is wrong.
"""

from typing import NamedTuple

from contracts.decoding import Keyed, decode_event
from contracts.draws import short_digest
from contracts.events import ApplicationSubmitted, DocumentAnswer
from services.intake.context import facts_of
from services.intake.core import Decision, RuleBook, check, decide, look_ups
from services.scoring.rollup.outcome import ApplicationOutcome, outcome_of
from services.vneid_mock.core import final_answers
from services.vneid_mock.faults import FaultPlan


class Oracle(NamedTuple):
    """Knows the rules, the seed and the fault plan of a run.

    Attributes:
        book: intake's rule book, with its attempt limit.
        plan: the mock's fault plan.
        seed: the mock's seed.
        partitions: the partition count of the log.

    """

    book: RuleBook
    plan: FaultPlan
    seed: int
    partitions: int

    def decide(self, record: Keyed) -> Decision:
        """Return the final outcome of a submission.

        Raises:
            Reject: intake must dead-letter this record, with this reason.

        """
        submitted = decode_event(record, ApplicationSubmitted, self.partitions)
        check(submitted, self.book)
        facts = facts_of(submitted, short_digest(record.value or b""))
        known = final_answers(
            plan=self.plan,
            seed=self.seed,
            application_id=submitted.application_id,
            citizen_number=submitted.citizen_number,
            procedure=submitted.procedure,
            province=submitted.province,
            consent=submitted.consent,
            components=look_ups(facts, self.book),
            as_of=submitted.submitted_at,
            attempts=self.book.attempts,
        )
        answers = {one.component: DocumentAnswer(*one) for one in known}
        return decide(facts, answers, self.book)

    def outcome(self, record: Keyed) -> ApplicationOutcome:
        """Return the final outcome as it is rolled up; see `decide` for errors."""
        decision = self.decide(record)
        # A decision has the event's fields; building the event from it would cost more than deciding.
        return outcome_of(decision, decision.to_json())
