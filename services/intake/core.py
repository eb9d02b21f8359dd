"""What intake decides, as pure functions of the submission and the set of answers.

Nothing here depends on when, how often or in which order answers arrived: an answer has the same value and event time
whichever attempt fetched it, and what was never answered counts as unreachable at the attempt limit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

import orjson

from contracts.context import Facts
from contracts.errors import Reject
from contracts.events import (
    Answer,
    ApplicantAnswer,
    ApplicationSubmitted,
    Authority,
    Channel,
    DocumentsProvided,
    Outcome,
    Source,
)
from domain import VN, CalendarRangeError, Component, Domain, Procedure, ServiceLevel
from services.intake.rules import RULES, RULES_VERSION, Case, Rule, Settled, judge

MINUTES_PER_WORKING_DAY = 480
# Half a year of office time; what is longer is checked against the calendar exactly.
ORDINARY_MINUTES = 60_000


class Answered(NamedTuple):
    """The answer to one component: what the database said, which one, and when (event time)."""

    answer: Answer
    database: str
    at: datetime


Answers = Mapping[str, Answered]


class Decision(NamedTuple):
    """The content of `ApplicationDecided`, field by field in its order."""

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
    components: tuple[Settled, ...]

    def to_json(self) -> bytes:
        """Return the value of its record, byte for byte what `ApplicationDecided` gives."""
        fields = self._asdict()
        fields["components"] = [_as_dict(settled) for settled in self.components]
        return orjson.dumps(fields)


# Few combinations exist, and every outcome writes some of them.
@lru_cache(maxsize=8192)
def _as_dict(settled: Settled) -> dict[str, str | None]:
    return settled._asdict()


class Timing(NamedTuple):
    """Event times of a decided application."""

    due_at: datetime
    decided_at: datetime


Judge = Callable[[Case], tuple[Outcome, tuple[str, ...]]]
Refuses = Callable[[Channel, int, ServiceLevel], bool]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The administrative facts that a decision reads, with the parameters it names looked up once.

    Attributes:
        domain: the loaded data files.
        attempts: how often intake asks before it presumes.
        look_up_timeout: event time between two attempts (parameter lookup.timeout_s).
        wait_minutes: working minutes until an unanswered supplement request ends the case.
        check_minutes: working minutes of the check that ends in a refusal.
        judge: the outcome and reasons of a case.
        refuses: whether channel, account level and service level are refused at filing, before anything is asked.
        surely_in_calendar: submissions before this time, and of ordinary length, need no closer look.

    """

    domain: Domain
    attempts: int
    look_up_timeout: timedelta
    wait_minutes: int
    check_minutes: int
    judge: Judge
    refuses: Refuses
    surely_in_calendar: datetime

    @staticmethod
    def of(domain: Domain, attempts: int, rules: Sequence[Rule] = RULES) -> "RuleBook":
        """Read the parameters of a domain; equal cases are judged once."""
        at_filing = tuple(rule for rule in rules if rule.at_filing)
        last = domain.calendar.last_day - timedelta(days=365)
        return RuleBook(
            domain,
            attempts,
            timedelta(seconds=domain.number("lookup.timeout_s")),
            int(domain.number("supplement.wait_limit_working_days")) * MINUTES_PER_WORKING_DAY,
            int(domain.number("intake.check_median_working_hours") * 60),
            lru_cache(maxsize=65_536)(partial(judge, rules=tuple(rules))),
            lru_cache(maxsize=64)(partial(_refuses, at_filing)),
            datetime(last.year, last.month, last.day, tzinfo=VN),
        )

    def as_of(self, submitted_at: datetime, attempt: int) -> datetime:
        """Return the event time of an attempt: each follows the one before by a look-up's time-out."""
        return submitted_at if attempt == 1 else submitted_at + (attempt - 1) * self.look_up_timeout


def _refuses(at_filing: Sequence[Rule], channel: Channel, account_level: int, service_level: ServiceLevel) -> bool:
    case = Case(channel, account_level, service_level)
    return any(rule.applies(case) for rule in at_filing)


