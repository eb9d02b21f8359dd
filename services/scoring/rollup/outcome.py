"""From a record of `applications.decided` to the outcome that is rolled up, or to the reason why it cannot be. Pure."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

from contracts.errors import Reject
from contracts.events import ApplicationDecided, Authority, Cause, Outcome, Source
from contracts.records import Keyed, decode_event
from domain import VN, Domain, load_domain
from services.scoring.rollup.cells import CellKey, Measures, pattern_text

# 1970-01-01T00:00Z as a clock in Vietnam shows it, with the zone object that nearly every event time has.
_EPOCH: Final = datetime(1970, 1, 1, 7, tzinfo=VN)


class ApplicationOutcome(NamedTuple):
    """The outcome of one application as it is rolled up, stored and remembered.

    Times are epoch seconds. `content_hash`, unsigned 64-bit, covers the record's value bytes, and with them application
    id, revision and content. (revision, submission, content_hash) is the outcome's strength.
    """

    application_id: str
    revision: int
    submission: str
    content_hash: int
    cell: CellKey
    measures: Measures
    submitted_at: int
    due_at: int
    decided_at: int
    commune: str
    rules_version: int


class DecidedFields(Protocol):
    """The fields of `ApplicationDecided`, whoever has them: the event, or a decision before it became one."""

    @property
    def application_id(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def presumed(self) -> bool: ...
    @property
    def submission(self) -> str: ...
    @property
    def rules_version(self) -> int: ...
    @property
    def province(self) -> str: ...
    @property
    def commune(self) -> str: ...
    @property
    def procedure(self) -> str: ...
    @property
    def authority(self) -> Authority: ...
    @property
    def channel(self) -> str: ...
    @property
    def assisted(self) -> bool: ...
    @property
    def submitted_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def decided_at(self) -> datetime: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    @property
    def components(self) -> Sequence["_ComponentFields"]: ...
    @property
    def index_due_at(self) -> datetime | None: ...


class _ComponentFields(Protocol):
    @property
    def component(self) -> str: ...
    @property
    def source(self) -> Source: ...
    @property
    def cause(self) -> Cause | None: ...
    @property
    def database(self) -> str | None: ...


def decode(
    record: Keyed, partitions: int, domain: Domain | None = None, *, key_partition: int | None = None
) -> ApplicationOutcome:
    """Return the outcome that a record reports; see `decode_event` for the arguments.

    Raises:
        Reject: a reason of `contracts.records.decode_event`, or `unknown_province`, `unknown_procedure`,
            `wrong_authority` (not the one that runs the procedure).

    """
    event = decode_event(record, ApplicationDecided, partitions, key_partition=key_partition)
    known = domain or load_domain()
    if event.province not in known.provinces:
        raise Reject("unknown_province", f"province: {event.province!r} is not in provinces.csv")
    procedure = known.procedures.get(event.procedure)
    if procedure is None:
        raise Reject("unknown_procedure", f"procedure: {event.procedure!r} is not in procedures.csv")
    if event.authority != procedure.authority:
        raise Reject("wrong_authority", f"authority: {event.procedure} is run by the {procedure.authority}")
    return outcome_of(event, record.value or b"")


def outcome_of(event: DecidedFields, value: bytes) -> ApplicationOutcome:
    """Return the outcome that an event reports; `value` is the record's value, byte for byte."""
    submitted_at, decided_at = _epoch_s(event.submitted_at), _epoch_s(event.decided_at)
    # On time is what index component 2.1 counts; an older intake knew the legal clock only.
    on_time = event.decided_at <= (event.index_due_at or event.due_at)
    components = tuple([(part.component, part.source, part.cause, part.database) for part in event.components])
    return ApplicationOutcome(
        event.application_id,
        event.revision,
        event.submission,
        int.from_bytes(blake2b(value, digest_size=8).digest()),
        _cell(
            _month(event.decided_at.year, event.decided_at.month),
            event.province,
            event.procedure,
            event.channel,
            pattern_text(event.outcome, event.authority, event.reasons, components),
        ),
        _measures(event.presumed, event.assisted, on_time, (decided_at - submitted_at) // 60),
        submitted_at,
        _epoch_s(event.due_at),
        decided_at,
        event.commune,
        event.rules_version,
    )


def _epoch_s(at: datetime) -> int:
    """Whole epoch seconds of an event time: a quarter of the cost of `timestamp()`."""
    since = at - _EPOCH
    return since.days * 86_400 + since.seconds


@cache
def _month(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"


# Applications share cells and measures, so a recount that holds every application in memory shares the objects as well.
@lru_cache(maxsize=65_536)
def _cell(month: str, province: str, procedure: str, channel: str, pattern: str) -> CellKey:
    return CellKey(month, province, procedure, channel, pattern)


@lru_cache(maxsize=65_536)
def _measures(presumed: bool, assisted: bool, on_time: bool, minutes: int) -> Measures:  # noqa: FBT001  a cache key
    return Measures(1, int(presumed), int(assisted), int(on_time), minutes)
