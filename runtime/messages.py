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
# A record to publish: topic, key, value, headers; it goes to the partition number of the record that caused it, unless
# `Effects.partition` says otherwise. Plain, because a named tuple takes eight times as long to make, a tenth of a hop.
Message = tuple[str, bytes | None, bytes | None, Headers]


class PendingRecord(NamedTuple):
    """A record whose work is not finished: it waits for another record, or for a moment.

    Until it is closed the committed offset stays before it, so that after a crash it is read again.

    Attributes:
        key: names it among the pending records of its partition; this need not be the record's own key.
        patience_s: seconds of wall time from now on; if they pass without its end, `on_deadline` is called.
        state: what the handler is given back then, and sees in `on_record` meanwhile.

    """

    key: bytes
    patience_s: float
    state: State


@final
class Effects(NamedTuple):
    """All that a record, or a deadline that has passed, may cause.

    Attributes:
        publish: messages, in the order in which they are to be read.
        open: makes the record pending; where its key is pending already, nothing happens.
        rearm: gives a pending record another state and patience from now on.
        close: ends the pending record of this key.
        retry: what is published asks again after silence, so it needs budget; without, it waits and is not published.
        partition: where what a record causes is published; None: to the partition number of the record.

    """

    publish: tuple[Message, ...] = ()
    open: PendingRecord | None = None
    rearm: PendingRecord | None = None
    close: bytes | None = None
    retry: bool = False
    partition: int | None = None


NOTHING = Effects()
# What most records cause is one message; the bare one spares an `Effects` around it, 5 % of a hop.
HandlerResult = Message | Effects


class RecordHandler(Protocol):
    """What a service does, as pure functions: the kernel reads, publishes, commits and keeps the time.

    Records of a partition come in their order. A record may come again, after a crash or a rebalance: what is published
    for it must be idempotent for its readers.
    """

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        """Return what one record causes; `pending` has the state of every pending record of its partition by key.

        Raises:
            contracts.errors.Reject: the record is refused for good, and becomes a dead letter. So does a record on
                which anything else is raised twice: that is a bug of ours.

        """

    def on_deadline(self, key: bytes, state: State) -> Effects:
        """Return what the end of a pending record's patience causes; it must rearm or close this key.

        Whatever it raises stops the process.
        """
