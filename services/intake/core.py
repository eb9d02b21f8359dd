"""What intake decides, as pure functions of the submission and the set of answers.

Nothing here depends on when, how often or in which order answers arrived: an answer has the same value and event time
whichever attempt fetched it, and what was never answered counts as unreachable at the attempt limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

import orjson

from contracts.errors import Misplaced
from contracts.events import (
    ApplicantAnswer,
    ApplicationSubmitted,
    Authority,
    Channel,
    DecidedComponent,
    DecidedPart,
    DocumentsProvided,
    Outcome,
)
from contracts.records import Keyed, decode_event
from contracts.submissions import MINUTES_PER_WORKING_DAY, SubmissionCheck
from domain import CorrectionDesk, Domain, Procedure, ServiceLevel, WorkingCalendar
from services.intake.context import SubmissionFacts
from services.intake.linked import decided_parts, ended, handling_minutes
from services.intake.rules import PRECEDENCE, RULES, RULES_VERSION, Answers, Case, Rule, case_of, judge, proofs_of

# A day of the country has some 8,000, of 1.5 KB each; over millions of applications ever rarer ones come.
MOST_JUDGEMENTS = 16_384
# The rules by which a complete dossier ends without a result.
ENDINGS = frozenset({"refused_on_merits", "withdrawn"})


class Decision(NamedTuple):
    """The content of `ApplicationDecided`, field by field in its order, and the JSON of its components."""

    application_id: str
    revision: int
    presumed: bool
    submission: str
    rules_version: int
    province: str
    commune: str
    procedure: str
    authority: Authority
    channel: Channel
    assisted: bool
    submitted_at: datetime
    due_at: datetime
    decided_at: datetime
    outcome: Outcome
    reasons: tuple[str, ...]
    components: tuple[DecidedComponent, ...]
    index_due_at: datetime
    components_json: bytes
    parts: tuple[DecidedPart, ...] = ()

    def to_json(self) -> bytes:
        """Return the value of its record, byte for byte what `ApplicationDecided` gives."""
        # Written out: half the time of `_asdict`.
        fields: dict[str, object] = {
            "application_id": self.application_id,
            "revision": self.revision,
            "presumed": self.presumed,
            "submission": self.submission,
            "rules_version": self.rules_version,
            "province": self.province,
            "commune": self.commune,
            "procedure": self.procedure,
            "authority": self.authority,
            "channel": self.channel,
            "assisted": self.assisted,
            "submitted_at": self.submitted_at,
            "due_at": self.due_at,
            "decided_at": self.decided_at,
            "outcome": self.outcome,
            "reasons": self.reasons,
            "components": orjson.Fragment(self.components_json),
            "index_due_at": self.index_due_at,
        }
        if self.parts:
            fields["parts"] = self.parts
        return orjson.dumps(fields)


# All of a decision that does not depend on time: the slugs that databases have answered, whether one was looked up in
# vain, the components and their JSON, the outcome and its reasons.
Judgement = tuple[tuple[str, ...], bool, tuple[DecidedComponent, ...], bytes, Outcome, tuple[str, ...]]
Judge = Callable[[Case], tuple[Outcome, tuple[str, ...]]]
Refuses = Callable[[Channel, int, ServiceLevel], bool]
Needed = tuple[tuple[str, ApplicantAnswer], ...]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The administrative facts that a decision reads, with the parameters it names looked up once.

    Attributes:
        domain: the loaded data files.
        attempts: how often intake asks before it presumes.
        look_up_timeout: event time between two attempts (parameter lookup.timeout_s).
        wait_minutes: working minutes until an unanswered supplement request ends the case.
        linked_wait_minutes: the same of a linked service.
        forwarding_minutes: working minutes from a commune's centre to an office of the province.
        check_minutes: working minutes of the check that ends in a refusal.
        judge: the outcome and reasons of a case.
        refuses: whether channel, account level and service level are refused at filing, before anything is asked.
        look_ups: the slugs to look up, given procedure, channel, account level and needed components; none for an
            application that is refused at filing.
        documents: the `documents` of a request, given procedure and slugs to look up.
        submissions: whether an application can be decided at all.
        rules: the table that `judge` reads.
        judgements: those made so far; of a day's applications nine in ten are judged like an earlier one.
        worlds: the books of other days made so far, by the domain that holds then.

    """

    domain: Domain
    attempts: int
    look_up_timeout: timedelta
    wait_minutes: int
    linked_wait_minutes: int
    forwarding_minutes: int
    check_minutes: int
    judge: Judge
    refuses: Refuses
    look_ups: Callable[[str, Channel, int, Needed], tuple[str, ...]]
    documents: Callable[[str, tuple[str, ...]], orjson.Fragment]
    submissions: SubmissionCheck
    rules: tuple[Rule, ...] = RULES
    judgements: dict[tuple[object, ...], Judgement] = field(default_factory=dict, init=False, compare=False)
    worlds: dict[int, "RuleBook"] = field(default_factory=dict, init=False, compare=False)

    @staticmethod
    def of(domain: Domain, attempts: int, rules: Sequence[Rule] = RULES) -> "RuleBook":
        """Read the parameters of a domain; equal cases are judged once."""
        refuses = partial(_refuses, tuple(rule for rule in rules if rule.at_filing))
        return RuleBook(
            domain,
            attempts,
            timedelta(seconds=domain.number("lookup.timeout_s")),
            int(domain.number("supplement.wait_limit_working_days")) * MINUTES_PER_WORKING_DAY,
            int(domain.number("supplement.linked_wait_limit_working_days")) * MINUTES_PER_WORKING_DAY,
            int(domain.number("routing.forwarding_minutes")),
            int(domain.number("intake.check_median_working_hours") * 60),
            partial(judge, rules=tuple(rules)),
            refuses,
            lru_cache(maxsize=65_536)(partial(_look_ups, domain, refuses)),
            lru_cache(maxsize=8_192)(partial(_documents, domain)),
            SubmissionCheck.of(domain),
            tuple(rules),
        )

    def on(self, submitted_at: datetime) -> "RuleBook":
        """Return the book of the day of an application: this one, unless reforms make it another world."""
        world = self.domain.on(submitted_at)
        if world is self.domain:
            return self
        book = self.worlds.get(id(world))
        if book is None:
            book = self.worlds[id(world)] = RuleBook.of(world, self.attempts, self.rules)
        return book

    def desk(self, submitted_at: datetime) -> CorrectionDesk:
        """Return by what corrections are asked for, of the day of an application."""
        return self.domain.on(submitted_at).correction_desk

    def as_of(self, submitted_at: datetime, attempt: int) -> datetime:
        """Return the event time of an attempt: each follows the one before by a look-up's time-out."""
        return submitted_at if attempt == 1 else submitted_at + (attempt - 1) * self.look_up_timeout


