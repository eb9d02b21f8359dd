"""Snapshot an event from a record: decoding, and the check that key, body and partition agree."""

from typing import Protocol, TypeVar

from pydantic import ValidationError

from contracts.errors import Reject
from contracts.events import Event
from contracts.partition import partition_of
from contracts.topics import MAX_RECORD_BYTES

E = TypeVar("E", bound=Event)


class Keyed(Protocol):
    """The part of a record that names its place and holds its event."""

    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


def decode_event(record: Keyed, payload: type[E], partitions: int) -> E:
    """Return the event of a record.

    Raises:
        Reject: `tombstone` (no value), `too_large`, `not_json`, `breaks_contract` (names the first wrong field),
            `key_mismatch` (key, body and partition do not name one application).

    """
    value = record.value
    if value is None:
        raise Reject("tombstone", "value: null; an application cannot be deleted")
    if len(value) > MAX_RECORD_BYTES:
        raise Reject("too_large", f"value: {len(value)} bytes, the limit is {MAX_RECORD_BYTES}")
    try:
        # What `model_validate_json` calls, without its options: 0.4 µs for every record.
        event: E = payload.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        raise broken(error) from error
    key = record.key or b""
    if key != event.application_id.encode() or partition_of(key, partitions) != record.partition:  # type: ignore[attr-defined]
        detail = f"key: {key[:64]!r} on partition {record.partition}, body: {event.application_id}"  # type: ignore[attr-defined]
        raise Reject("key_mismatch", detail)
    return event


def broken(error: ValidationError) -> Reject:
    """Return the refusal that names the first field which breaks the contract; values are left out (personal data)."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return Reject("not_json", f"value: {first['msg']}")
    place = ".".join(map(str, first["loc"])) or "value"
    return Reject("breaks_contract", f"{place}: {first['msg']}")
