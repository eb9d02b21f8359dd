"""The work of the bare hop, the same for every variant: decode and validate, encode again, name the copy."""

from contracts.events import Event
from contracts.records import header_maker

SOURCE, TARGET = "hop.in", "hop.out"
# What the hand-written variants and the kernel use alike: at most so long is read again after a crash.
COMMIT_S = 0.2
MAX_RECORDS = 4_000


class Hop(Event):
    """The record that is copied, about 200 bytes of JSON."""

    key: str
    number: int
    text: str


headers = header_maker("/benchmarks/hop", "hop.v1")


def hop_of(number: int) -> Hop:
    """Return the record of a number."""
    return Hop(key=f"record-{number:012}", number=number, text="x" * 130)


def decoded(value: bytes) -> Hop:
    """Return the record of a value; raises pydantic's `ValidationError`."""
    return Hop.model_validate_json(value)


def encoded(copy: Hop) -> bytes:
    """Return the value of a record."""
    return copy.model_dump_json().encode()