def read_submission(
    record: Keyed, book: RuleBook, partitions: int, *, key_partition: int | None = None
) -> ApplicationSubmitted:
    """Return the application that a record files; see `decode_event` for the arguments.

    Raises:
        Misplaced: it can be decided, but lies under another key or on another partition than its own.
        Reject: it cannot be decided, wherever it lies.

    """
    try:
        submitted = decode_event(record, ApplicationSubmitted, partitions, key_partition=key_partition)
    except Misplaced as misplaced:
        book.submissions.check(misplaced.event)
        raise
    book.submissions.check(submitted)
    return submitted


def look_ups(facts: SubmissionFacts, book: RuleBook) -> tuple[str, ...]:
    """Return the slugs of the needed components that data may replace, in the submission's order.

    An application that is refused at filing asks no database for personal data.
    """
    book = book.on(facts.submitted_at)
    return book.look_ups(facts.procedure, facts.channel, facts.account_level, facts.components)


def _refuses(at_filing: Sequence[Rule], channel: Channel, account_level: int, service_level: ServiceLevel) -> bool:
    case = Case(channel, account_level, service_level)
    return any(rule.applies(case) for rule in at_filing)


def _look_ups(  # noqa: PLR0917  a cache's key
    domain: Domain,
    refuses: Refuses,
    procedure_code: str,
    channel: Channel,
    account_level: int,
    needed: Needed,
) -> tuple[str, ...]:
    procedure = domain.procedures[procedure_code]
    if refuses(channel, account_level, procedure.service_level):
        return ()
    return tuple([slug for slug, _ in needed if procedure.components[slug].databases])