def check(submitted: ApplicationSubmitted, book: RuleBook) -> Procedure:
    """Return the procedure of a submission whose names all exist and belong together.

    Raises:
        Reject: a name is unknown, or contradicts another; the reason says which.

    """
    domain = book.domain
    procedure = domain.procedures.get(submitted.procedure)
    if procedure is None:
        raise Reject("unknown_procedure", f"procedure: {submitted.procedure!r} is not in procedures.csv")
    if submitted.province not in domain.provinces:
        raise Reject("unknown_province", f"province: {submitted.province!r} is not in provinces.csv")
    if submitted.home_province not in domain.provinces:
        raise Reject("unknown_province", f"home_province: {submitted.home_province!r} is not in provinces.csv")
    commune = domain.communes.get(submitted.commune)
    if commune is None or commune.province != submitted.province:
        raise Reject("unknown_commune", f"commune: {submitted.commune!r} is not in province {submitted.province}")
    if submitted.authority != procedure.authority:
        raise Reject("wrong_authority", f"authority: {submitted.procedure} is run by the {procedure.authority}")
    for slug in submitted.components:
        if slug not in procedure.components:
            raise Reject("unknown_component", f"components: {slug!r} is not of procedure {submitted.procedure}")
    _check_calendar(submitted, procedure, book)
    return procedure


def _check_calendar(submitted: ApplicationSubmitted, procedure: Procedure, book: RuleBook) -> None:
    """Refuse a submission that could be decided only outside the calendar."""
    calendar = book.domain.calendar
    days = procedure.limit_value if procedure.limit_unit == "working_day" else 2
    length = submitted.supplement_minutes + submitted.handling_minutes + days * MINUTES_PER_WORKING_DAY
    ordinary = length <= ORDINARY_MINUTES and submitted.submitted_at < book.surely_in_calendar
    if ordinary and submitted.submitted_at.year >= calendar.first_day.year:
        return
    longest = length + book.wait_minutes + book.check_minutes + 5 * MINUTES_PER_WORKING_DAY
    try:
        calendar.start_at(calendar.position(submitted.submitted_at) + longest)
    except CalendarRangeError as error:
        raise Reject("outside_calendar", f"submitted_at: {error}") from error


def components_to_look_up(facts: Facts, book: RuleBook) -> list[Component]:
    """Return the needed components that data may replace, in the submission's order.

    An application that is refused at filing asks no database for personal data.
    """
    procedure = book.domain.procedures[facts.procedure]
    refused = book.refuses(facts.channel, facts.account_level, procedure.service_level)
    return [] if refused else _replaceable(facts, procedure)


def _replaceable(facts: Facts, procedure: Procedure) -> list[Component]:
    components = procedure.components
    return [component for slug, _ in facts.components if (component := components[slug]).databases]


def answers_of(provided: DocumentsProvided) -> Answers:
    """Return a reply's answers by component."""
    return {given.component: Answered(given.answer, given.database, given.at) for given in provided.answers}


def decide(facts: Facts, answers: Answers, book: RuleBook) -> Decision:
    """Return the outcome of an application, given all that is known of it.

    What is not answered counts as unreachable after the attempt limit, and makes the outcome presumed. Answers to
    components that were not looked up are ignored.
    """
    procedure = book.domain.procedures[facts.procedure]
    refused = book.refuses(facts.channel, facts.account_level, procedure.service_level)
    asked = [] if refused else _replaceable(facts, procedure)
    known = {component.slug: answers[component.slug] for component in asked if component.slug in answers}
    presumed = len(known) < len(asked)
    settled = () if refused else settle(facts, known, procedure)
    outcome, reasons = book.judge(case_of(facts, procedure, settled))
    looked_up_at = _looked_up_at(facts, known, book, presumed=presumed)
    timing = _timing(facts, settled, outcome, looked_up_at, book)
    return Decision(
        facts.application_id,
        len(known),
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
        timing.due_at,
        timing.decided_at,
        outcome,
        reasons,
        settled,
    )


