"""From a request to its reply: pure, and the same code for the service and for the oracle."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import NamedTuple

import orjson

from contracts.errors import Reject
from contracts.events import Answer, ApplicationSubmitted, DocumentAnswer, DocumentsRequested
from services.vneid_mock.faults import FaultPlan, Subject, answers_from, deliveries
from services.vneid_mock.registry import LookUp, Registry

# The fields of `DocumentAnswer`; a named value for each would cost every reply a tenth more.
_Known = tuple[str, Answer, str, datetime]


class Vneid(NamedTuple):
    """All that answers follow from: what the databases know, how VNeID misbehaves, and the run's seed."""

    registry: Registry
    plan: FaultPlan
    seed: int


def respond(request: DocumentsRequested, vneid: Vneid) -> tuple[bytes, tuple[float, ...], list[tuple[str, str]]]:
    """Answer one attempt: everything that is known at it, the context echoed.

    Returns the value of the reply's record, the seconds of wall time after which each copy of it is sent, and what each
    database said (`unreachable`: nothing at this attempt).

    Raises:
        Reject: `unknown_procedure`, `unknown_component`, `duplicate_component`, `databases_not_of_component` or
            `event_time_out_of_range`; trying again cannot help.

    """
    asked = tuple([(document.component, document.databases) for document in request.documents])
    first = _first_attempt(request, vneid.registry.timeout)
    look_ups = vneid.registry.on(first).look_ups(request.procedure, asked)
    starts = [look_up.start for look_up in look_ups]
    delays = deliveries(vneid.plan, vneid.seed, request, request.attempt, starts)
    fates = answers_from(vneid.plan, vneid.seed, request, starts)
    known = _known_at(request.attempt, request, look_ups, fates, first, vneid)
    reply = {
        "application_id": request.application_id,
        "attempt": request.attempt,
        "answers": [
            {"component": component, "answer": answer, "database": database, "at": at}
            for component, answer, database, at in known
        ],
        "context": request.context,
    }
    return orjson.dumps(reply), delays, _by_database(look_ups, known)


def final_answers(
    submitted: ApplicationSubmitted, components: Sequence[str], attempts: int, vneid: Vneid
) -> dict[str, DocumentAnswer]:
    """Return all that who asks for an application's components can ever learn, by component.

    These are the answers of the last attempt that gets a reply: as fates are monotone, the union over all attempts, and
    what any reply has from the attempt on at which the last component is answered.

    Args:
        submitted: the application; its components are asked for from the moment of its submission on.
        components: slugs of the components asked for, in the order in which they are answered.
        attempts: how often is asked at most.
        vneid: what answers follow from.

    Raises:
        Reject: as `respond`.

    """
    if not components:
        return {}
    registry = vneid.registry.on(submitted.submitted_at)
    look_ups = registry.look_ups(submitted.procedure, tuple([(slug, None) for slug in components]))
    starts = [look_up.start for look_up in look_ups]
    fates = answers_from(vneid.plan, vneid.seed, submitted, starts)
    # Any reply from this attempt on has all answers that ever come; nearly always the first one is such.
    complete = min(max((fate for fate in fates if fate is not None), default=1), attempts)
    for attempt in (*range(complete, attempts + 1), *range(complete - 1, 0, -1)):
        if deliveries(vneid.plan, vneid.seed, submitted, attempt, starts):
            known = _known_at(attempt, submitted, look_ups, fates, submitted.submitted_at, vneid)
            return {answer[0]: DocumentAnswer(*answer) for answer in known}
    return {}


def _known_at(  # noqa: PLR0917  all positional on the hot path
    attempt: int,
    subject: Subject,
    look_ups: Sequence[LookUp],
    fates: Sequence[int | None],
    first: datetime,
    vneid: Vneid,
) -> list[_Known]:
    """Return what is known at an attempt; `fates` are of `answers_from`, `first` is the event time of the first one."""
    registry, _, seed = vneid
    citizen, consent, refused = subject.citizen_number, subject.consent, subject.consent_refused
    before = subject.filed_before_at
    corrected = before is not None and registry.worked_off(before, first)
    known: list[_Known] = []
    for look_up, fate in zip(look_ups, fates, strict=True):
        if fate is None or fate > attempt:
            continue
        answer, database, latency = look_up.find(seed, citizen)
        if corrected and answer != "found":
            answer = (
                "found" if look_up.corrected(seed, citizen, (answer, database), registry.corrected_share) else answer
            )
        # The time of the attempt that brings it, plus its latency in whole seconds, below the time-out.
        at = first + registry.waits[fate][bisect_left(registry.latency_within, latency)]
        if consent and look_up.slug not in refused:
            known.append((look_up.slug, answer, database, at))
        else:
            known.append((look_up.slug, "refused", look_up.databases[0], at))
    return known


def _by_database(look_ups: Sequence[LookUp], known: Sequence[_Known]) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = [(database, answer) for _, answer, database, _ in known]
    if len(known) < len(look_ups):
        answered = {component for component, _, _, _ in known}
        said += [(look_up.databases[0], "unreachable") for look_up in look_ups if look_up.slug not in answered]
    return said


def _first_attempt(request: DocumentsRequested, timeout: timedelta) -> datetime:
    # The first and the last years leave no room for the attempts before and the time-outs after.
    if not MINYEAR < request.as_of.year < MAXYEAR:
        raise Reject("event_time_out_of_range", f"as_of {request.as_of.isoformat()} is no usable date")
    before = request.attempt - 1
    return request.as_of - before * timeout if before else request.as_of