def _documents(domain: Domain, procedure_code: str, slugs: tuple[str, ...]) -> orjson.Fragment:
    components = domain.procedures[procedure_code].components
    documents = [{"component": slug, "databases": components[slug].databases} for slug in slugs]
    return orjson.Fragment(orjson.dumps(documents))


def answers_of(provided: DocumentsProvided) -> Answers:
    """Return a reply's answers by component."""
    return {given.component: given for given in provided.answers}


def decide(facts: SubmissionFacts, answers: Answers, book: RuleBook) -> Decision:
    """Return the outcome of an application, given all that is known of it.

    What is not answered counts as unreachable after the attempt limit, and makes the outcome presumed. Answers to
    components that were not looked up are ignored. The rules are applied to the world of the day of submission.
    """
    book = book.on(facts.submitted_at)
    answered, presumed, components, components_json, outcome, reasons = _judgement(facts, answers, book)
    looked_up_at = _looked_up_at(facts, [answers[slug].at for slug in answered], book, presumed=presumed)
    # Who takes a complete dossier back, or is refused on its merits, has had it handled until then.
    handled = facts.ending is not None and not ENDINGS.isdisjoint(reasons)
    times = _due_and_decided(facts, components, "partly_online" if handled else outcome, looked_up_at, book)
    due_at, decided_at, index_due_at = times
    parts: tuple[DecidedPart, ...] = ()
    if facts.parts and PRECEDENCE[outcome] < PRECEDENCE["stopped"]:
        parts = decided_parts(facts, book.domain.procedures[facts.procedure], decided_at, book.domain.calendar)
    return Decision(
        facts.application_id,
        len(answered),
        presumed,
        facts.submission,
        RULES_VERSION,
        facts.province,
        facts.commune,
        facts.procedure,
        facts.authority,
        facts.channel,
        facts.assisted,
        facts.submitted_at,
        due_at,
        decided_at,
        outcome,
        reasons,
        components,
        index_due_at,
        components_json,
        parts,
    )


def _judgement(facts: SubmissionFacts, answers: Answers, book: RuleBook) -> Judgement:
    """Return the judgement, worked out once for applications that differ only in time, place and name."""
    said = tuple(
        [(given.answer, given.database) if (given := answers.get(slug)) else None for slug, _ in facts.components]
    )
    # All that `proofs_of`, `case_of` and `look_ups` read of an application.
    alike = (
        facts.procedure,
        facts.channel,
        facts.account_level,
        facts.fee_paid_online,
        facts.electronic_result,
        facts.result_delivery,
        facts.asks_anyway,
        facts.asks_again,
        facts.components,
        facts.ending,
        said,
    )
    judgement = book.judgements.get(alike)
    if judgement is None:
        if len(book.judgements) >= MOST_JUDGEMENTS:
            book.judgements.clear()
        judgement = book.judgements[alike] = _judged(facts, answers, book)
    return judgement


def _judged(facts: SubmissionFacts, answers: Answers, book: RuleBook) -> Judgement:
    procedure = book.domain.procedures[facts.procedure]
    refused = book.refuses(facts.channel, facts.account_level, procedure.service_level)
    slugs = look_ups(facts, book)
    known = {slug: answers[slug] for slug in slugs if slug in answers}
    proofs = () if refused else proofs_of(facts, known, procedure)
    if refused:
        facts = facts._replace(ending=None)
    outcome, reasons = book.judge(case_of(facts, procedure, proofs))
    return tuple(known), len(known) < len(slugs), proofs, orjson.dumps(proofs), outcome, reasons


def _looked_up_at(facts: SubmissionFacts, answered_at: list[datetime], book: RuleBook, *, presumed: bool) -> datetime:
    """Return the event time at which the last answer came, or was given up."""
    if presumed:
        answered_at.append(book.as_of(facts.submitted_at, book.attempts + 1))
    return max(answered_at, default=facts.submitted_at)


