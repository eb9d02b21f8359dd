"""What the owners of databases were asked to correct, and what of it still lies before them on a day. Pure."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from contracts.errors import Reject
from contracts.events import CorrectionRequested
from contracts.records import decode_event
from paperless.verification.positions import LoggedRecord


class OwnerBacklog(NamedTuple):
    """The requests to the owner of one database, up to the end of a day in event time.

    `missing` and `mismatch` add up to `requested`, and so do `worked_off` and `backlog`. `citizens` are requests that
    went to the citizen, too; `oldest` is when the oldest that is not worked off was made.
    """

    database: str
    requested: int
    missing: int
    mismatch: int
    citizens: int
    worked_off: int
    backlog: int
    oldest: datetime | None


class _Request(NamedTuple):
    database: str
    answer: str
    to_citizen: bool
    requested_at: datetime
    worked_off_at: datetime


class CorrectionLog:
    """Takes requests as the log has them, in any order; a repeat counts once.

    Args:
        partitions: the partition count of the log.

    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._requests: dict[tuple[str, str, str], _Request] = {}

    def add(self, records: Iterable[LoggedRecord]) -> None:
        """Take records; what breaks the contract asks for nothing."""
        for record in records:
            try:
                event = decode_event(record, CorrectionRequested, self._partitions)
            except Reject:
                continue
            subject = (event.application_id, event.submission, event.component)
            self._requests[subject] = _Request(
                event.database,
                event.answer,
                "citizen" in event.addressees,
                event.requested_at,
                event.worked_off_at,
            )

    def last_day(self) -> date | None:
        """Return the day of the last request, None where there is none."""
        return max((request.requested_at.date() for request in self._requests.values()), default=None)

    def backlogs(self, day: date) -> list[OwnerBacklog]:
        """Return what each owner was asked for by the end of a day, the longest backlog first."""
        by_database: dict[str, list[_Request]] = {}
        for request in self._requests.values():
            if request.requested_at.date() <= day:
                by_database.setdefault(request.database, []).append(request)
        rows = [_backlog(database, requests, day) for database, requests in by_database.items()]
        return sorted(rows, key=lambda row: (-row.backlog, -row.requested, row.database))


def total(rows: Iterable[OwnerBacklog]) -> OwnerBacklog:
    """Return the sum over owners, under the name `all`."""
    kept = list(rows)
    return OwnerBacklog(
        "all",
        sum(row.requested for row in kept),
        sum(row.missing for row in kept),
        sum(row.mismatch for row in kept),
        sum(row.citizens for row in kept),
        sum(row.worked_off for row in kept),
        sum(row.backlog for row in kept),
        min((row.oldest for row in kept if row.oldest), default=None),
    )


def _backlog(database: str, requests: list[_Request], day: date) -> OwnerBacklog:
    left = [request.requested_at for request in requests if request.worked_off_at.date() > day]
    missing = sum(request.answer == "missing" for request in requests)
    return OwnerBacklog(
        database,
        len(requests),
        missing,
        len(requests) - missing,
        sum(request.to_citizen for request in requests),
        len(requests) - len(left),
        len(left),
        min(left, default=None),
    )
