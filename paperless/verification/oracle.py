"""The oracle: what every application must come to, composed of the services' pure cores in one process.

No broker, no clock, no retries: one pass over the logged submissions. Either it agrees with the running system, or one
of them is wrong.
"""

from typing import NamedTuple

from contracts.records import Keyed, short_digest
from services.intake.context import facts_of
from services.intake.core import Decision, RuleBook, decide, look_ups, read_submission
from services.intake.corrections import Correction, corrections_of
from services.intake.rules import Answers
from services.scoring.rollup.outcome import ApplicationOutcome, outcome_of
from services.vneid_mock.core import Vneid, final_answers


class Oracle(NamedTuple):
    """Knows the rules of a run, and what VNeID answered by in it.

    Attributes:
        book: intake's rule book, with its attempt limit.
        vneid: the mock's databases, fault plan and seed.
        partitions: the partition count of the log.

    """

    book: RuleBook
    vneid: Vneid
    partitions: int

    def decide(self, record: Keyed, *, key_partition: int | None = None) -> Decision:
        """Return what intake must have decided about a submission once no answer is missing that ever comes.

        `key_partition` is the partition of its key, where it is known.

        Raises:
            Misplaced: intake must have published it again, under its own key and to its own partition.
            Reject: intake must dead-letter this record, with this reason.

        """
        return self._decide(record, key_partition)[0]

    def foresee(self, record: Keyed, *, key_partition: int | None = None) -> "Foreseen":
        """Return all that a submission must cause, of the bytes that intake publishes; errors as of `decide`."""
        decision, answers = self._decide(record, key_partition)
        # A decision has the event's fields; building the event from it would cost more than deciding.
        outcome = outcome_of(decision, decision.to_json())
        return Foreseen(outcome, corrections_of(decision, answers, self.book.desk))

    def outcome(self, record: Keyed, *, key_partition: int | None = None) -> ApplicationOutcome:
        """Return the outcome alone of `foresee`, as scoring counts it; errors as there."""
        return self.foresee(record, key_partition=key_partition).outcome

    def _decide(self, record: Keyed, key_partition: int | None) -> tuple[Decision, Answers]:
        submitted = read_submission(record, self.book, self.partitions, key_partition=key_partition)
        facts = facts_of(submitted, short_digest(record.value or b""))
        slugs = look_ups(facts, self.book)
        answers = final_answers(submitted, slugs, self.book.attempts, self.vneid)
        return decide(facts, answers, self.book), answers


class Foreseen(NamedTuple):
    """What must come of a submission: its outcome as scoring counts it, and the corrections that are asked for."""

    outcome: ApplicationOutcome
    corrections: tuple[Correction, ...]
