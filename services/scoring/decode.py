"""From a record's value to an outcome that can be rolled up, or to the reason why it cannot."""

from collections.abc import Sequence

from pydantic import ValidationError

from contracts.errors import Reject
from contracts.events import ApplicationDecided
from contracts.reading import Keyed, broken, read_event
from contracts.topics import MAX_RECORD_BYTES
from domain import Domain, domain
from services.scoring.rollup import Decided, decided_of


def decode(record: Keyed, partitions: int, facts: Domain | None = None) -> Decided:
    """Return the outcome that a record reports.

    Raises:
        Reject: a reason of `contracts.reading.read_event` or of `admit`.

    """
    event = read_event(record, ApplicationDecided, partitions)
    return admit(event, record.value or b"", facts or domain())


def decode_batch(values: Sequence[bytes | None], facts: Domain | None = None) -> list[Decided | Reject]:
    """Return an outcome or a refusal for each value, in order.

    One by one: measured, a joined array is no faster, and it would let values through that are valid only together.
    """
    known = facts or domain()
    return [_decode(value, known) for value in values]


def admit(event: ApplicationDecided, value: bytes, facts: Domain) -> Decided:
    """Return the outcome of an event whose record was read; `value` is the record's value, byte for byte.

    Raises:
        Reject: `unknown_province`, `unknown_procedure`, or `wrong_authority` (not the one that runs the procedure).

    """
    if event.province not in facts.provinces:
        raise Reject("unknown_province", f"province: {event.province!r} is not in provinces.csv")
    procedure = facts.procedures.get(event.procedure)
    if procedure is None:
        raise Reject("unknown_procedure", f"procedure: {event.procedure!r} is not in procedures.csv")
    if event.authority != procedure.authority:
        raise Reject("wrong_authority", f"authority: {event.procedure} is run by the {procedure.authority}")
    return decided_of(event, value)


def _decode(value: bytes | None, facts: Domain) -> Decided | Reject:
    if value is None:
        return Reject("tombstone", "value: null; an outcome cannot be deleted")
    if len(value) > MAX_RECORD_BYTES:
        return Reject("too_large", f"value: {len(value)} bytes, the limit is {MAX_RECORD_BYTES}")
    try:
        return admit(ApplicationDecided.model_validate_json(value), value, facts)
    except ValidationError as error:
        return broken(error)
    except Reject as refusal:
        return refusal
