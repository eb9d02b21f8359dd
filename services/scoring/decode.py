"""From a record to an outcome that can be rolled up, or to the reason why it cannot."""

from contracts.errors import Reject
from contracts.events import ApplicationDecided
from contracts.reading import Keyed, read_event
from domain import Domain, domain
from services.scoring.rollup import Decided, decided_of


def decode(record: Keyed, partitions: int, facts: Domain | None = None) -> Decided:
    """Return the outcome that a record reports.

    Raises:
        Reject: a reason of `contracts.reading.read_event`, or `unknown_province`, `unknown_procedure`,
            `wrong_authority` (not the one that runs the procedure).

    """
    event = read_event(record, ApplicationDecided, partitions)
    known = facts or domain()
    if event.province not in known.provinces:
        raise Reject("unknown_province", f"province: {event.province!r} is not in provinces.csv")
    procedure = known.procedures.get(event.procedure)
    if procedure is None:
        raise Reject("unknown_procedure", f"procedure: {event.procedure!r} is not in procedures.csv")
    if event.authority != procedure.authority:
        raise Reject("wrong_authority", f"authority: {event.procedure} is run by the {procedure.authority}")
    return decided_of(event, record.value or b"")
