"""What a record handler takes and gives: plain values, no client library."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, final

# What is kept of a pending record. Bytes and small values only: live objects make the garbage collector dear.
State = tuple[object, ...]


class Record(Protocol):
    """The part of a consumed record that the kernel reads (aiokafka's ConsumerRecord has it)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


Headers = list[tuple[str, bytes]]
# A record to publish: topic, key, value, headers; it goes to the partition number of the record that caused it. Plain,
# because a named tuple takes eight times as long to make, a tenth of a bare hop.
Message = tuple[str, bytes | None, bytes | None, Headers]


class PendingRecord(NamedTuple):
    """A record that stays open until something closes it; silence for `patience_s` seconds makes its deadline pass."""

    key: bytes
    patience_s: float
    state: State


@final
class Effects(NamedTuple):
    """All that handling one record may cause; the kernel applies a batch's effects together.

    `open` keeps the record in the pending (nothing happens when its key is open already), `rearm` replaces an open
    entry's state and restarts its patience, `close` ends it. A `retry` is an asking again on silence: it needs budget.
    """

    publish: tuple[Message, ...] = ()
    open: PendingRecord | None = None
    rearm: PendingRecord | None = None
    close: bytes | None = None
    retry: bool = False


NOTHING = Effects()
# What most records cause is one message; the bare one spares an `Effects` around it, 5 % of a hop.
HandlerResult = Message | Effects


class RecordHandler(Protocol):
    """What a service gives the kernel: pure functions of their arguments. `Reject` dead-letters the record.

    Any other exception is our own bug on that record: tried again a few times, then dead-lettered.
    """

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        """Return what one record causes; `pending` has the state of every open entry of its partition."""

    def on_deadline(self, key: bytes, state: State) -> Effects:
        """Return the effects of the deadline of an open entry; it must rearm or close the entry."""