def settle(facts: Facts, answers: Answers, procedure: Procedure) -> tuple[Settled, ...]:
    """Return where the proof of each needed component comes from (design: from look-up to outcome).

    An office that asks anyway takes the first component on paper that data had replaced.
    """
    settled = []
    anyway = facts.asks_anyway
    online = facts.channel == "online"
    for slug, applicant in facts.components:
        one = _settle_one(procedure.components[slug], applicant, answers.get(slug), online=online)
        if anyway and one.source == "data":
            anyway = False
            one = Settled(slug, "paper", "asked_anyway", one.database)
        settled.append(one)
    return tuple(settled)


def _settle_one(
    component: Component, applicant: ApplicantAnswer, answered: Answered | None, *, online: bool
) -> Settled:
    slug = component.slug
    if not component.databases:
        return (
            Settled(slug, _asked(component, applicant, online=online), "no_database", None)
            if component.needs_proof
            else Settled(slug, "form", None, None)
        )
    if answered is None:
        return Settled(slug, _asked(component, applicant, online=online), "unreachable", component.databases[0])
    if answered.answer == "found":
        return Settled(slug, "data", None, answered.database)
    return Settled(slug, _asked(component, applicant, online=online), answered.answer, answered.database)


def _asked(component: Component, applicant: ApplicantAnswer, *, online: bool) -> Source:
    """Return how a component asked for is answered: an original only on paper, an irreplaceable one not online."""
    if component.fallback == "none" and online:
        return "none"
    if component.fallback == "original" and applicant == "upload":
        return "paper"
    return applicant


def case_of(facts: Facts, procedure: Procedure, settled: tuple[Settled, ...]) -> Case:
    """Return what the rules look at."""
    unanswered = on_paper = original = irreplaceable = asked_anyway = False
    for component, source, cause, _ in settled:
        if cause is None:
            continue
        if cause == "asked_anyway":
            asked_anyway = True
            continue
        fallback = procedure.components[component].fallback
        if fallback == "none" and facts.channel == "online":
            irreplaceable = True
        elif source == "none":
            unanswered = True
        elif source == "paper":
            original, on_paper = original or fallback == "original", on_paper or fallback != "original"
    return Case(
        facts.channel,
        facts.account_level,
        procedure.service_level,
        procedure.presence_required,
        procedure.fee_online_vnd > 0,
        bool(facts.fee_paid_online),
        procedure.electronic_result,
        facts.electronic_result,
        facts.result_delivery,
        unanswered,
        on_paper,
        original,
        irreplaceable,
        asked_anyway,
    )


def _looked_up_at(facts: Facts, known: Answers, book: RuleBook, *, presumed: bool) -> datetime:
    """Return the event time at which the last answer came, or was given up."""
    times = [answered.at for answered in known.values()]
    if presumed:
        times.append(book.as_of(facts.submitted_at, book.attempts + 1))
    return max(times, default=facts.submitted_at)


def _timing(
    facts: Facts, settled: tuple[Settled, ...], outcome: Outcome, looked_up_at: datetime, book: RuleBook
) -> Timing:
    """Return when the result is due and when the case ends.

    The limit counts from acceptance, again from zero once a supplemented dossier is complete (NĐ 61/2018 Art. 19.4);
    paper that arrives after 15:00 is forwarded on the next working day (Art. 18).
    """
    calendar, procedure = book.domain.calendar, book.domain.procedures[facts.procedure]
    accepted = calendar.accepted_at(facts.submitted_at, online=facts.channel == "online")
    start = calendar.position(max(accepted, looked_up_at))
    asked = [source for _, source, cause, _ in settled if cause is not None and cause != "no_database"]
    minutes = facts.handling_minutes
    if outcome == "rejected":
        minutes = book.check_minutes
    elif outcome == "stopped":
        minutes = book.wait_minutes
    elif asked:
        supplied = calendar.add_minutes(calendar.start_at(start), facts.supplement_minutes)
        accepted = calendar.accepted_at(supplied, online="paper" not in asked)
        start = calendar.position(accepted)
    # Nothing to do ends where it starts, not at the close of the day before, which is the same position.
    decided_at = calendar.end_at(start + minutes) if minutes else calendar.start_at(start)
    return Timing(calendar.due_at(accepted, procedure.limit_value, procedure.limit_unit), decided_at)
