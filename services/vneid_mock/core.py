"""From a request to its reply: pure, and the same code for the service and for the oracle."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from functools import cache
from math import ceil, log
from statistics import NormalDist
from typing import NamedTuple, NoReturn

import orjson

from contracts.errors import Reject
from contracts.events import Answer, DocumentsRequested
from domain import domain
from services.vneid_mock.faults import FaultPlan, Subject, answers_from, deliveries
from services.vneid_mock.registry import LookUp, prepare


class Responses(NamedTuple):
    """The reply to one attempt: the record's value, after how many seconds of wall time each copy is sent, and what
    each database said (`unreachable`: nothing at this attempt).
    """

    value: bytes
    delays: tuple[float, ...]
    look_ups: list[tuple[str, str]]


class LookedUp(NamedTuple):
    """What is known of one component: the fields of `contracts.events.DocumentAnswer`."""

    component: str
    answer: Answer
    database: str
    at: datetime


class _Case(NamedTuple):
    """What the answers depend on; `first` is the event time of the first attempt."""

    subject: Subject
    consent: bool
    look_ups: tuple[LookUp, ...]
    first: datetime


def respond(request: DocumentsRequested, plan: FaultPlan, seed: int) -> Responses:
    """Answer one attempt: everything that is known at it, the context echoed.

    Raises:
        Reject: `unknown_procedure`, `unknown_component`, `duplicate_component`, `databases_not_of_component` or
            `event_time_out_of_range`; trying again cannot help.

    """
    case = _case_of(request)
    databases = {look_up.databases[0] for look_up in case.look_ups} if plan.overrides else ()
    delays = deliveries(plan, seed, case.subject, request.attempt, databases)
    known = _known(case, plan, seed, request.attempt)
    reply = {
        "application_id": request.application_id,
        "attempt": request.attempt,
        "answers": [
            {"component": component, "answer": answer, "database": database, "at": at}
            for component, answer, database, at in known
        ],
        "context": request.context,
    }
    return Responses(orjson.dumps(reply), delays, _look_ups_made(case, known))


def final_answers(
    *,
    plan: FaultPlan,
    seed: int,
    application_id: str,
    citizen_number: str,
    procedure: str,
    province: str,
    consent: bool,
    components: Sequence[str],
    as_of: datetime,
    attempts: int,
) -> tuple[LookedUp, ...]:
    """Return all that a caller can ever learn: the answers of the last of its attempts that gets a reply.

    As fates are monotone this is the union over all attempts. Components are answered in the order given.

    Args:
        plan: the fault plan of the run.
        seed: the run's seed.
        application_id: as in the request.
        citizen_number: as in the request.
        procedure: as in the request.
        province: as in the request.
        consent: as in the request.
        components: slugs of the requested components; their databases are those of the domain.
        as_of: event time of the first attempt.
        attempts: how often the caller asks at most.

    Raises:
        Reject: as `respond`.

    """
    if not components:
        return ()
    by_slug = _look_ups_of(procedure)
    case = _Case(
        Subject(application_id, citizen_number, province),
        consent,
        tuple(by_slug.get(slug) or _unknown_component(procedure, slug) for slug in components),
        as_of,
    )
    databases = {look_up.databases[0] for look_up in case.look_ups}
    for attempt in range(attempts, 0, -1):
        if deliveries(plan, seed, case.subject, attempt, databases):
            return tuple(_known(case, plan, seed, attempt))
    return ()


def _known(case: _Case, plan: FaultPlan, seed: int, attempt: int) -> list[LookedUp]:
    look_ups = case.look_ups
    fates = answers_from(plan, seed, case.subject, [(look_up.position, look_up.databases[0]) for look_up in look_ups])
    return [
        _answer(case, look_up, seed, fate)
        for look_up, fate in zip(look_ups, fates, strict=True)
        if fate is not None and fate <= attempt
    ]


def _look_ups_made(case: _Case, known: list[LookedUp]) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = [(one.database, one.answer) for one in known]
    if len(known) < len(case.look_ups):
        answered = {one.component for one in known}
        made += [(one.databases[0], "unreachable") for one in case.look_ups if one.slug not in answered]
    return made


def _answer(case: _Case, look_up: LookUp, seed: int, fate: int) -> LookedUp:
    answer, database, latency = look_up.find(seed, case.subject.citizen_number, case.first)
    at = _timing().at(case.first, fate, latency)
    if not case.consent:
        return LookedUp(look_up.slug, "refused", look_up.databases[0], at)
    return LookedUp(look_up.slug, answer, database, at)


def _case_of(request: DocumentsRequested) -> _Case:
    by_slug = _look_ups_of(request.procedure)
    look_ups: dict[str, LookUp] = {}
    for slug, databases in [(document.component, document.databases) for document in request.documents]:
        look_up = by_slug.get(slug) or _unknown_component(request.procedure, slug)
        if databases != look_up.databases:
            raise Reject("databases_not_of_component", _other_databases(request.procedure, look_up, databases))
        look_ups[slug] = look_up
    if len(look_ups) < len(request.documents):
        raise Reject("duplicate_component", f"documents of {request.application_id}: a component is asked for twice")
    subject = Subject(request.application_id, request.citizen_number, request.province)
    return _Case(subject, request.consent, tuple(look_ups.values()), _first_attempt(request))


def _first_attempt(request: DocumentsRequested) -> datetime:
    # The first and the last years leave no room for the attempts before and the time-outs after.
    if not MINYEAR < request.as_of.year < MAXYEAR:
        raise Reject("event_time_out_of_range", f"as_of {request.as_of.isoformat()} is no usable date")
    return request.as_of - (request.attempt - 1) * _timing().timeout


def _other_databases(procedure: str, look_up: LookUp, databases: tuple[str, ...]) -> str:
    asked, known = ", ".join(databases), ", ".join(look_up.databases)
    return f"documents.{look_up.slug}: databases {asked}; {procedure} looks it up in {known}, in this order"


def _look_ups_of(procedure: str) -> dict[str, LookUp]:
    by_slug = _look_ups().get(procedure)
    if by_slug is None:
        raise Reject("unknown_procedure", f"procedure {procedure!r} is in neither procedures.csv nor its companion")
    return by_slug


def _unknown_component(procedure: str, slug: str) -> NoReturn:
    raise Reject("unknown_component", f"documents: {slug!r} is no component of {procedure} that data may replace")


@cache
def _look_ups() -> dict[str, dict[str, LookUp]]:
    return {
        code: {slug: prepare(component) for slug, component in procedure.components.items() if component.replaceable}
        for code, procedure in domain().procedures.items()
    }


class _Timing(NamedTuple):
    """Event time of answers; `latency_within[n]` is the chance that a look-up takes at most n+1 seconds."""

    timeout: timedelta
    latency_within: tuple[float, ...]
    # By fate, then by latency in whole seconds less one: tables, because this runs for every component.
    waits: tuple[tuple[timedelta, ...], ...]

    def at(self, first: datetime, fate: int, drawn: float) -> datetime:
        """The answer's time: the attempt that brings it, plus its latency in whole seconds, below the time-out."""
        return first + self.waits[fate][bisect_left(self.latency_within, drawn)]


@cache
def _timing() -> _Timing:
    facts = domain()
    timeout_s, median_s = facts.number("lookup.timeout_s"), facts.number("lookup.latency_median_s")
    spread = log(facts.number("lookup.latency_p99_s") / median_s) / NormalDist().inv_cdf(0.99)
    latency = NormalDist(log(median_s), spread)
    # The last whole second below the time-out takes the rest of the distribution.
    seconds = range(1, max(ceil(timeout_s), 2))
    return _Timing(
        timedelta(seconds=timeout_s),
        tuple(latency.cdf(log(second)) for second in seconds[:-1]),
        tuple(tuple(timedelta(seconds=(fate - 1) * timeout_s + second) for second in seconds) for fate in range(4)),
    )
