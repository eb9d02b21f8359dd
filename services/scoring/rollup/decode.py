"""From a record to an outcome that can be rolled up, or to the reason why it cannot."""

from contracts.decoding import Keyed, decode_event
from contracts.errors import Reject
from contracts.events import ApplicationDecided
from domain import Domain, load_domain
from services.scoring.rollup.rollup import Decided, decided_of


def decode(record: Keyed, partitions: int, domain: Domain | None = None) -> Decided:
    """Return the outcome that a record reports.

    Raises:
        Reject: a reason of `contracts.decoding.decode_event`, or `unknown_province`, `unknown_procedure`,
            `wrong_authority` (not the one that runs the procedure).

    """
    event = decode_event(record, ApplicationDecided, partitions)
    known = domain or load_domain()
    if event.province not in known.provinces:
        raise Reject("unknown_province", f"province: {event.province!r} is not in provinces.csv")
    procedure = known.procedures.get(event.procedure)
    if procedure is None:
        raise Reject("unknown_procedure", f"procedure: {event.procedure!r} is not in procedures.csv")
    if event.authority != procedure.authority:
        raise Reject("wrong_authority", f"authority: {event.procedure} is run by the {procedure.authority}")
    return decided_of(event, record.value or b"")