def _due_and_decided(
    facts: SubmissionFacts,
    components: tuple[DecidedComponent, ...],
    outcome: Outcome,
    looked_up_at: datetime,
    book: RuleBook,
) -> tuple[datetime, datetime, datetime]:
    """Return when the result is due by law, when the case ends, and when it is due for the index; in event time.

    The limit counts from acceptance. While an applicant is asked, no clock runs: by law it starts again from zero when
    the dossier is complete (NĐ 61/2018 Art. 19.4), for index component 2.1 it goes on. So a case that is stopped, being
    complete never, has no due date to miss: it gets what it would have if the answer had come on the last day. Paper
    that arrives after 15:00 is forwarded on the next working day (Art. 18), of a linked service data, too (NĐ 63/2024).
    """
    calendar, procedure = book.domain.calendar, book.domain.procedures[facts.procedure]
    at_once = _forwarded_at_once(procedure, online=facts.channel == "online")
    accepted = calendar.accepted(calendar.position(facts.submitted_at), online=at_once)
    due_at = calendar.due_at(accepted, procedure.limit_value, procedure.limit_unit)
    start = accepted + _forwarding_minutes(facts, procedure, book)
    # An answer of an earlier day, whatever its date, speeds nothing up.
    if looked_up_at.toordinal() >= facts.submitted_at.toordinal():
        start = max(start, calendar.position(looked_up_at))
    if outcome == "rejected":
        return due_at, calendar.end_at(start + book.check_minutes), due_at
    asked = [proof.source for proof in components if proof.cause is not None and proof.cause != "no_database"]
    if not asked and outcome != "stopped":
        return due_at, ended(calendar, start, handling_minutes(facts, procedure)), due_at
    if outcome == "stopped":
        wait = book.linked_wait_minutes if procedure.parts else book.wait_minutes
        complete, decided_at = start + wait, ended(calendar, start, wait)
    else:
        at_once = _forwarded_at_once(procedure, online="paper" not in asked)
        complete = calendar.accepted(start + facts.supplement_minutes, online=at_once)
        if facts.asks_twice:
            return _asked_twice(facts, complete, calendar, procedure, book.check_minutes, online=at_once)
        decided_at = ended(calendar, complete, handling_minutes(facts, procedure))
    index_due_at = calendar.end_at(calendar.position(due_at) + complete - start)
    return calendar.due_at(complete, procedure.limit_value, procedure.limit_unit), decided_at, index_due_at


def _forwarded_at_once(procedure: Procedure, *, online: bool) -> bool:
    """Whether what arrives after 15:00 need not wait for the next day: data do not, but of a linked service."""
    return online and not procedure.parts


def _forwarding_minutes(facts: SubmissionFacts, procedure: Procedure, book: RuleBook) -> int:
    """Return how long paper is on its way to the office that decides; the limit counts from the centre's receipt.

    Any centre of a province receives for both levels (NĐ 118/2025/NĐ-CP). What a commune's centre receives for an
    office of the province is forwarded; where the province has one centre with branches, it is there already.
    """
    if facts.channel == "online" or procedure.level != "province":
        return 0
    return 0 if book.domain.provinces[facts.province].single_centre else book.forwarding_minutes


def _asked_twice(
    facts: SubmissionFacts,
    answered: int,
    calendar: WorkingCalendar,
    procedure: Procedure,
    check_minutes: int,
    *,
    online: bool,
) -> tuple[datetime, datetime, datetime]:
    """Return the same of an application that is asked for more once it has answered; `answered` is that position.

    By law one full request is allowed (NĐ 61/2018 Art. 15.3, 17.2), and the limit starts again when the dossier is
    complete at last (Art. 19.4). For index component 2.1 more than one request is overdue: due is what was complete
    with the first answer, which was looked through before something else was asked for.
    """
    complete = calendar.accepted(answered + check_minutes + facts.supplement_minutes, online=online)
    due_at = calendar.due_at(complete, procedure.limit_value, procedure.limit_unit)
    return due_at, ended(calendar, complete, handling_minutes(facts, procedure)), calendar.end_at(answered)
