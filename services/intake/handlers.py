"""Intake's handlers: translate a record, call the core, return the effects. No clock, no broker, no business."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import orjson

from contracts.errors import Misplaced, Reject
from contracts.events import ApplicationSubmitted, DocumentsProvided
from contracts.records import check_partition, decode_event, header_maker, key_partitions, partition_of, short_digest
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
)
from domain import CalendarRangeError
from runtime.messages import NOTHING, Effects, HandlerResult, Message, PendingRecord, Record, State
from runtime.metrics import Tally
from services.intake.context import ContextError, SubmissionFacts, facts_of, seal, unseal
from services.intake.core import Decision, RuleBook, answers_of, decide, look_ups, read_submission
from services.intake.corrections import corrections_of
from services.intake.rules import Answers

# What an open application is remembered by: the last attempt, the submitted value, the value of the reply with most
# answers so far, the context that was sealed and the facts in it as a plain tuple. Plain tuples of plain values, which
# the garbage collector leaves alone.
OpenApplication = tuple[int, bytes, bytes | None, str, tuple[object, ...]]
# Where a context carries the digest of its submission, which is the key of its entry.
_KEY = slice(2, 18)


class IntakeHandlers:
    """The `RecordHandler` of intake.

    An open entry is keyed by the digest of its submission, which the context echoes: the same submission twice is one
    entry, and another submission under the same application id is another one.

    Args:
        book: the administrative facts.
        key: the signing key of contexts.
        partitions: the partition count of the log.
        patience_s: wall seconds of silence until an application is asked for again.
        tally: returns the amounts of a counter by label values; metrics, no decisions.

    """

    def __init__(
        self,
        book: RuleBook,
        *,
        key: bytes,
        partitions: int,
        patience_s: float,
        tally: Callable[[str], Tally] = lambda _: defaultdict(float),
    ) -> None:
        self._book, self._key, self._partitions = book, key, partitions
        self._patience_s = patience_s
        self._key_partitions: dict[bytes | None, int] = {}
        self._outcomes, self._presumed = tally("outcomes_total"), tally("outcomes_presumed_total")
        self._asked_again = tally("applications_asked_again_total")
        self._submissions_moved = tally("submissions_moved_total")
        self._requested = header_maker("/services/intake", DOCUMENTS_REQUESTED.event_type)
        self._decided = header_maker("/services/intake", APPLICATIONS_DECIDED.event_type)
        self._corrected = header_maker("/services/intake", CORRECTIONS_REQUESTED.event_type)
        self._by_topic = {
            APPLICATIONS_SUBMITTED.name: self._on_submitted,
            DOCUMENTS_PROVIDED.name: self._on_provided,
        }

    def look_ahead(self, records: Sequence[Record]) -> None:
        """Place the keys of a batch, a quarter as dear as each by itself; without this they are placed one by one."""
        # A reply to what is open needs no place.
        if records[0].topic == APPLICATIONS_SUBMITTED.name:
            self._key_partitions = key_partitions(records, self._partitions)

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        """Return what a submission or a reply causes; see `RecordHandler`."""
        return self._by_topic[record.topic](record, pending)

    def _on_submitted(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        try:
            key_partition = self._key_partitions.get(record.key)
            submitted = read_submission(record, self._book, self._partitions, key_partition=key_partition)
        except Misplaced as misplaced:
            return self._moved(record, misplaced.event)
        value = record.value or b""
        facts = facts_of(submitted, short_digest(value))
        slugs = look_ups(facts, self._book)
        if not slugs:
            return self._decided_as(decide(facts, {}, self._book))
        key = facts.submission.encode()
        if key in pending:
            return NOTHING
        context = seal(facts, self._key)
        request = self._request(submitted, 1, slugs, context)
        return Effects((request,), PendingRecord(key, self._patience_s, (1, value, None, context, tuple(facts))))

    def _moved(self, record: Record, submitted: ApplicationSubmitted) -> Effects:
        """Publish a submission as it came, but under its own key and to its own partition, where it is decided."""
        self._submissions_moved[()] += 1
        key = submitted.application_id.encode()
        message = (APPLICATIONS_SUBMITTED.name, key, record.value, list(record.headers))
        return Effects((message,), partition=partition_of(key, self._partitions))

    def _on_provided(self, record: Record, pending: Mapping[bytes, State]) -> Effects:
        provided = decode_event(record, DocumentsProvided, self._partitions, key_partition=record.partition)
        key = provided.context[_KEY].encode()
        state = cast("OpenApplication | None", pending.get(key))
        if state is None or state[4][0] != provided.application_id:
            # What is open here was filed here; the rest is asked for its partition, at 4 µs a key.
            check_partition(record, provided, partition_of(provided.application_id.encode(), self._partitions))
        facts = self._facts(provided, state)
        answers = answers_of(provided)
        try:
            decision = decide(facts, answers, self._book)
            if state is None or not decision.presumed:
                return Effects(self._outcome(decision, answers), close=key)
        except CalendarRangeError as error:
            raise Reject("outside_calendar", f"answers: {error}") from error
        return self._on_incomplete(key, state, provided, record.value or b"")

    def _facts(self, provided: DocumentsProvided, state: OpenApplication | None) -> SubmissionFacts:
        """Return the facts of the context; one that equals what a pending record holds needs no opening.

        The application must be the remembered one too, or a reply could bring another application's context.
        """
        if state is not None and state[3] == provided.context and state[4][0] == provided.application_id:
            return SubmissionFacts._make(state[4])
        try:
            return unseal(provided.context, provided.application_id, self._key)
        except ContextError as error:
            raise Reject("forged_context", str(error)) from error

    def _on_incomplete(self, key: bytes, state: OpenApplication, provided: DocumentsProvided, reply: bytes) -> Effects:
        """Remember the best reply; an answer to the last asking asks again, or gives up at the attempt limit."""
        attempt, value, best, context, facts = state
        if best is None or len(provided.answers) > len(DocumentsProvided.model_validate_json(best).answers):
            best = reply
        state = (attempt, value, best, context, facts)
        if provided.attempt < attempt:
            return Effects(rearm=PendingRecord(key, self._patience_s, state))
        return self._counted(self._ask_again(key, state), "incomplete")

    def on_deadline(self, key: bytes, state: State) -> Effects:
        """Return the effects of silence: ask again, or presume with what is known at the attempt limit."""
        effects = self._counted(self._ask_again(key, cast("OpenApplication", state)), "silence")
        return effects._replace(retry=effects.rearm is not None)

    def _counted(self, effects: Effects, cause: str) -> Effects:
        if effects.rearm is not None:
            self._asked_again[(cause,)] += 1
        return effects

    def _ask_again(self, key: bytes, state: OpenApplication) -> Effects:
        attempt, value, best, context, plain = state
        facts = SubmissionFacts._make(plain)
        if attempt >= self._book.attempts:
            known = {} if best is None else answers_of(DocumentsProvided.model_validate_json(best))
            return Effects(self._outcome(decide(facts, known, self._book), known), close=key)
        submitted = ApplicationSubmitted.model_validate_json(value)
        request = self._request(submitted, attempt + 1, look_ups(facts, self._book), context)
        again = PendingRecord(key, self._patience_s, (attempt + 1, value, best, context, plain))
        return Effects((request,), rearm=again)

    def _request(self, submitted: ApplicationSubmitted, attempt: int, slugs: tuple[str, ...], context: str) -> Message:
        application_id = submitted.application_id
        request: dict[str, object] = {
            "application_id": application_id,
            "citizen_number": submitted.citizen_number,
            "procedure": submitted.procedure,
            "province": submitted.province,
            "consent": submitted.consent,
            "attempt": attempt,
            "as_of": self._book.as_of(submitted.submitted_at, attempt),
            "documents": self._book.documents(submitted.procedure, slugs),
            "context": context,
        }
        if submitted.consent_refused:
            request["consent_refused"] = submitted.consent_refused
        if submitted.filed_before_at is not None:
            request["filed_before_at"] = submitted.filed_before_at
        value = orjson.dumps(request)
        headers = self._requested(f"{application_id}/requested/{attempt}")
        return (DOCUMENTS_REQUESTED.name, application_id.encode(), value, headers)

    def _outcome(self, decision: Decision, answers: Answers) -> tuple[Message, ...]:
        """Return the outcome, and behind it the requests to correct what was missing or did not match."""
        decided = self._decided_as(decision)
        key, topic = decided[1], CORRECTIONS_REQUESTED.name
        corrections = corrections_of(decision, answers, self._book.desk)
        if not corrections:
            return (decided,)
        return (decided, *[(topic, key, each.to_json(), self._corrected(each.event_id)) for each in corrections])

    def _decided_as(self, decision: Decision) -> Message:
        self._outcomes[(decision.outcome,)] += 1
        if decision.presumed:
            self._presumed[()] += 1
        headers = self._decided(f"{decision.application_id}/decided/{decision.revision}")
        return (APPLICATIONS_DECIDED.name, decision.application_id.encode(), decision.to_json(), headers)
