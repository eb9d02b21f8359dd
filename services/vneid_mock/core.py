"""From a request to its reply: pure, and the same code for the service and for the oracle."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from functools import cache, lru_cache
from math import ceil, log
from statistics import NormalDist
from typing import NamedTuple, NoReturn

import orjson

from contracts.errors import Reject
from contracts.events import Answer, DocumentsRequested
from domain import load_domain
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


class _LookUps(NamedTuple):
    """The look-ups of an application; `starts` are the position of each and the database where it begins."""

    all: tuple[LookUp, ...]
    starts: tuple[tuple[int, str], ...]
    databases: frozenset[str]

    @classmethod
    def of(cls, look_ups: Iterable[LookUp]) -> "_LookUps":
        every = tuple(look_ups)
        starts = tuple((one.position, one.databases[0]) for one in every)
        return cls(every, starts, frozenset(database for _, database in starts))


class _Case(NamedTuple):
    """What the answers depend on; `first` is the event time of the first attempt."""

    subject: Subject
    consent: bool
    look_ups: _LookUps
    first: datetime


def respond(request: DocumentsRequested, plan: FaultPlan, seed: int) -> Responses:
    """Answer one attempt: everything that is known at it, the context echoed.

    Raises:
        Reject: `unknown_procedure`, `unknown_component`, `duplicate_component`, `databases_not_of_component` or
            `event_time_out_of_range`; trying again cannot help.

    """
    case = _case_of(request)
    delays = deliveries(plan, seed, case.subject, request.attempt, case.look_ups.databases)
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
    subject = Subject(application_id, citizen_number, province)
    case = _Case(subject, consent, _named(procedure, tuple(components)), as_of)
    for attempt in range(attempts, 0, -1):
        if deliveries(plan, seed, subject, attempt, case.look_ups.databases):
            return tuple(_known(case, plan, seed, attempt))
    return ()


def _known(case: _Case, plan: FaultPlan, seed: int, attempt: int) -> list[LookedUp]:
    (_, citizen, _), consent, look_ups, first = case
    fates = answers_from(plan, seed, case.subject, look_ups.starts)
    _, within, waits = _timing()
    known = []
    for look_up, fate in zip(look_ups.all, fates, strict=True):
        if fate is None or fate > attempt:
            continue
        answer, database, latency = look_up.find(seed, citizen, first)
        # The time of the attempt that brings it, plus its latency in whole seconds, below the time-out.
        at = first + waits[fate][bisect_left(within, latency)]
        known.append(
            LookedUp(look_up.slug, answer, database, at)
            if consent
            else LookedUp(look_up.slug, "refused", look_up.databases[0], at)
        )
    return known


def _look_ups_made(case: _Case, known: list[LookedUp]) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = [(database, answer) for _, answer, database, _ in known]
    if len(known) < len(case.look_ups.all):
        answered = {one.component for one in known}
        made += [(one.databases[0], "unreachable") for one in case.look_ups.all if one.slug not in answered]
    return made


def _case_of(request: DocumentsRequested) -> _Case:
    asked = tuple([(document.component, document.databases) for document in request.documents])
    subject = Subject(request.application_id, request.citizen_number, request.province)
    return _Case(subject, request.consent, _asked_for(request.procedure, asked), _first_attempt(request))


# A day has some hundred combinations.
@lru_cache(maxsize=8192)
def _asked_for(procedure: str, asked: tuple[tuple[str, tuple[str, ...]], ...]) -> _LookUps:
    by_slug = _look_ups_of(procedure)
    look_ups: dict[str, LookUp] = {}
    for slug, databases in asked:
        look_up = by_slug.get(slug) or _unknown_component(procedure, slug)
        if databases != look_up.databases:
            raise Reject("databases_not_of_component", _other_databases(procedure, look_up, databases))
        look_ups[slug] = look_up
    if len(look_ups) < len(asked):
        raise Reject("duplicate_component", f"documents of {procedure}: a component is asked for twice")
    return _LookUps.of(look_ups.values())


@lru_cache(maxsize=8192)
def _named(procedure: str, slugs: tuple[str, ...]) -> _LookUps:
    by_slug = _look_ups_of(procedure)
    return _LookUps.of(by_slug.get(slug) or _unknown_component(procedure, slug) for slug in slugs)


def _first_attempt(request: DocumentsRequested) -> datetime:
    # The first and the last years leave no room for the attempts before and the time-outs after.
    if not MINYEAR < request.as_of.year < MAXYEAR:
        raise Reject("event_time_out_of_range", f"as_of {request.as_of.isoformat()} is no usable date")
    before = request.attempt - 1
    return request.as_of - before * _timing().timeout if before else request.as_of


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
        for code, procedure in load_domain().procedures.items()
    }


class _Timing(NamedTuple):
    """Event time of answers; `latency_within[n]` is the chance that a look-up takes at most n+1 seconds."""

    timeout: timedelta
    latency_within: tuple[float, ...]
    # By fate, then by latency in whole seconds less one: tables, because this runs for every component.
    waits: tuple[tuple[timedelta, ...], ...]


@cache
def _timing() -> _Timing:
    domain = load_domain()
    timeout_s, median_s = domain.number("lookup.timeout_s"), domain.number("lookup.latency_median_s")
    spread = log(domain.number("lookup.latency_p99_s") / median_s) / NormalDist().inv_cdf(0.99)
    latency = NormalDist(log(median_s), spread)
    # The last whole second below the time-out takes the rest of the distribution.
    seconds = range(1, max(ceil(timeout_s), 2))
    return _Timing(
        timedelta(seconds=timeout_s),
        tuple(latency.cdf(log(second)) for second in seconds[:-1]),
        tuple(tuple(timedelta(seconds=(fate - 1) * timeout_s + second) for second in seconds) for fate in range(4)),
    )
