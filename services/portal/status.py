"""From an application's records to where it stands: pure, so that any list of records has one status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import ValidationError

from contracts.events import ApplicationDecided, DecidedComponent, DocumentsProvided, DocumentsRequested, Event
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    dead_letter_topics,
)
from runtime.dead_letters import DeadLetter, NoDeadLetterError, read_dead_letter
from runtime.messages import Record
from services.portal.models import (
    Asking,
    Component,
    DecidedView,
    EventView,
    PartView,
    Place,
    Question,
    Reason,
    Refusal,
    State,
    Status,
)

DEAD_LETTERS: Final = dict(dead_letter_topics())
# Who filed an application knows these; who has only its id need not. A context is nobody's but intake's.
_MASKED: Final = ("citizen_number", "dossier_code", "context")
MASK: Final = "masked"
E = TypeVar("E", bound=Event)


def status_of(application_id: str, records: Sequence[Record], reasons: Mapping[str, Reason]) -> Status:
    """Return where an application stands, by all its records that are known, in any order.

    Args:
        application_id: the application's.
        records: with its id as key, of the main topics; and dead letters, of it or of its records' positions.
        reasons: names and source of each rule, by its slug.

    """
    submissions = sorted(_of(records, APPLICATIONS_SUBMITTED.name), key=lambda record: record.offset)
    letters = [letter for record in records if record.topic in DEAD_LETTERS for letter in _letter(record)]
    refused = _refusal(submissions, letters)
    asking = _asking(records)
    decided = _decided(records, reasons)
    return Status(
        application_id=application_id,
        state=_state(refused=refused is not None, asked=asking is not None, decided=decided is not None),
        received=_place(submissions[0]) if submissions else None,
        asking=asking,
        refused=refused,
        decided=decided,
        conflict=_conflict(submissions, letters),
        set_aside=[_set_aside(letter) for letter in letters if letter.topic != APPLICATIONS_SUBMITTED.name],
    )


def settled(status: Status) -> bool:
    """Whether nothing that may still come changes the status: decided with every answer, or refused."""
    return status.state == "refused" or (status.decided is not None and not status.decided.presumed)


def event_views(records: Iterable[Record]) -> list[EventView]:
    """Return an application's records in the order of their time, personal fields masked.

    Of a dead letter the value is left out: what it holds, nobody knows.
    """
    ordered = sorted(records, key=lambda record: (record.timestamp, record.topic, record.offset))
    return [
        EventView(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            at=_time(record.timestamp),
            trace_id=_trace_id(record),
            data=None if record.topic in DEAD_LETTERS else _masked(record.value),
            dead_letter=next((_set_aside(letter) for letter in _letter(record)), None),
        )
        for record in ordered
    ]


def _state(*, refused: bool, asked: bool, decided: bool) -> State:
    if decided:
        return "decided"
    if refused:
        return "refused"
    return "asking" if asked else "received"


def _of(records: Iterable[Record], topic: str) -> list[Record]:
    return [record for record in records if record.topic == topic]


def _events(records: Iterable[Record], topic: str, payload: type[E]) -> Iterator[tuple[Record, E]]:
    """Yield the records of a topic with what they say; what breaks the contract is nobody's business here."""
    for record in sorted(_of(records, topic), key=lambda each: each.offset):
        with suppress(ValidationError):
            yield record, payload.model_validate_json(record.value or b"")


def _letter(record: Record) -> list[DeadLetter]:
    if record.topic in DEAD_LETTERS:
        with suppress(NoDeadLetterError):
            return [read_dead_letter(record)]
    return []


def _conflict(submissions: Sequence[Record], letters: Iterable[DeadLetter]) -> bool:
    """Whether two different submissions can be decided: one that was set aside, and its repair, are no conflict."""
    refused = {(letter.partition, letter.offset) for letter in letters if letter.topic == APPLICATIONS_SUBMITTED.name}
    return len({record.value for record in submissions if (record.partition, record.offset) not in refused}) > 1


