"""Linked services (liên thông): one application whose parts are handled by offices of their own. Pure.

It counts once, is due by its own limit, and is done when its last part is (NĐ 63/2024/NĐ-CP; linked_parts.csv).
"""

from datetime import datetime

from contracts.events import DecidedPart
from domain import Procedure, WorkingCalendar, spans
from services.intake.context import SubmissionFacts


def handling_minutes(facts: SubmissionFacts, procedure: Procedure) -> int:
    """Return the working minutes from the complete dossier to the result; of a linked service, to its last part's."""
    if not facts.parts:
        return facts.handling_minutes
    return max(end for _, end in spans(procedure.parts, dict(facts.parts)).values())


def decided_parts(
    facts: SubmissionFacts, procedure: Procedure, decided_at: datetime, calendar: WorkingCalendar
) -> tuple[DecidedPart, ...]:
    """Return when each part was due and done; `decided_at` is the end of the last one.

    A part's limit counts from its own beginning: an office answers for what it does, not for those before it.
    """
    complete = calendar.position(decided_at) - handling_minutes(facts, procedure)
    minutes = dict(facts.parts)
    begun_and_ended = spans(procedure.parts, minutes)
    return tuple([
        DecidedPart(
            part.slug,
            calendar.due_at(complete + begun_and_ended[part.slug][0], part.limit_value, part.limit_unit),
            ended(calendar, complete + begun_and_ended[part.slug][0], minutes[part.slug]),
        )
        for part in procedure.parts
    ])  # fmt: skip


def ended(calendar: WorkingCalendar, start: int, minutes: int) -> datetime:
    """Nothing to do ends where it starts, not at the close of the day before, which is the same position."""
    return calendar.end_at(start + minutes) if minutes else calendar.start_at(start)