def _refusal(submissions: Sequence[Record], letters: Iterable[DeadLetter]) -> Refusal | None:
    """Return why an application was refused; one that was filed again after it is not, or not yet."""
    of_submissions = [letter for letter in letters if letter.topic == APPLICATIONS_SUBMITTED.name]
    places = {(letter.partition, letter.offset) for letter in of_submissions}
    if not of_submissions or any((record.partition, record.offset) not in places for record in submissions):
        return None
    last = max(of_submissions, key=lambda letter: letter.refused_at_ms)
    return _set_aside(last)


def _set_aside(letter: DeadLetter) -> Refusal:
    return Refusal(
        reason=letter.reason,
        detail=letter.detail,
        at=_time(letter.refused_at_ms),
        position=letter.position,
    )


def _asking(records: Sequence[Record]) -> Asking | None:
    requests = list(_events(records, DOCUMENTS_REQUESTED.name, DocumentsRequested))
    if not requests:
        return None
    first, (last, request) = requests[0][0], max(requests, key=lambda each: each[1].attempt)
    answers: dict[str, tuple[str, str, int, float]] = {}
    for record, provided in _events(records, DOCUMENTS_PROVIDED.name, DocumentsProvided):
        after_s = max(0.0, (record.timestamp - first.timestamp) / 1000)
        for given in provided.answers:
            answers.setdefault(given.component, (given.answer, given.database, provided.attempt, after_s))
    return Asking(
        attempt=request.attempt,
        since=_time(last.timestamp),
        asked=list({each.attempt: _time(record.timestamp) for record, each in reversed(requests)}.values())[::-1],
        questions=[
            _question(each.component, each.databases, answers.get(each.component)) for each in request.documents
        ],
    )


def _question(component: str, databases: Sequence[str], answer: tuple[str, str, int, float] | None) -> Question:
    said, database, attempt, after_s = answer or (None, None, None, None)
    return Question(
        component=component,
        databases=list(databases),
        answer=said,
        database=database,
        attempt=attempt,
        after_s=after_s,
    )


def _decided(records: Iterable[Record], reasons: Mapping[str, Reason]) -> DecidedView | None:
    """Return the outcome that overrules the others: the one that knows most (as scoring has it)."""
    outcomes = list(_events(records, APPLICATIONS_DECIDED.name, ApplicationDecided))
    if not outcomes:
        return None
    record, decided = max(outcomes, key=lambda each: (each[1].revision, each[1].submission))
    return DecidedView(
        outcome=decided.outcome,
        presumed=decided.presumed,
        revision=decided.revision,
        at=_time(record.timestamp),
        reasons=[reasons.get(slug, Reason.unknown(slug)) for slug in decided.reasons],
        components=[_component(each) for each in decided.components],
        procedure=decided.procedure,
        province=decided.province,
        due_at=decided.due_at.isoformat(),
        decided_at=decided.decided_at.isoformat(),
        parts=[
            PartView(part=part.part, due_at=part.due_at.isoformat(), done_at=part.done_at.isoformat())
            for part in decided.parts
        ],
    )


def _component(decided: DecidedComponent) -> Component:
    return Component(component=decided.component, source=decided.source, cause=decided.cause, database=decided.database)


def _place(record: Record) -> Place:
    return Place(topic=record.topic, partition=record.partition, offset=record.offset, at=_time(record.timestamp))


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _trace_id(record: Record) -> str | None:
    """Return the trace id of a W3C `traceparent` header, as `00-TRACE-SPAN-FLAGS`."""
    header = dict(record.headers).get("traceparent") or b""
    parts = header.decode("ascii", "replace").split("-")
    return parts[1] if len(parts) == 4 else None


def _masked(value: bytes | None) -> dict[str, Any] | None:
    with suppress(orjson.JSONDecodeError):
        data = orjson.loads(value or b"")
        if isinstance(data, dict):
            return data | {name: MASK for name in _MASKED if name in data}
    return None
